"""Names of what is not on this machine: fsspec's file system in memory, and clear errors where a package is missing."""

import builtins
import itertools
from importlib import util
from pathlib import Path

import duckdb
import fsspec
import numpy as np
import pytest

from traintwice import diff
from traintwice.errors import BadInput, MissingExtra, TraintwiceError
from traintwice.predictions import _remote, open_predictions
from traintwice.predictions._inputs import expand, one_model
from traintwice.predictions._tables import lake_table


def store(name, sql, tmp_path):
    """Put the rows of a query into fsspec's file system in memory."""
    path = tmp_path / name.replace("/", "-")
    duckdb.sql(f"COPY ({sql}) TO '{path}'")
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/{name}", path.read_bytes())
    return f"memory://{tmp_path.name}/{name}"


def rows(shift, where="true"):
    return f"SELECT i AS id, (i + {shift}) % 7 / 7 AS p, i % 2 AS y, 'x' AS note FROM range(70) t(i) WHERE {where}"


def test_parquet_csv_and_shards(tmp_path):
    old = store("old.parquet", rows(0), tmp_path)
    new = store("new.csv", rows(1), tmp_path)
    for part in range(3):
        store(f"tree/part={part}/0.parquet", rows(0, f"i % 3 = {part}"), tmp_path)
    found = diff(old, new)
    assert found.alignment.files == (old, new)
    tree = f"memory://{tmp_path.name}/tree"
    assert diff(tree, new).to_dict()["measures"] == found.to_dict()["measures"]
    assert [part.value for part in diff(tree, new, by="part", min_support=1).slices] == ["0", "1", "2"]


def test_only_the_needed_columns_are_copied(tmp_path):
    with open_predictions(store("old.parquet", rows(0), tmp_path)) as found:
        described = found._session.rows("DESCRIBE source0", doing="describing")
        assert [row[0] for row in described] == ["c_id", "c_p", "c_y"]
        assert found.read().probs.shape == (1, 70, 2)


def test_globs_and_folders_name_models(tmp_path):
    names = [store(f"runs/run_{m}.parquet", rows(m), tmp_path) for m in (10, 2, 1)]
    folder = f"memory://{tmp_path.name}/runs"
    for several in (folder, f"{folder}/", f"{folder}/*.parquet", names):
        assert sorted(map(str, expand(several))) == sorted(names)
    assert [item.name for item in expand(folder)] == ["run_1.parquet", "run_2.parquet", "run_10.parquet"]
    assert len(one_model(folder).files) == 3
    with pytest.raises(BadInput, match=r"run_1.parquet is named twice"):
        expand([names[2], folder])


def test_files_of_other_endings(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, id=np.arange(4), p=np.linspace(0, 1, 4))
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/part-0", path.read_bytes())
    with open_predictions(f"memory://{tmp_path.name}/part-0") as found:
        assert found.read().ids.tolist() == [0, 1, 2, 3]


def test_an_object_that_changes(tmp_path, monkeypatch):
    address = store("old.parquet", rows(0), tmp_path)
    state = _remote.RemoteFile.state
    numbers = itertools.count()
    monkeypatch.setattr(
        _remote.RemoteFile, "state", lambda self: _remote.State(state(self).size, (str(next(numbers)),), ranges=True)
    )
    with pytest.raises(BadInput, match=r"was replaced or changed while it was read"):
        diff(address, store("new.csv", rows(1), tmp_path))


BAD = {
    "memory://none/old.parquet": "memory://none/old.parquet: not found; check the name",
    "memory://none/*.parquet": "nothing there matches this glob",
    "ftp://host/old.parquet": "unknown scheme 'ftp'; expected a file, or one of s3://",
    "https://user:hunter2@": "https://",
    "postgresql://ann:hunter2@host/db": r"postgresql://ann@host/db: expected one table= or query= in the address|needs adbc",
    "old.csv@3": "no such file; @3 is for versions of Delta and Iceberg tables, and old.csv is not one",
}


@pytest.mark.parametrize("name", BAD)
def test_names_that_mean_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.csv").write_text("id,p\n1,0.5\n")
    with pytest.raises(TraintwiceError, match=BAD[name]) as caught:
        diff(name, "old.csv")
    assert "hunter2" not in str(caught.value)


def test_half_a_file(tmp_path):
    whole = store("whole.parquet", rows(0), tmp_path)
    memory = fsspec.filesystem("memory")
    memory.pipe(f"/{tmp_path.name}/half.parquet", memory.cat(f"/{tmp_path.name}/whole.parquet")[:300])
    memory.pipe(f"/{tmp_path.name}/empty.parquet", b"")
    for name, message in (("half", "half.parquet: reading"), ("empty", "empty.parquet is empty")):
        with pytest.raises(BadInput, match=message):
            diff(whole.replace("whole", name), whole)


@pytest.mark.parametrize(
    ("name", "package", "message"),
    [
        ("s3://b/a.parquet", "s3fs", "s3:// needs s3fs. Install it with: pip install 'traintwice.remote.'"),
        ("s3://b/a.parquet", "fsspec", "s3:// needs fsspec. Install it with: pip install 'traintwice.remote.'"),
        ("gs://b/a.parquet", "gcsfs", "gs:// needs gcsfs. Install it with: pip install 'traintwice.remote.' gcsfs"),
        ("abfs://b/a.parquet", "adlfs", "abfs:// needs adlfs. Install it with"),
        ("https://h/a.parquet", "aiohttp", "https:// needs aiohttp. Install it with"),
        (
            "postgresql://h/d?table=t",
            "adbc_driver_postgresql",
            "postgresql:// needs adbc_driver_postgresql. .*traintwice.postgres",
        ),
        ("lake", "deltalake", "lake: a Delta table needs deltalake. .*traintwice.lakehouse"),
        ("iceberg://c/n.t", "pyiceberg", "an Iceberg table needs pyiceberg. .*traintwice.lakehouse"),
    ],
)
def test_a_missing_package(name, package, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lake/_delta_log").mkdir(parents=True)
    find = util.find_spec
    absent = lambda module, *more: None if module == package else find(module, *more) or builtins.object()  # noqa: E731
    monkeypatch.setattr(util, "find_spec", absent)
    monkeypatch.setattr(_remote, "find_spec", absent)
    Path("new.csv").write_text("id,p\n1,0.5\n")
    with pytest.raises(MissingExtra, match=message):
        diff(name, "new.csv")


def test_names_of_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("preds/_delta_log").mkdir(parents=True)
    Path("ice/metadata").mkdir(parents=True)
    Path("ice/metadata/v1.metadata.json").write_text("{}")
    Path("plain").mkdir()
    tables = {
        name: lake_table(name) for name in ("preds", "preds@3", "preds@2026-11-26", "ice", "ice@main", "plain", "plain@3", "a@3")
    }
    found = {name: (table.kind, table.version) for name, table in tables.items() if table}
    assert found == {
        "preds": ("delta", None),
        "preds@3": ("delta", "3"),
        "preds@2026-11-26": ("delta", "2026-11-26"),
        "ice": ("iceberg", None),
        "ice@main": ("iceberg", "main"),
    }
    assert str(tables["preds@3"]) == "preds@3"


def test_paths_of_pathlib_lose_a_slash():
    with pytest.raises(BadInput, match="pathlib makes one slash of the two in an address; pass it as text"):
        expand(Path("s3://bucket/old.parquet"))


def test_logs_are_read_from_this_machine(tmp_path):
    address = store("old.csv", rows(0), tmp_path)
    with pytest.raises(BadInput, match=r"old.csv: --correct reads one file of this machine"):
        diff(address, address.replace("old", "new"), correct="y")
