from dataclasses import replace

import duckdb
import numpy as np
import pytest

from traintwice.data import Table
from traintwice.errors import BadInput, BadSpec

RNG = np.random.default_rng(4)
ROWS = [
    (
        i,
        float(RNG.normal()),
        int(RNG.integers(0, 9)),
        ["red", "green", None][i % 3],
        bool(i % 2),
        ["away", "home"][(i * 7) % 5 < 2],
    )
    for i in range(60)
]
COLUMNS = ("id", "x", "n", "colour", "odd", "bought")


def write(path, rows=ROWS, columns=COLUMNS):
    text = "\n".join([",".join(columns), *(",".join("" if v is None else str(v) for v in row) for row in rows)])
    path.write_text(text + "\n")
    return str(path)


@pytest.fixture
def source(tmp_path):
    return Table(write(tmp_path / "t.csv"), "bought", validation=10, test=15, leave_out=("id",))


def by_definition(rows, train):
    """x, n, (colour: "", green, red), (odd: false, true), row by row."""
    out = []
    for row in rows:
        line = []
        for column in (1, 2):
            known = [ROWS[i][column] for i in train]
            line.append((row[column] - np.mean(known)) / np.std(known))
        line += [float((row[3] or "") == value) for value in ("", "green", "red")]
        line += [float(row[4] == value) for value in (False, True)]
        out.append(line)
    return np.array(out)


@pytest.mark.parametrize("kind", ["csv", "parquet", "csv.gz"])
def test_numbers_and_categories(source, tmp_path, kind):
    if kind != "csv":
        file = str(tmp_path / f"t.{kind}")
        duckdb.sql(f"COPY (SELECT * FROM read_csv('{source.file}')) TO '{file}'")
        source = replace(source, file=file)
    data = source.load()
    ids = np.concatenate([s.inputs for s in replace(source, leave_out=()).load().splits.values()])[:, 0]
    order = np.argsort(np.argsort(ids)).tolist()  # standardised ids keep their order
    assert sorted(order) == list(range(60))
    expected = by_definition([ROWS[i] for i in order], order[:35])
    np.testing.assert_allclose(np.concatenate([s.inputs for s in data.splits.values()]), expected, atol=1e-6)
    names = [data.class_names[y] for s in data.splits.values() for y in s.labels]
    assert names == [ROWS[i][5] for i in order]
    assert (data.classes, data.class_names, data.pixels) == (2, ("away", "home"), None)


def test_labels_of_numbers_are_in_their_order(source, tmp_path):
    rows = [(*row[:5], [10, 9, 100][i % 3]) for i, row in enumerate(ROWS)]
    assert replace(source, file=write(tmp_path / "u.csv", rows)).load().class_names == ("9", "10", "100")


def test_values_that_training_has_not_seen_are_0_everywhere(source, tmp_path):
    data = source.load()
    ids = np.concatenate([s.inputs for s in replace(source, leave_out=()).load().splits.values()])[:, 0]
    last = int(np.argsort(np.argsort(ids))[-1])  # a row of the test split
    rows = [(*row[:3], "violet" if i == last else row[3], *row[4:]) for i, row in enumerate(ROWS)]
    changed = replace(source, file=write(tmp_path / "u.csv", rows)).load()
    assert changed.shape == data.shape
    assert changed.test.inputs[-1, 2:5].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(changed.train.inputs, data.train.inputs)


def test_numbers_that_are_categories(source):
    data = replace(source, categories=("n",)).load()
    assert 5 < data.shape[0] - 6 <= len({row[2] for row in ROWS})
    assert set(np.unique(data.train.inputs[:, 1:])) == {0.0, 1.0}
    with pytest.raises(BadInput, match=r"column 'n' has \d+ values, more than 3; list it in leave_out, or raise most_values"):
        replace(source, categories=("n",), most_values=3).load()


def test_missing_numbers(source, tmp_path):
    rows = [(row[0], None if i < 30 else 2.0 + (i % 2), *row[2:]) for i, row in enumerate(ROWS)]
    gaps = replace(source, file=write(tmp_path / "u.csv", rows))
    with pytest.raises(BadInput, match=r"column 'x' has 30 missing or infinite numbers; set missing = \"mean\""):
        gaps.load()
    filled = replace(gaps, missing="mean").load().train.inputs[:, 0]
    assert len(np.unique(filled)) == 3
    assert (filled == 0).any()
    assert abs(filled.mean()) < 1e-6


def test_a_column_of_one_value_is_0(source, tmp_path):
    rows = [(row[0], 3.5, *row[2:]) for row in ROWS]
    assert not replace(source, file=write(tmp_path / "u.csv", rows)).load().train.inputs[:, 0].any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"label": "sold"}, "no column 'sold'; it has id, x, n, colour, odd, bought"),
        ({"leave_out": ("size",)}, "no column 'size'"),
        ({"label": "x", "leave_out": ("id",)}, "'x' has 60 values in 60 rows, expected at least two classes"),
        ({"leave_out": ("id", "x", "n", "colour", "odd")}, "no column for inputs"),
        ({"train": 50}, "expected positive numbers of sum at most 60"),
    ],
)
def test_what_does_not_fit_the_file(source, settings, said):
    with pytest.raises(BadInput, match=said):
        replace(source, **settings).load()


def test_files_that_are_none(source, tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.csv: no such file"):
        replace(source, file=str(tmp_path / "nothing.csv")).load()
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"a\.parquet: reading: "):
        replace(source, file=str(tmp_path / "a.parquet")).load()
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(BadInput, match=r"got a file ending in \.xlsx, expected one of \.parquet"):
        replace(source, file=str(tmp_path / "a.xlsx")).load()
    rows = [(*row[:5], None if i == 3 else row[5]) for i, row in enumerate(ROWS)]
    with pytest.raises(BadInput, match="1 rows have no label in 'bought'"):
        replace(source, file=write(tmp_path / "u.csv", rows)).load()
    with pytest.raises(BadInput, match="column 'when' has type DATE, which is neither numeric nor categorical"):
        replace(source, file=write(tmp_path / "v.csv", [(*r, "2024-01-01") for r in ROWS], (*COLUMNS, "when"))).load()


@pytest.mark.parametrize("settings", [{"missing": "zero"}, {"most_values": 1}, {"categories": ("bought",)}])
def test_settings_out_of_range(source, settings):
    with pytest.raises(BadSpec, match=r"Table\."):
        replace(source, **settings)
