"""Columns that other tools write: vectors of Spark, lists as text, NA, rounded probabilities, missing answers, nested fields."""

import decimal
import gzip
import io
import json

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import open_predictions, open_rows
from traintwice.predictions._source import WIDE

P = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.25, 0.5, 0.25]]


def read(*given, **options):
    with open_predictions(list(given), **options) as opened:
        return opened.read(), opened.summary


def text(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_vectors_of_spark(tmp_path):
    dense = "{'type': 1::TINYINT, 'size': NULL::INTEGER, 'indices': NULL::INTEGER[], 'values': [0.7, 0.2, 0.1]::DOUBLE[]}"
    sparse = "{'type': 0::TINYINT, 'size': 3, 'indices': [0, 2], 'values': [0.4, 0.6]::DOUBLE[]}"
    path = tmp_path / "a.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS id, {dense} AS probability UNION ALL SELECT 2, {sparse}) TO '{path}' (FORMAT parquet)")
    found, summary = read(path)
    assert found.probs[0].tolist() == [[0.7, 0.2, 0.1], [0.4, 0.0, 0.6]]
    assert summary.layouts[0].startswith("3 classes in the list probability")


@pytest.mark.parametrize(("first", "second"), [("label", "score"), ("prob", "label")])
@pytest.mark.parametrize("options", [{"probs": ["found"]}, {"probs": ["found"], "classes": ["dog", "ant", "cat"]}])
def test_pairs_of_a_class_and_its_probability(first, second, options, tmp_path):
    """Every row is sorted by probability."""
    rows = [{"ant": 0.1, "cat": 0.7, "dog": 0.2}, {"ant": 0.6, "cat": 0.1, "dog": 0.3}]

    def pair(name, value):
        return dict(zip((first, second), (name, value) if first == "label" else (value, name), strict=True))

    lines = [
        json.dumps({"id": n, "y": "cat", "found": [pair(*e) for e in sorted(row.items(), key=lambda e: -e[1])]})
        for n, row in enumerate(rows)
    ]
    found, _ = read(text(tmp_path / "a.jsonl", *lines), **options)
    names = options.get("classes", ["ant", "cat", "dog"])
    assert found.probs[0].tolist() == [[row[name] for name in names] for row in rows]
    assert (found.labels.tolist(), list(found.class_names)) == ([names.index("cat")] * 2, names)
    with pytest.raises(BadInput, match="pass --probs"):
        read(tmp_path / "a.jsonl")
    lines[1] = lines[1].replace("dog", "emu")
    with pytest.raises(BadInput, match=r"name different classes \(.*emu.*\); every row needs the probabilities of all classes"):
        read(text(tmp_path / "b.jsonl", *lines), **options)


@pytest.mark.parametrize(
    "lines", [["id, p, y", "1, 0.7, 1"], ['id;p;y;"a, b, c, d, e"', '1;0.7;1;"x,y"'], ['"id"\t"p"\t"y"', '"1"\t"0.7"\t"1"']]
)
def test_headers(lines, tmp_path):
    found, summary = read(text(tmp_path / "a.csv", *lines))
    assert (found.probs[0, :, 1].tolist(), found.labels.tolist(), summary.label) == ([0.7], [1], "y")


REFUSED = {
    "sep=": (["sep=;", "id;p", "1;0.7"], "the first line 'sep=;' is for Excel alone; delete it"),
    "mixed line ends": (["id,p\r", "1,0.7", "2,0.1\r"], r"lines end in different ways .*as dos2unix does"),
    "double carriage returns": (["id,p\r\r", "1,0.7\r\r"], r"lines end in different ways"),
    "decimal comma": (["id;p", "1;0,7", "2;0,1"], r"2 of 2 rows have no number in 'p' \(first: row 0: '0,7'\); .*with a point"),
    "lists of words": (
        ["id,probs", '1,"[0.4, 0.6]"', '2,"[a, b]"'],
        r"1 of 2 rows have no number in 'probs' \(first: row 1: '\[a, b\]'\).*; lists as \[0\.1, 0\.9\]",
    ),
    "lists of quoted numbers": (["id,probs", """1,"['0,4', '0,6']\""""], r"1 of 1 rows have no number in 'probs'"),
    "percent": (["id,p", "1,NA", "2,12%"], r"1 of 2 rows have no number in 'p' \(first: row 1: '12%'\)"),
    "truth values in a usual name": (
        ["id,p", "1,True", "2,False"],
        r"2 of 2 rows have no number in 'p' \(first: row 0: 'True'\)",
    ),
    "two files in one": (["id,pred,y", "1,a,b", "\ufeffid, pred,y", "2,a,b"], r"1 rows repeat the names .* \(first: row 1\)"),
    "label outside": (
        ["id,p,y", "1,0.2,2"],
        r"not one of the classes 0 … 1 \(first: row 0, id 1: 2\).*A score is for two classes",
    ),
    "a title": (
        ["My results", "id,p", "1,0.2"],
        r"the first line is one name \('My results'\); expected the names of all columns",
    ),
    "one column": (["id p", "1 0.2"], r"The columns are id p \(one column: lines are cut at , ; \| or tabs\)"),
    "three labels for a score": (
        ["id,p,y", "1,0.2,a", "2,0.3,b", "3,0.3,c"],
        r"'p' is a score, which is for two; pass --probs with",
    ),
    "confidence": (
        ["id,pred,p", "1,0,0.9", "2,1,0.8"],
        r"'p' and 'pred' may both be the predictions, .*Pass --probs pred to compare",
    ),
    "another threshold": (
        ["id,pred,p", "1,no,0.1", "2,yes,0.4", "3,yes,0.6"],
        r"'pred' does not say on which side of 0.5 'p' is",
    ),
    "another rule": (
        ["id,p_0,p_1,pred", "1,0.6,0.4,1", "2,0.2,0.8,1"],
        "the largest probability is not always that of the predicted",
    ),
    "a label of every list": (["id,probs,pred", '1,"[0.6, 0.4]",a', '2,"[0.2, 0.8]",a'], r"Pass --probs pred to compare labels"),
    "another order of the classes": (["id,p_cat,p_dog,pred", "1,0.6,0.4,dog", "2,0.2,0.8,cat"], "columns are in another order"),
    "predicted labels in floating point": (["id,pred", "1,2.0", "2,1.0"], "write predicted labels as integers or text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, tmp_path):
    lines, message = REFUSED[case]
    with pytest.raises(BadInput, match=message):
        read(text(tmp_path / "a.csv", *lines))


@pytest.mark.parametrize("predicted", [("0", "1", "1"), ("0.0", "0.0", "1.0"), ("no", "yes", "yes"), ("False", "True", "")])
def test_predicted_labels_that_agree_with_the_largest_probability(predicted, tmp_path):
    """The second row is a tie, as after rounding."""
    probs = ("0.7,0.3", "0.5,0.5", "0.2,0.8")
    rows = [f"{i},{p},{label}" for i, (p, label) in enumerate(zip(probs, predicted, strict=True))]
    found, _ = read(text(tmp_path / "a.csv", "id,p_0,p_1,pred", *rows))
    assert found.probs[0].tolist() == [[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]]


@pytest.mark.parametrize(
    "form",
    [
        '"[0.7, 0.2, 0.1]"',
        "[0.7 0.2  0.1]",
        '"[np.float64(0.7), np.float32(0.2), np.float64(1e-1)]"',
        '" [0.7,0.2,\n 0.1] "',
        '"[7e-1, .2, 0.1]"',
    ],
)
def test_lists_as_text(form, tmp_path):
    found, _ = read(text(tmp_path / "a.csv", "id,probs", f"1,{form}", '2,"[0.1, 0.3, 0.6]"'))
    assert found.probs[0].tolist() == P[:2]


@pytest.mark.parametrize("orient", ["columns", "split", "list"])
def test_a_whole_table_in_one_json_object(orient, tmp_path):
    columns = {"id": [1, 2], "p": [0.5, 0.6]}
    by_row = {name: dict(zip("01", cells, strict=True)) for name, cells in columns.items()}
    split = {"columns": ["id", "p"], "index": [0, 1], "data": [[1, 0.5], [2, 0.6]]}
    content = {"columns": by_row, "split": split, "list": columns}[orient]
    with pytest.raises(BadInput, match=r"holds one JSON object .*; expected an object on each line, as pandas writes"):
        read(text(tmp_path / "a.json", json.dumps(content)))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"ORC\0", "a.bin: is ORC, which is not read; write Parquet or CSV"),
        (b"\x89HDF\r\n", "is HDF5"),
        (b"\x80\x04\x95", r"is a pickle \(it may run code\)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull fetches it"),
    ],
)
def test_formats_that_are_not_read(start, message, tmp_path):
    (tmp_path / "a.bin").write_bytes(start)
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "a.bin")


def test_names_of_classes_in_nested_fields():
    table = pa.table({"id": [1, 2], "probs": [{"cat": 0.9, "dog": 0.1}, {"cat": 0.2, "dog": 0.8}], "y": ["cat", "cat"]})
    found, _ = read(table, probs=["probs.dog", "probs.cat"])
    assert (found.class_names, found.votes.tolist(), found.labels.tolist()) == (("dog", "cat"), [[1, 0]], [1, 1])
    scores = pa.table({"id": [1], "scores": [[{"label": "a", "rank": 0, "score": 0.9}]]})
    for given, message in ((table, r"name its parts, as probs\.FIELD"), (scores, r"name its parts, as scores\.0\.FIELD")):
        with pytest.raises(BadInput, match=message):
            read(given)


def test_columns_that_cannot_be_read_are_named():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    half = pa.array(np.array([0.5], np.float16))
    for table, message in (
        (pa.table({"id": [1], "p": half}), "column 'p' cannot be read from a Table .*convert to float32"),
        (pandas.DataFrame({"id": [1], "p": [0.5], "z": [1j]}), "column 'z' cannot be read from a DataFrame"),
        (
            polars.DataFrame({"id": [1], "p": [0.5]}).with_columns(id=polars.col("id").cast(polars.Int128)),
            "column 'id' cannot be",
        ),
    ):
        with pytest.raises(BadInput, match=message):
            read(table)


class Result:
    """A result that gives a table on demand, as those of Spark and BigQuery do."""

    columns = ("id", "p")

    def to_arrow(self):
        return pa.table({"id": [1, 2], "p": [0.9, 0.1]})


def test_results_that_give_a_table():
    assert read(Result())[0].votes.tolist() == [[1, 0]]


@pytest.mark.parametrize(("labels", "positive"), [([2, 1, 2], "2"), ([-1.0, 1.0, 1.0], "1"), ([1, 2, 2], "1")])
def test_the_positive_of_two_numbers(labels, positive, tmp_path):
    truth = [int(float(positive) == label) for label in labels]
    score = np.array([0.9, 0.2, 0.8])
    lines = [f"{n},{p},{y}" for n, (p, y) in enumerate(zip(score, labels, strict=True))]
    found, summary = read(text(tmp_path / "a.csv", "id,p,y", *lines), positive=positive)
    assert (found.labels.tolist(), found.votes.tolist(), summary.positive) == (truth, [[1, 0, 1]], positive)
    with open_rows([score, score], label=np.array(labels), positive=positive) as rows:
        assert rows.read().labels.tolist() == truth


def test_a_score_with_its_predicted_label(tmp_path):
    file = text(tmp_path / "a.csv", "id,p,pred", "1,0.9,yes", "2,0.2,no", "3,0.5,yes")
    assert read(file)[0].votes.tolist() == [[1, 0, 0]]
    inverted = text(tmp_path / "c.csv", "id,p,pred,y", "1,0.9,0,0", "2,0.2,1,0", "3,0.9,0,1")
    with pytest.raises(
        BadInput, match=r"'p' is (above|below) 0.5 where 'pred' is (0|1), as the probability of the other class is"
    ):
        read(inverted)
    found, _ = read(inverted, positive="0")
    assert (found.class_names, found.labels.tolist(), found.votes.tolist()) == (("1", "0"), [1, 1, 0], [[1, 0, 1]])
    other = text(tmp_path / "b.csv", "id,p,pred", "1,0.9,yes", "2,0.8,no")
    assert read(other, probs="p")[0].votes.tolist() == [[1, 1]]
    assert read(other, probs="pred")[0].votes.tolist() == [[1, 0]]


def test_predictions_that_are_called_labels(tmp_path):
    files = [
        text(tmp_path / f"{n}.csv", "id,label,gold", *rows) for n, rows in enumerate((["1,a,a", "2,b,a"], ["1,a,a", "2,a,a"]))
    ]
    found, summary = read(*files, probs="label")
    assert (found.votes.tolist(), summary.label) == ([[0, 1], [0, 0]], None)
    found, _ = read(*files, probs="label", label="gold")
    assert (found.votes.tolist(), found.labels.tolist()) == ([[0, 1], [0, 0]], [0, 0])


def test_a_list_as_text_that_is_cut_short(tmp_path):
    with pytest.raises(BadInput, match=r"1 of 2 rows have no number in 'probs' \(first: row 1: '\[0.1 \.\.\. 0.6\]'\)"):
        read(text(tmp_path / "a.csv", "id,probs", '1,"[0.7, 0.2, 0.1]"', '2,"[0.1 ... 0.6]"'))


@pytest.mark.parametrize("missing", ["NA", "NULL", "none", "#N/A", "\\N", "-", ".", "?", ""])
def test_missing_numbers(missing, tmp_path):
    found, summary = read(text(tmp_path / "a.csv", "id,p,y", f"1,0.7,{missing}", "2,0.1,0", "3,0.9,1"))
    assert found.labelled.tolist() == [False, True, True]
    assert summary.labelled == 2
    assert summary.class_names is None


def test_na_among_names_is_a_name(tmp_path):
    _, summary = read(text(tmp_path / "a.csv", "id,pred", "1,NA", "2,yes", "3,no"))
    assert summary.class_names == ("NA", "no", "yes")


@pytest.mark.parametrize("rows", [["0.333,0.333,0.333"], ["0.33,0.33,0.33", "0.34,0.34,0.33"], ["0.001,0.002,0.999"]])
def test_rounded_probabilities(rows, tmp_path):
    found, _ = read(text(tmp_path / "a.csv", "id,p_0,p_1,p_2", *(f"{i},{row}" for i, row in enumerate(rows))))
    assert found.probs[0, 0].tolist() == [float(p) for p in rows[0].split(",")]


@pytest.mark.parametrize("row", ["0.33,0.33,0.32", "0.3334,0.3334,0.3", "33.3,33.3,33.3", "0.5,0.5,0.5"])
def test_sums_that_rounding_does_not_explain(row, tmp_path):
    with pytest.raises(BadInput, match="do not sum to 1"):
        read(text(tmp_path / "a.csv", "id,p_0,p_1,p_2", f"1,{row}"))


KINDS = {
    "score": ("id,p", ["1,0.2", "2,", "3,0.9"], ["1,0.3", "2,0.4", "3,NaN"], [1]),
    "columns": ("id,p_0,p_1", ["1,0.2,0.8", "2,,", "3,0.5,0.5"], ["3,0.1,0.9", "1,0.4,0.6", "2,1,0"], [1, 3]),
    "labels": ("id,pred", ["1,0", "2,", "3,1"], ["1,0", "2,1", "3,1"], [1, 3]),
    "lists": ("id,probs", ['1,"[0.2,0.8]"', "2,", '3,"[1,0]"'], ['1,"[0.2,0.8]"', '2,"[1,0]"', '3,"[1,0]"'], [1, 3]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_an_answer(kind, tmp_path):
    header, old, new, kept = KINDS[kind]
    files = text(tmp_path / "old.csv", header, *old), text(tmp_path / "new.csv", header, *new)
    with pytest.raises(BadInput, match=r"--on-missing drop leaves these rows out|missing|NaN"):
        read(*files)
    found, summary = read(*files, on_missing="drop")
    assert sorted(found.ids.tolist()) == kept
    assert summary.dropped == (3 - len(kept),) * 2


@pytest.mark.parametrize("columns", [{"p": [0.2, np.nan, 0.9]}, {"p_0": [0.2, np.nan, 0.1], "p_1": [0.8, np.nan, 0.9]}])
def test_rows_of_parquet_without_an_answer(columns, tmp_path):
    pq.write_table(
        pa.table({"id": [1, 2, 3], **{name: pa.array(np.array(cells)) for name, cells in columns.items()}}),
        tmp_path / "a.parquet",
    )
    found, summary = read(tmp_path / "a.parquet", on_missing="drop")
    assert (found.ids.tolist(), summary.dropped) == ([1, 3], (1,))


def test_many_rows_without_an_answer_in_both_files(monkeypatch):
    monkeypatch.setattr("traintwice.predictions._matching.RANGE_ROWS", 8)
    p = np.random.default_rng(0).random(100)
    table = {"id": np.arange(100), "p": np.where(np.arange(100) % 3 == 0, np.nan, p)}
    with open_predictions([table, table], on_missing="drop") as opened:
        assert opened.sums({"p": "p0_1", "rows": "1"}) == pytest.approx({"p": np.nansum(table["p"]), "rows": 66})


def test_names_of_nested_fields(tmp_path):
    rows = [{"doc": {"id": i, "y": i % 2}, "r": [[0.2, 0.8], [0.5, 0.5]]} for i in range(3)]
    path = text(tmp_path / "a.jsonl", *map(json.dumps, rows))
    found, _ = read(path, id="doc.id", label="doc.y", probs="r.0")
    assert found.ids.tolist() == [0, 1, 2]
    assert found.labels.tolist() == [0, 1, 0]
    assert found.probs[0].tolist() == [[0.2, 0.8]] * 3
    for name, message in {"doc.z": "no field 'doc.z'", "r.x": "name an entry by its number", "no.such": "no column"}.items():
        with pytest.raises(BadInput, match=message):
            read(path, id=name, probs="r.0")


WAYS = ["npz", "npy", "csv", "columns", "names", "logits"]


@pytest.mark.parametrize("way", WAYS)
def test_many_classes(way, tmp_path):
    classes = WIDE + 20
    probs = np.random.default_rng(1).dirichlet(np.ones(classes), 5)
    labels, ids, options = np.arange(5) * 20, np.arange(5) + 7, {}
    path = tmp_path / f"a.{'parquet' if way not in ('npz', 'npy', 'csv') else way}"
    names = [f"{'logit' if way == 'logits' else 'p'}_{f'c{k:03}' if way == 'names' else k}" for k in range(classes)]
    values = np.log(probs) + 3 if way == "logits" else probs
    if way == "npz":
        np.savez(path, id=ids, probs=probs, y=labels)
    elif way == "npy":
        np.save(path, probs)
        options = {"by_position": True}
    else:
        plain = text(tmp_path / "plain.csv", ",".join(["y", *names[::-1], "id"]))
        with plain.open("a") as file:
            for i, row, y in zip(ids, values, labels, strict=True):
                file.write(",".join([f"c{y:03}" if way == "names" else str(y), *map(repr, row[::-1].tolist()), str(i)]) + "\n")
        if way == "csv":
            plain.rename(path)
        else:
            duckdb.sql(f"COPY (FROM read_csv('{plain}')) TO '{path}' (FORMAT parquet)")
    found, summary = read(path, **options, logits=way == "logits")
    np.testing.assert_allclose(found.probs[0], probs, rtol=1e-12)
    assert summary.classes == classes
    if way != "npy":
        assert found.labels.tolist() == labels.tolist()


def test_content_says_the_format(tmp_path, monkeypatch):
    lines = ["id,p_0,p_1,p_2", *(f"{i},{','.join(map(str, row))}" for i, row in enumerate(P))]
    plain = text(tmp_path / "plain.csv", *lines)
    whole = plain.read_bytes()
    duckdb.sql(f"COPY (FROM '{plain}') TO '{tmp_path / 'columns.bin'}' (FORMAT parquet)")
    duckdb.sql(f"COPY (FROM '{plain}') TO '{tmp_path / 'lines'}' (FORMAT json)")
    duckdb.sql(f"COPY (FROM '{plain}') TO '{tmp_path / 'a.csv.zst'}' (FORMAT csv, COMPRESSION zstd)")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(whole))
    (tmp_path / "packed").write_bytes(gzip.compress(whole))
    (tmp_path / "a.txt").write_bytes(whole)
    for name in ("columns.bin", "lines", "a.csv.zst", "a.csv.gz", "packed", "a.txt"):
        assert read(tmp_path / name)[0].probs[0].tolist() == P, name
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(whole)))
    found, summary = read("-", plain)
    assert found.probs[0].tolist() == P
    assert summary.files[0] == "standard input"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(BadInput, match="standard input is empty"):
        read("-")


def test_the_checksum_of_gzip_is_verified(tmp_path):
    packed = bytearray(gzip.compress(b"id,p\n1,0.5\n2,0.25\n"))
    packed[-6] ^= 1
    (tmp_path / "a.csv.gz").write_bytes(packed)
    with pytest.raises(BadInput, match="CRC check failed"):
        read(tmp_path / "a.csv.gz")


def test_arrow_files(tmp_path):
    polars = pytest.importorskip("polars")
    path = tmp_path / "a.arrow"
    polars.DataFrame({"id": [1, 2, 3], "probs": P}).write_ipc(path)
    assert read(path)[0].probs[0].tolist() == P
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadInput, match="cannot be read as Arrow"):
        read(path)
    table = pa.table({"id": [1, 2, 3], "probs": P})
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)
    assert read(path)[0].probs[0].tolist() == P
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadInput, match="the stream has no end"):
        read(path)


def test_decimals_without_a_fraction_are_integers():
    columns = {"id": [10**17, 5, 7], "pred": [0, 2, 1], "y": [0, 2, 2], "w": [1, 2, 1]}
    for digits in (18, 38):
        kinds = {name: pa.array(list(map(decimal.Decimal, cells)), pa.decimal128(digits, 0)) for name, cells in columns.items()}
        other = pa.table({"id": [7, 10**17, 5], "pred": [1, 0, 1], "y": [2, 0, 2], "w": [1, 1, 2]})
        for tables in ((pa.table(kinds), other), (other, pa.table(kinds)), (pa.table(kinds), pa.table(kinds))):
            for options in ({}, {"classes": ["0", "1", "2"]}):
                found, _ = read(*tables, weight="w", **options)
                in_order = np.argsort(list(map(int, found.ids)))
                assert found.votes[0, in_order].tolist() in ([2, 1, 0], [1, 1, 0])
                assert (found.labels[in_order].tolist(), found.weights[in_order].tolist()) == ([2, 2, 0], [2, 1, 1])


def test_large_ids_are_written_without_loss(tmp_path):
    ids = [2**53 + 1, 2**64 + 1, 2**100 + 1]
    path = text(tmp_path / "a.csv", "id,p", *(f"{i},0.{k}" for k, i in enumerate(ids)))
    with open_predictions(path) as opened:
        opened.write(tmp_path / "rows.parquet", {"p": "p0_1"})
    found = duckdb.sql(f"FROM '{tmp_path / 'rows.parquet'}'").fetchall()
    assert sorted(found) == sorted((str(i), k / 10) for k, i in enumerate(ids))
