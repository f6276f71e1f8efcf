"""Outcomes from any table by the names of its columns."""

import gzip
import json

import numpy as np
import pytest

import log_files
from traintwice.errors import BadInput, UnknownName
from traintwice.logs import read_log

ROWS = [
    {"doc": {"id": i}, "scores": {"ok": ok}, "resps": [[text]], "gold": "a", "round": 1}
    for i, (ok, text) in enumerate([(True, "a"), (0.5, "b"), (None, "c"), ("C", "a")])
]

ALL = {"correct": "scores.ok", "id": "doc.id", "answer": "resps.0.0", "target": "gold", "draw": "round"}


def parquet(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = {True: 1.0, 0.5: 0.5, None: None, "C": 1.0}
    pq.write_table(pa.Table.from_pylist([row | {"scores": {"ok": values[row["scores"]["ok"]]}} for row in ROWS]), path)
    return path


def csv(path):
    lines = [
        f'"{{""id"": {i}}}",{ok},"[[""{text}""]]",a,1'
        for i, (ok, text) in enumerate(zip(["true", "0.5", "", "C"], "abca", strict=True))
    ]
    path.write_text("\n".join(["doc,ok,resps,gold,round", *lines]) + "\n")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_nested_columns(tmp_path, kind):
    path = {"jsonl": lambda p: log_files.jsonl(p, ROWS), "parquet": parquet, "csv": csv}[kind](tmp_path / "table")
    found = read_log(path, **ALL | ({"correct": "ok"} if kind == "csv" else {}))
    assert found.layout == "columns"
    assert found.items == ["0", "1", "2", "3"]
    np.testing.assert_array_equal(found.correct, [1, 0.5, np.nan, 1])
    assert found.answers == ["a", "b", "c", "a"]
    assert found.targets == ["a"] * 4
    assert found.warnings == ("1 of 4 rows have no score.",)
    assert set(found.columns()) == {"item", "task", "correct", "answer", "target"}


def test_packed_logs_and_arrays(tmp_path):
    rows = [{"id": i, "right": verdict} for i, verdict in enumerate(["pass", "incorrect", "C"])]
    packed, array = tmp_path / "a.jsonl.gz", tmp_path / "a.json"
    packed.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    array.write_text(json.dumps(rows))
    for path in (packed, array):
        assert read_log(path, correct="right").correct.tolist() == [1, 0, 1]
    samples = {"doc_id": 0, "resps": [["4"]], "filtered_resps": ["4"], "acc": 1.0}
    packed.write_bytes(gzip.compress(json.dumps(samples).encode()))
    assert read_log(packed).correct.tolist() == [1]
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"cannot be read .* it may be cut short"):
        read_log(packed)
    array.write_text('[{"id": 1, "right": 1}, 2]')
    with pytest.raises(BadInput, match="element 2 of the array is not an object"):
        read_log(array, correct="right")


def test_mistakes_are_named(tmp_path):
    path = log_files.jsonl(tmp_path / "log", ROWS)
    with pytest.raises(UnknownName, match=r"no column named 'resp.0.0'. Did you mean 'resps'\? \(answer in"):
        read_log(path, **ALL | {"answer": "resp.0.0"})
    with pytest.raises(UnknownName, match=r"no column named 'score"):
        read_log(path, **ALL | {"correct": "score.ok"})
    with pytest.raises(BadInput, match=r"gold is not a score \(first: 'a' in line 1\)"):
        read_log(path, correct="gold", id="doc.id")
    with pytest.raises(BadInput, match=r"no column for the id of an item. Pass --id; columns: doc, scores"):
        read_log(path, correct="scores.ok")
    with pytest.raises(BadInput, match=r"line 1 has no doc.name"):
        read_log(path, correct="scores.ok", id="doc.name")
    with pytest.raises(BadInput, match=r"same item more than once"):
        read_log(path, correct="scores.ok", id="gold")
    with pytest.raises(BadInput, match=r"gold is 'a' in line 1. Expected a whole number"):
        read_log(path, **ALL | {"draw": "gold"})
    with pytest.raises(BadInput, match=r"without correct"):
        read_log(path, answer="resps.0.0")
    with pytest.raises(BadInput, match=r"with --scorer, --filter or --task"):
        read_log(path, correct="scores.ok", scorer="x")


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(2))
    with pytest.raises(BadInput, match=r"a zip file. Expected JSONL, CSV or Parquet"):
        read_log(tmp_path / "a.npz", correct="a")
    with pytest.raises(BadInput, match=r"a folder"):
        read_log(tmp_path, correct="a")
    (tmp_path / "empty").touch()
    with pytest.raises(BadInput, match=r"cannot be read|no results of items"):
        read_log(tmp_path / "empty", correct="a")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 something")
    with pytest.raises(BadInput, match=r"cannot be read"):
        read_log(tmp_path / "b.parquet", correct="a")


def test_draws_by_a_column(tmp_path):
    rows = [{"id": i, "ok": d == 1, "draw": d} for i in range(2) for d in range(3)]
    found = read_log(log_files.jsonl(tmp_path / "log", rows), correct="ok", draw="draw")
    assert found.draws.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_draw_that_is_no_number_is_not_quoted_where_rows_are_kept_out(tmp_path):
    path = log_files.jsonl(tmp_path / "log", [{"id": 1, "ok": True, "draw": "zebra"}])
    with pytest.raises(BadInput, match=r"draw is 'zebra' in line 1") as told:
        read_log(path, correct="ok", draw="draw")
    assert "zebra" not in told.value.without_cells
    assert told.value.without_cells.endswith("draw is not a whole number. Expected a whole number for each draw.")
