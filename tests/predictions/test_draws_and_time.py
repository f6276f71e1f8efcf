"""Repeated draws are counted by item; time is cut into periods that sort as time does."""

from collections import Counter
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import _aligned as reader
from traintwice.predictions import open_predictions, open_rows

RNG = np.random.default_rng(3)


def draws(items, per_item, seed, *, order=None, kind="pred", **shared):
    """A table of draws of items; shared columns hold one value for each item."""
    rng = np.random.default_rng(seed)
    rows = [(i, d) for i in items for d in range(per_item)]
    rows = [rows[k] for k in order(len(rows))] if order else rows
    ids = np.array([i for i, _ in rows])
    table = {"id": ids, "epoch": np.array([d for _, d in rows])}
    answers = rng.integers(0, 3, len(rows))
    if kind == "text":
        table["pred"] = np.array(["cat", "dog", "fox"])[answers]
    elif kind == "probs":
        table["p"] = np.eye(3)[answers] * 0.4 + 0.2
    else:
        table["pred"] = answers
    return table | {name: np.array([values[i] for i, _ in rows]) for name, values in shared.items()}, answers


def by_definition(table, answers):
    found = {}
    for i, k in zip(table["id"].tolist(), answers.tolist(), strict=True):
        found.setdefault(i, Counter())[k] += 1
    return found


@pytest.mark.parametrize("kind", ["pred", "text", "probs"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_counts_are_those_of_a_dictionary(kind, shuffled, monkeypatch):
    monkeypatch.setattr(reader, "BLOCK_ELEMENTS", 30)
    items = range(17)
    y = [i % 3 for i in items]
    labels = [["cat", "dog", "fox"][k] for k in y] if kind == "text" else y
    order = (lambda n: np.random.default_rng(9).permutation(n)) if shuffled else None
    old, of_old = draws(items, 4, 1, kind=kind, y=labels, w=[1.0 + i for i in items], g=[str(i % 2) for i in items])
    new, of_new = draws(items, 7, 2, kind=kind, order=order)
    with open_rows([old, new], draws="epoch", weight="w", by="g", cluster="g") as rows:
        assert rows.has_draws
        blocks = list(rows.items())
        assert len(blocks) > 1
        for m, expected in enumerate((by_definition(old, of_old), by_definition(new, of_new))):
            seen = {}
            for block in blocks:
                assert block.counts[m].shape == (len(block.ids), 3)
                for i, counts in zip(block.ids.tolist(), block.counts[m].tolist(), strict=True):
                    seen[i] = Counter({k: c for k, c in enumerate(counts) if c})
            assert seen == expected
        for block in blocks:
            assert block.labels.tolist() == [y[i] for i in block.ids.tolist()]
            assert block.weights.tolist() == [1.0 + i for i in block.ids.tolist()]
            assert block.groups["g"].tolist() == [str(i % 2) for i in block.ids.tolist()]
        codes = {(c, i % 2) for b in blocks for c, i in zip(b.clusters.tolist(), b.ids.tolist(), strict=True)}
        assert len(codes) == 2
        summary = rows.summary
        assert (summary.rows, summary.labelled, summary.draws, summary.clusters) == (17, 17, (68, 119), 2)
        assert "2 files · 17 items" in summary.describe()
        with pytest.raises(BadInput, match="compared by their draws, not row by row"):
            next(rows.blocks())
        rows.waive = {"3"}
        assert sum(len(block.ids) for block in rows.items()) == 16


def test_items_that_one_file_lacks():
    old, _ = draws(range(5), 2, 1)
    new, _ = draws(range(1, 5), 3, 2)
    with (
        pytest.raises(BadInput, match=r"1 of 5 ids of table 1 are missing from table 2"),
        open_rows([old, new], draws="epoch") as rows,
    ):
        list(rows.items())
    with open_rows([old, new], draws="epoch", on_missing="drop") as rows:
        assert sorted(i for block in rows.items() for i in block.ids.tolist()) == [1, 2, 3, 4]


def test_items_without_a_label():
    old, _ = draws(range(3), 2, 1, y=[1.0, np.nan, 2.0])
    with open_rows([old], draws="epoch") as rows:
        (block,) = rows.items()
        assert block.labels.tolist() == [1, -1, 2]
    old.pop("y")
    with open_rows([old], draws="epoch") as rows:
        (block,) = rows.items()
        assert (block.labels.tolist(), rows.has_labels) == ([-1, -1, -1], False)


BASE = {"id": np.array([1, 1, 2, 2]), "d": np.array([0, 1, 0, 1]), "pred": np.array([0, 1, 1, 1])}


@pytest.mark.parametrize(
    ("change", "reading", "message"),
    [
        (
            {"d": np.array([0, 0, 0, 1])},
            {},
            r"table 1: 1 draws are on more than one row; an id and a value of 'd' must name one row",
        ),
        ({"d": np.array([0, np.nan, 0, 1])}, {}, r"1 of 4 rows have no draw in 'd' \(first: row 1, id 1: missing\)"),
        ({"y": np.array([0, 0, 1, 0])}, {}, r"table 1: 1 items have several values in 'y'; expected the same in all draws"),
        ({"g": np.array(list("abaa"))}, {"by": "g"}, r"1 items have several values in 'g'"),
        ({"w": np.array([1.0, 2.0, 1.0, 1.0])}, {"weight": "w"}, r"1 items have several values in 'w'"),
        ({"c": np.array([1, 1, 1, 2])}, {"cluster": "c"}, r"1 items have several values in 'c'"),
        ({}, {"draws": "e"}, r"no column 'e' \(named by --draws\)"),
        ({"pred": np.array([0, 1, 70_000, 1])}, {}, r"predicted labels go up to 70,000"),
    ],
)
def test_draws_that_are_refused(change, reading, message):
    with pytest.raises(BadInput, match=message):
        open_predictions(BASE | change, **{"draws": "d"} | reading)


def test_draws_of_arrays():
    with open_rows(
        [BASE["pred"], 1 - BASE["pred"]], id=BASE["id"], draws=BASE["d"], label=np.array([1, 1, 0, 0]), by={"g": BASE["id"]}
    ) as rows:
        (block,) = rows.items()
        assert [c.tolist() for c in block.counts] == [[[1, 1], [0, 2]], [[1, 1], [2, 0]]]
        assert (block.labels.tolist(), block.ids.tolist()) == ([1, 0], [1, 2])
        assert (rows.groups, block.groups["g"].tolist()) == (("g",), ["1", "2"])
    with pytest.raises(BadInput, match="draws: pass id too"), open_rows([BASE["pred"]], draws=BASE["d"]):
        pass


def test_repeated_ids_name_the_options():
    with open_predictions([BASE, BASE]) as both, pytest.raises(BadInput, match=r"--cluster .*--draws COLUMN .*--on-missing drop"):
        both.read()


@pytest.mark.parametrize(
    ("step", "count", "period", "first", "last"),
    [
        (timedelta(hours=1), 48, "hour", "2024-01-30 00:00", "2024-01-31 23:00"),
        (timedelta(hours=1), 200, "day", "2024-01-30", "2024-02-07"),
        (timedelta(days=1), 40, "day", "2024-01-30", "2024-03-09"),
        (timedelta(days=1), 200, "week", "2024-W05", "2024-W33"),
        (timedelta(days=7), 200, "month", "2024-01", "2027-11"),
        (timedelta(days=30), 150, "quarter", "2024-Q1", "2036-Q2"),
        (timedelta(days=90), 150, "year", "2024", "2060"),
        (timedelta(days=400), 150, "year", "2024", "2187"),
    ],
)
@pytest.mark.parametrize("form", ["array", "csv", "parquet", "in memory"])
def test_periods(step, count, period, first, last, form, tmp_path):
    times = np.array([datetime(2024, 1, 30) + k * step for k in range(count)], dtype="datetime64[us]")
    table = {"id": np.arange(count), "p": np.full(count, 0.5), "seen": times}
    if form == "in memory":
        models, reading = [np.full(count, 0.5)], {"time": times, "id": np.arange(count)}
    else:
        models, reading = [table], {"time": "seen"}
    if form in ("csv", "parquet"):
        duckdb.register("periods", table)
        duckdb.sql(f"COPY periods TO '{tmp_path}/a.{form}'")
        models = [tmp_path / f"a.{form}"]
    with open_rows(models, **reading) as rows:
        name = "time" if form == "in memory" else "seen"
        assert (rows.groups, rows.time_axis) == ((name,), name)
        p = rows.read()
        found = p.groups[name].tolist()
        assert found == sorted(found)
        assert (found[0], found[-1]) == (first, last)
        assert len(set(found)) <= 60 or period == "year"
        if rows.files is not None:
            assert (rows.summary.time, rows.summary.period) == (name, period)
            assert f"time seen by {period}" in rows.summary.describe()
            by = rows.files.sums_by({"n": "1"}, ["seen"])
            assert [(r["seen"], r["rows"]) for r in by] == sorted(Counter(found).items())


@pytest.mark.parametrize(
    ("times", "names"),
    [
        (np.arange(2015, 2025), [str(y) for y in range(2015, 2025)]),
        (np.arange(0, 100), [f"{n + 1:02}: {5 * n} to {5 * n + 4}" for n in range(20)]),
        (np.arange(1000, 1040), [f"{k} to {k + 1}" for k in range(1000, 1040, 2)]),
        (np.linspace(0, 0.99, 100), None),
        (np.linspace(-3, 3, 100), None),
        (np.array([7.0, 7.0]), ["7 to 7.1"]),
        (np.array([5, 5]), ["5"]),
    ],
)
def test_ranges_of_numbers(times, names):
    table = {"id": np.arange(len(times)), "p": np.full(len(times), 0.5), "t": times}
    with open_predictions(table, time="t") as one:
        found = one.read().groups["t"].tolist()
    assert found == sorted(found)
    assert len(set(found)) <= 20
    if names is not None and len(set(times.tolist())) > 1:
        assert list(dict.fromkeys(found)) == names


@pytest.mark.parametrize("zone", ["+05:30", "Z", ""])
def test_texts_with_a_zone_are_times_of_utc(zone):
    clock = ["2024-03-01T00:30:00", "2024-03-01T06:00:00", "2024-03-03"]
    times = np.array([c + zone * ("T" in c) for c in clock])
    with open_predictions({"id": np.arange(3), "p": np.full(3, 0.5), "t": times}, time="t") as one:
        found = one.read().groups["t"].tolist()
    assert [p[:10] for p in found] == ["2024-02-29" if zone == "+05:30" else "2024-03-01", "2024-03-01", "2024-03-03"]


def test_times_that_are_missing_or_are_not_times():
    table = {"id": np.arange(3), "p": np.full(3, 0.5)}
    with open_predictions(table | {"t": np.array([1.0, np.nan, 3.0])}, time="t", by=None) as one:
        assert [t is None for t in one.read().groups["t"]] == [False, True, False]
    with pytest.raises(BadInput, match="no row has a time"):
        open_predictions(table | {"t": np.full(3, np.nan)}, time="t")
    with pytest.raises(BadInput, match=r"column 't' has 1 cells that are not a time; expected dates, timestamps or numbers"):
        open_predictions(table | {"t": np.array(["2024-01-01", "soon", "2024-01-03"])}, time="t")


@pytest.mark.parametrize(
    "names",
    [["rowid", "file_row_number", "r", "i0", "c", "p0_1", "f0", "c_id", "source0", "aligned", "whole0"], ["ROWID"]],
    ids=["all", "capitals"],
)
@pytest.mark.parametrize("form", ["npz", "csv", "parquet", "pandas", "jsonl"])
def test_no_name_of_a_column_is_one_of_ours(names, form, tmp_path, monkeypatch):
    monkeypatch.setattr("traintwice.predictions._matching.RANGE_ROWS", 10)
    monkeypatch.setattr(reader, "BLOCK_ELEMENTS", 40)
    count = 100
    same = {name: RNG.integers(0, 3 * count, count) for name in names} | {"y": np.arange(count) % 2}
    tables = [{"id": np.arange(count), "p": RNG.random(count)} | same for _ in range(2)]
    models = []
    for m, table in enumerate(tables):
        path = tmp_path / f"{m}.{form}"
        if form == "npz":
            np.savez(path, **table)
        elif form == "pandas":
            path = pytest.importorskip("pandas").DataFrame(table)
        else:
            pytest.importorskip("pandas").DataFrame(table).to_parquet(path) if form == "parquet" else None
            frame = pytest.importorskip("pandas").DataFrame(table)
            frame.to_csv(path, index=False) if form == "csv" else None
            frame.to_json(path, orient="records", lines=True, double_precision=15) if form == "jsonl" else None
        models.append(path)
    flips = int(((tables[0]["p"] > 0.5) != (tables[1]["p"] > 0.5)).sum())
    with open_predictions(models, id="id", probs="p", label="y", by=names) as both:
        assert both.sums({"flips": "v0 <> v1"}) == {"flips": flips}
        assert sum(part.examples for part in both.batches()) == count
        groups = both.read().groups
        assert {name: groups[name].tolist() for name in names} == {name: [*map(str, same[name].tolist())] for name in names}


def test_draws_with_composite_ids_and_clusters():
    table = {
        "user": np.array([1, 1, 1, 2]),
        "item": np.array(list("aabb")),
        "d": np.array([0, 1, 0, 0]),
        "pred": np.array([0, 1, 1, 1]),
    }
    with open_rows([table], id=["user", "item"], draws="d", cluster=["user", "item"]) as rows:
        (block,) = rows.items()
        assert block.ids.tolist() == [(1, "a"), (1, "b"), (2, "b")]
        assert [c.tolist() for c in block.counts] == [[[1, 1], [0, 1], [0, 1]]]
        assert sorted(block.clusters.tolist()) == [0, 1, 2]
