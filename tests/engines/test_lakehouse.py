"""Delta and Iceberg tables made here: today's against yesterday's, few columns, versions that are not there."""

import base64
import json
import os
import struct
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import load_catalog
from pyroaring import BitMap
from two_models import SECRET, churn, compare, model

from traintwice import measure
from traintwice.errors import BadInput, TraintwiceError
from traintwice.predictions import open_predictions


def arrow(seed):
    return duckdb.sql(model(seed)).to_arrow_table()


@pytest.fixture(scope="module")
def delta(tmp_path_factory):
    """Version 0 holds the old model, 1 the new model, 2 the new model without three rows."""
    folder = tmp_path_factory.mktemp("lake") / "preds"
    write_deltalake(str(folder), arrow(1))
    write_deltalake(str(folder), arrow(2), mode="overwrite")
    DeltaTable(str(folder)).delete("id < 3")
    return folder


def test_delta_versions(delta, expected):
    found = compare(f"{delta}@0", f"{delta}@1")
    assert churn(found) == churn(expected)
    assert found.alignment.files == (f"{delta}@0", f"{delta}@1")
    with open_predictions([str(delta), f"{delta}@2"]) as newest:
        assert newest.summary.rows == 397


def test_delta_against_a_file(delta, local, expected):
    assert churn(compare(str(delta) + "@0", local / "new.parquet")) == churn(expected)


def test_delta_at_a_date(delta, expected, tmp_path):
    for number, day in enumerate((25, 26, 27)):
        log = delta / "_delta_log" / f"{number:020}.json"
        moment = datetime(2026, 11, day, 12, tzinfo=UTC)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = int(moment.timestamp() * 1000)
        log.write_text("\n".join(map(json.dumps, lines)) + "\n")
        os.utime(log, (moment.timestamp(), moment.timestamp()))
    assert churn(compare(f"{delta}@2026-11-26", f"{delta}@2026-11-26T12:00:01Z")) == churn(expected)
    with pytest.raises(BadInput, match="has no version that old; its history begins at 2026-11-25 12:00:00 UTC"):
        compare(f"{delta}@2026-11-25", f"{delta}@1")


def test_only_the_needed_columns_of_delta(delta, monkeypatch):
    asked = []
    scan = DeltaTable.scan
    monkeypatch.setattr(
        DeltaTable, "scan", lambda self, columns=None, **o: asked.append(columns) or scan(self, columns=columns, **o)
    )
    compare(f"{delta}@0", f"{delta}@1", by=None)
    assert [sorted(columns) for columns in asked if columns] == [["id", "p", "y"]] * 2


def test_delta_on_s3(bucket, expected):
    write_deltalake("s3://preds/lake/preds", arrow(1))
    write_deltalake("s3://preds/lake/preds", arrow(2), mode="overwrite")
    assert churn(compare("s3://preds/lake/preds@0", "s3://preds/lake/preds")) == churn(expected)


def test_deletion_vectors(tmp_path):
    """Rows that a deletion vector deletes are not there."""
    folder = tmp_path / "preds"
    write_deltalake(str(folder), arrow(1))
    add_deletion_vector(folder, [0, 5])
    with open_predictions(str(folder)) as found:
        assert found.summary.rows == 398
        assert not {0, 5} & set(found.read().ids.tolist())


def add_deletion_vector(folder, rows):
    """A second version of a Delta table, in which some rows of its one file are deleted as Spark does it: by an inline vector."""
    bitmap = BitMap(rows).serialize()
    content = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    log = folder / "_delta_log"
    first = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    (added,) = [line["add"] for line in first if "add" in line]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
    padded = content + b"\0" * (-len(content) % 4)
    vector = {
        "storageType": "i",
        "pathOrInlineDv": z85(padded),
        "sizeInBytes": len(content),
        "cardinality": len(rows),
    }
    lines = [
        {"commitInfo": {"timestamp": 1, "operation": "DELETE"}},
        {"protocol": protocol},
        {"remove": {"path": added["path"], "deletionTimestamp": 1, "dataChange": True}},
        {"add": added | {"deletionVector": vector}},
    ]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, lines)) + "\n")


def z85(content):
    ours = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    theirs = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    return base64.b85encode(content).decode().translate(str.maketrans(ours, theirs))


@pytest.fixture(scope="module")
def iceberg():
    """The folder of a table with three snapshots, and their numbers."""
    catalog = load_catalog("local")
    catalog.create_namespace("ml")
    old, new = arrow(1), arrow(2)
    table = catalog.create_table("ml.preds", schema=old.schema)
    table.append(old)
    table.overwrite(new)
    table.manage_snapshots().create_tag(table.history()[0].snapshot_id, "released").commit()
    table.delete("id < 3")
    return Path(table.location().removeprefix("file://")), [entry.snapshot_id for entry in table.history()], table


def test_iceberg_snapshots(iceberg, expected):
    _, snapshots, table = iceberg
    new = snapshots[-2]
    assert churn(compare(f"iceberg://local/ml.preds@{snapshots[0]}", f"iceberg://local/ml.preds@{new}")) == churn(expected)
    metadata = table.metadata_location.removeprefix("file://")
    assert churn(compare(f"{metadata}@released", f"{metadata}@{new}")) == churn(expected)
    with open_predictions("iceberg://local/ml.preds") as newest:
        assert newest.summary.rows == 397


def test_iceberg_folder(iceberg, expected):
    folder, snapshots, table = iceberg
    with pytest.raises(BadInput, match=r"cannot be read as an Iceberg table .*version-hint"):
        measure(str(folder))
    hint = folder / "metadata" / "version-hint.text"
    hint.write_text(Path(table.metadata_location).name)
    assert churn(compare(f"{folder}@released", f"{folder}@{snapshots[-2]}")) == churn(expected)


BAD = {
    "delta version": ("{delta}@9", "there is no version 9; the newest is 2"),
    "delta word": ("{delta}@newest", "got version 'newest', expected a number from 0 to 2, or a date"),
    "snapshot": ("iceberg://local/ml.preds@9", "there is no snapshot '9'; snapshots are .*; names are .*released"),
    "date before": ("iceberg://local/ml.preds@2020-01-01", "there is no snapshot '2020-01-01'"),
    "no table": ("iceberg://local/ml.none", "cannot be read as an Iceberg table .NoSuchTableError"),
    "no catalog": ("iceberg://nowhere/ml.preds", "cannot be read as an Iceberg table"),
    "no namespace": ("iceberg://local/preds", "expected iceberg://CATALOG/NAMESPACE.TABLE"),
    "a file": ("{file}@3", "no such file; @3 is for versions of Delta and Iceberg tables"),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_are_not_there(case, delta, iceberg, local):
    name, message = BAD[case]
    name = name.format(delta=delta, file=local / "old.parquet")
    with pytest.raises(TraintwiceError, match=message) as caught:
        compare(name, local / "new.parquet")
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_rows_of_tables_have_no_order(delta):
    with pytest.raises(BadInput, match="the rows of a table have no order"):
        compare(f"{delta}@0", f"{delta}@1", by_position=True)


def test_a_table_whose_files_are_gone(tmp_path, local):
    folder = tmp_path / "preds"
    write_deltalake(str(folder), arrow(1))
    for path in folder.glob("*.parquet"):
        path.unlink()
    with pytest.raises(BadInput, match="preds: "):
        compare(str(folder), local / "new.parquet")


def test_half_a_log(tmp_path, local):
    folder = tmp_path / "preds"
    write_deltalake(str(folder), arrow(1))
    log = folder / "_delta_log" / f"{0:020}.json"
    log.write_bytes(log.read_bytes()[:200])
    with pytest.raises(BadInput, match="preds: cannot be read as a Delta table"):
        compare(str(folder), local / "new.parquet")


def test_wide_tables(tmp_path):
    names = [f"p_{k}" for k in range(120)]
    table = pa.table({"id": range(3), **{name: [1 / 120] * 3 for name in names}, "note": ["x"] * 3})
    write_deltalake(str(tmp_path / "preds"), table)
    with open_predictions(str(tmp_path / "preds")) as found:
        assert found.read().probs.shape == (1, 3, 120)
