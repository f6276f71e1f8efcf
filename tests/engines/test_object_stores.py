"""Files on S3: the same numbers as from local files, few bytes, no secret."""

import json
from pathlib import Path

import boto3
import duckdb
import numpy as np
import pytest
from two_models import SECRET, churn, compare, model, numbers, write

from traintwice import measure
from traintwice.errors import BadInput
from traintwice.predictions import _remote, open_predictions

GATE = """
old = "s3://preds/old.parquet"
new = "s3://preds/new.parquet"
[[budgets]]
measure = "churn"
max = "90%"
"""


@pytest.fixture(scope="module")
def s3(bucket, local):
    client = boto3.client("s3")
    for name in ("old", "new"):
        client.upload_file(local / f"{name}.parquet", bucket, f"{name}.parquet")
    return client


@pytest.fixture
def put(s3, bucket, tmp_path):
    def put(name, seed, **options):
        path = write(tmp_path / name.replace("/", "-"), seed, **options)
        s3.upload_file(path, bucket, name)

    return put


def test_parquet(s3, expected):
    found = compare("s3://preds/old.parquet", "s3://preds/new.parquet")
    assert numbers(found) == expected
    assert found.alignment.files == ("s3://preds/old.parquet", "s3://preds/new.parquet")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_other_formats(put, expected, ending):
    put(f"text/old.{ending}", 1)
    assert numbers(compare(f"s3://preds/text/old.{ending}", "s3://preds/new.parquet")) == expected


def test_arrays(s3, bucket, tmp_path):
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    np.savez(tmp_path / "a.npz", id=np.arange(50), probs=probs)
    np.save(tmp_path / "b.npy", probs)
    for name in ("a.npz", "b.npy"):
        s3.upload_file(tmp_path / name, bucket, name)
    with open_predictions("s3://preds/a.npz") as found:
        np.testing.assert_array_equal(found.read().probs[0], probs)
    with open_predictions("s3://preds/b.npy", by_position=True) as found:
        np.testing.assert_array_equal(found.read().probs[0], probs)


def test_few_bytes_travel(s3, put, monkeypatch):
    for name, seed in (("wide-old", 1), ("wide-new", 2)):
        put(f"{name}.parquet", seed, rows=100_000, more=", repeat(md5(i::VARCHAR), 8) AS note, random() AS x, random() AS z")
    came = []
    bytes_of = _remote.RemoteFile.bytes
    monkeypatch.setattr(
        _remote.RemoteFile, "bytes", lambda self, start, stop: came.append(stop - start) or bytes_of(self, start, stop)
    )
    compare("s3://preds/wide-old.parquet", "s3://preds/wide-new.parquet")
    whole = sum(s3.head_object(Bucket="preds", Key=f"wide-{n}.parquet")["ContentLength"] for n in ("old", "new"))
    assert sum(came) < whole / 5, (sum(came), whole)


def test_shards_globs_and_folders(expected, s3, tmp_path):
    for day in (1, 2):
        for part in (0, 1):
            sql = f"SELECT * FROM ({model(1)}) WHERE id % 4 = {2 * day + part - 2}"
            duckdb.sql(f"COPY ({sql}) TO '{tmp_path / 'part.parquet'}'")
            for key in (f"tree/day={day}/part-{part}.parquet", f"flat/part-{day}-{part}.parquet"):
                s3.upload_file(tmp_path / "part.parquet", "preds", key)
    for name in ("s3://preds/tree", "s3://preds/flat/", "s3://preds/flat/part-*.parquet"):
        assert churn(compare(name, "s3://preds/new.parquet")) == churn(expected), name
    found = compare("s3://preds/tree", "s3://preds/new.parquet", by="day")
    assert {part.value for part in found.slices} == {"1", "2"}


def test_several_models(put):
    for seed in range(3):
        put(f"runs/run_{seed}.parquet", seed)
    folder, pattern = measure("s3://preds/runs"), measure("s3://preds/runs/*.parquet")
    assert folder.to_dict() == pattern.to_dict()
    found = compare("s3://preds/old.parquet", "s3://preds/new.parquet", floor=["s3://preds/runs/*.parquet"])
    assert found.floor is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://no-such-bucket/old.parquet", "s3://no-such-bucket/old.parquet: not found"),
        ("s3://preds/no-such.parquet", "s3://preds/no-such.parquet: not found"),
        ("s3://preds/no-such-*.parquet", "nothing there matches"),
        ("s3://preds/half.parquet", "s3://preds/half.parquet: reading"),
        ("s3://preds/empty.parquet", "is empty .0 bytes"),
        ("s3://preds/short.npz", "short.npz: cannot be read as npz"),
        ("ftp://host/old.parquet", "unknown scheme 'ftp'; expected"),
    ],
)
def test_bad_names(s3, local, name, message):
    content = (local / "old.parquet").read_bytes()
    s3.put_object(Bucket="preds", Key="half.parquet", Body=content[: len(content) // 2])
    s3.put_object(Bucket="preds", Key="empty.parquet", Body=b"")
    s3.put_object(Bucket="preds", Key="short.npz", Body=b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match=message) as caught:
        compare(name, "s3://preds/new.parquet")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_object_that_changes(s3, put, monkeypatch):
    put("changing.parquet", 1, rows=5000)
    bytes_of = _remote.RemoteFile.bytes

    def change(self, start, stop):
        found = bytes_of(self, start, stop)
        if start == 4:
            s3.put_object(Bucket="preds", Key="changing.parquet", Body=b"x" * 200_000)
        return found

    monkeypatch.setattr(_remote.RemoteFile, "bytes", change)
    with pytest.raises(BadInput, match="was replaced or changed while it was read"):
        compare("s3://preds/changing.parquet", "s3://preds/new.parquet")


def test_the_command_line(s3, traintwice):
    status, output, errors = traintwice("diff", "s3://preds/old.parquet", "s3://preds/new.parquet", "--json")
    assert (status, errors) == (0, "")
    assert json.loads(output)["alignment"]["files"] == ["s3://preds/old.parquet", "s3://preds/new.parquet"]
    both = ("s3://preds/old.parquet", "s3://preds/none.parquet")
    status, output, errors = traintwice("gate", *both, "--max", "churn=2%", "--junit", "j.xml")
    assert (status, output) == (2, "")
    assert errors.startswith("traintwice: s3://preds/none.parquet: not found")
    assert errors.count("\n") == 1
    assert not Path("j.xml").exists()


def test_a_gate_file(s3, traintwice):
    Path("gate.toml").write_text(GATE)
    status, output, _ = traintwice("gate", "gate.toml")
    assert status == 0, output
