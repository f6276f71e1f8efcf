"""One model in several files: a folder, a glob, or a tree of folders named key=value."""

import re

import duckdb
import numpy as np
import pytest

from traintwice.compare import diff
from traintwice.errors import BadInput
from traintwice.predictions import open_predictions
from traintwice.predictions._inputs import Shards, expand, one_model

ROWS = [(i, [0.9, 0.2, 0.6][i % 3], i % 2) for i in range(12)]


def write(path, rows, columns="id, p, y"):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = ", ".join(map(str, rows))
    kind = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json"}[path.suffix]
    duckdb.sql(f"COPY (SELECT {columns} FROM (VALUES {values}) AS t(id, p, y) ORDER BY id) TO '{path}' (FORMAT {kind})")


def read(given, **options):
    with open_predictions([given], **options) as opened:
        return opened.read()


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("pattern", ["old", "old/", "old/*", "old/part-*"])
def test_a_folder_and_a_glob_are_one_model_of_a_comparison(ending, pattern, tmp_path):
    for k in range(3):
        write(tmp_path / "old" / f"part-{k}.{ending}", ROWS[4 * k : 4 * k + 4])
    if "*" not in pattern:
        (tmp_path / "old" / "_SUCCESS").touch()
        (tmp_path / "old" / ".part-0.crc").write_text("x")
    write(tmp_path / f"new.{ending}", [(i, 1 - p, y) for i, p, y in ROWS])
    found = diff(str(tmp_path / pattern), tmp_path / f"new.{ending}")
    assert found.alignment.rows == 12
    assert {m.name: m.estimate.value for m in found.measures}["churn"] == 1
    shards = one_model(str(tmp_path / pattern))
    assert read(shards).ids.tolist() == list(range(12))
    assert read(shards).probs[0, :, 1].tolist() == [p for _, p, _ in ROWS]


def test_keys_of_folders_are_columns(tmp_path):
    for at, place in enumerate(["country=BR", "country=S%C3%A3o", "country=__HIVE_DEFAULT_PARTITION__"]):
        write(tmp_path / "old" / place / f"{at}.parquet", ROWS[4 * at : 4 * at + 4])
    found = read(one_model(tmp_path / "old"), by=["country"])
    assert found.known.groups["country"].tolist() == ["BR"] * 4 + ["São"] * 4 + [None] * 4


def test_a_shard_whose_labels_are_all_missing(tmp_path):
    for at, label in enumerate(["NULL", "y", "NULL"]):
        write(tmp_path / "old" / f"{at}.parquet", ROWS[4 * at : 4 * at + 4], f"id, p, {label} AS y")
    found = read(one_model(tmp_path / "old"))
    assert found.labelled.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_folders_among_several_models(tmp_path):
    for run in ("run_2", "run_10"):
        for k in range(2):
            write(tmp_path / run / f"part-{k}.parquet", ROWS[6 * k : 6 * k + 6])
    assert [item.name.split("/")[-1] for item in expand(str(tmp_path / "run_*"))] == ["run_2", "run_10"]
    assert len(expand(str(tmp_path / "run_2"))) == 2  # each file is a model, as nothing says that they are shards
    (tmp_path / "run_2" / "_SUCCESS").touch()
    (one,) = expand(str(tmp_path / "run_2"))
    assert isinstance(one, Shards)
    assert len(one.files) == 2


def test_types_of_text_follow_from_all_shards(tmp_path):
    write(tmp_path / "old" / "a.csv", ROWS[:2])
    (tmp_path / "old" / "b.csv").write_text("id,p,y\nx7,0.5,1\n")
    assert read(one_model(tmp_path / "old")).ids.tolist() == ["0", "1", "x7"]


REFUSED = {
    "columns": (lambda f: write(f / "b.parquet", ROWS[:2], "id, p"), "have different columns .more: none; fewer: y"),
    "types": (lambda f: write(f / "b.parquet", ROWS[:2], "id, p, 'a' AS y"), "'y' has type VARCHAR in .*b.parquet and"),
    "a folder without a key": (lambda f: write(f / "more" / "b.parquet", ROWS[:2]), "in a folder of its own that is not named"),
    "different keys": (lambda f: write(f / "day=1" / "b.parquet", ROWS[:2]), "folders of different keys"),
    "an id in two shards": (lambda f: write(f / "b.parquet", ROWS[:2]), "2 ids are on more than one"),
    "a link": (lambda f: (f / "c.parquet").symlink_to(f / "a.parquet"), "a file is in it twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_shards_that_are_not_one_model(case, tmp_path):
    make, message = REFUSED[case]
    folder = tmp_path / "old"
    write(folder / "a.parquet", ROWS[:4])
    make(folder)
    write(tmp_path / "new.parquet", ROWS[:4])
    with pytest.raises(BadInput) as caught:
        diff(folder, tmp_path / "new.parquet")
    assert re.search(message, str(caught.value)), str(caught.value)


def test_many_classes_in_shards(tmp_path):
    probs = np.random.default_rng(0).dirichlet(np.ones(120), 6)
    for k in range(2):
        (tmp_path / "old").mkdir(exist_ok=True)
        np.savez(tmp_path / "old" / f"{k}.npz", id=np.arange(3 * k, 3 * k + 3), probs=probs[3 * k : 3 * k + 3])
    np.testing.assert_array_equal(read(one_model(tmp_path / "old")).probs[0], probs)
