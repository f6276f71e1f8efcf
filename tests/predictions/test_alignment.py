"""Rows are matched as a dictionary from id to row would match them."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traintwice.errors import BadInput
from traintwice.predictions import _aligned as reader
from traintwice.predictions import _matching as matching
from traintwice.predictions import open_predictions

IDS = st.lists(st.integers(0, 12), min_size=1, max_size=12)


def table(ids, seed):
    rng = np.random.default_rng(seed)
    return {"id": np.array(ids), "p": rng.random(len(ids)).round(3)}


def by_definition(tables):
    """id to the votes of every replica, for ids that stand exactly once in every table."""
    found = []
    for content in tables:
        ids = content["id"].tolist()
        found.append({i: int(p > 0.5) for i, p in zip(ids, content["p"].tolist(), strict=True) if ids.count(i) == 1})
    return {i: [f[i] for f in found] for i in found[0] if all(i in f for f in found)}


def votes_by_id(predictions):
    return dict(zip(predictions.ids.tolist(), predictions.votes.T.tolist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(files=st.lists(IDS, min_size=2, max_size=4))
def test_dropping_keeps_what_a_dictionary_keeps(files):
    tables = [table(ids, seed) for seed, ids in enumerate(files)]
    expected = by_definition(tables)
    if not expected:
        with pytest.raises(BadInput):  # noqa: SIM117
            with open_predictions(tables, on_missing="drop") as opened:
                opened.read()
        return
    with open_predictions(tables, on_missing="drop") as opened:
        assert votes_by_id(opened.read()) == expected
        assert opened.summary.rows == len(expected)
        assert opened.summary.dropped == tuple(len(ids) - len(expected) for ids in files)


@settings(max_examples=25, deadline=None)
@given(files=st.lists(IDS, min_size=2, max_size=3))
def test_refuses_exactly_what_is_not_one_to_one(files):
    tables = [table(ids, seed) for seed, ids in enumerate(files)]
    clean = all(len(set(ids)) == len(ids) and set(ids) == set(files[0]) for ids in files)
    with open_predictions(tables) as opened:
        if not clean:
            with pytest.raises(BadInput, match=r"more than one|missing|extra"):
                opened.read()
        else:
            assert votes_by_id(opened.read()) == by_definition(tables)
            same = all(ids == files[0] for ids in files)
            assert opened.summary.order == ("same order" if same else "joined")


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(list(range(9))), replicas=st.integers(2, 4), data=st.data())
def test_any_order_gives_the_same_rows(order, replicas, data):
    tables = [table(list(range(9)), seed) for seed in range(replicas)]
    which = data.draw(st.integers(0, replicas - 1))
    shuffled = [
        {name: column[list(order)] for name, column in content.items()} if m == which else content
        for m, content in enumerate(tables)
    ]
    with open_predictions(shuffled) as opened:
        assert votes_by_id(opened.read()) == by_definition(tables)


def test_a_difference_far_down_is_found():
    ids = np.arange(50_000)
    swapped = ids.copy()
    swapped[[49_000, 49_001]] = swapped[[49_001, 49_000]]
    p = np.linspace(0, 1, 50_000)
    with open_predictions([{"id": ids, "p": p}, {"id": swapped, "p": p[swapped]}]) as opened:
        assert opened.summary.order == "joined"
        assert opened.sums({"gap": "abs(p0_1 - p1_1)"}) == {"gap": 0.0}


@pytest.mark.parametrize("descending", [False, True])
def test_unsorted_ids_in_the_same_order_take_the_fast_path(descending):
    ids = np.array(["b", "a", "c"] if not descending else ["c", "b", "a"])
    with open_predictions([{"id": ids, "p": np.ones(3)}, {"id": ids, "p": np.zeros(3)}]) as opened:
        assert opened.summary.order == "same order"
        assert opened.read().ids.tolist() == ids.tolist()


def test_composite_ids():
    one = {"user": np.array([1, 1, 2]), "item": np.array(["a", "b", "a"]), "p": np.array([0.9, 0.1, 0.9])}
    two = {"item": np.array(["a", "a", "b"]), "user": np.array([2, 1, 1]), "p": np.array([0.9, 0.1, 0.1])}
    with open_predictions([one, two], id=["user", "item"]) as opened:
        assert votes_by_id(opened.read()) == {(1, "a"): [1, 0], (1, "b"): [0, 0], (2, "a"): [1, 1]}
    with pytest.raises(BadInput, match=r"1 ids are on more than one of its 3 rows \(first: 1\)"):  # noqa: SIM117
        with open_predictions([one, one], id="user") as opened:
            opened.read()


def test_three_files_of_which_one_is_shuffled_keep_labels_and_groups():
    y, country = np.array([1, 0, 1, 0]), np.array(["BR", "DE", "BR", "FR"])
    base = {"id": np.arange(4), "p": np.array([0.9, 0.2, 0.7, 0.4])}
    shuffled = {name: column[[2, 0, 3, 1]] for name, column in (base | {"y": y, "country": country}).items()}
    with open_predictions([base, base, shuffled], by="country", label="y") as opened:
        p = opened.read()
        order = np.argsort(p.ids)
        assert p.labels[order].tolist() == y.tolist()
        assert p.groups["country"][order].tolist() == country.tolist()
        assert opened.sums_by({"right": "v2 = y"}, ["country"]) == [
            {"country": "BR", "rows": 2, "right": 2},
            {"country": "DE", "rows": 1, "right": 1},
            {"country": "FR", "rows": 1, "right": 1},
        ]


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_the_rows_whatever_their_size(shuffle, monkeypatch):
    rng = np.random.default_rng(0)
    ids = np.arange(1000)
    order = rng.permutation(1000) if shuffle else ids
    raw = rng.random((2, 1000, 3)) + 0.1
    probs = raw / raw.sum(axis=2, keepdims=True)
    labels = rng.integers(0, 3, 1000)
    old = {"id": ids, "probs": probs[0], "y": labels, "w": rng.random(1000)}
    new = {"id": order, "probs": probs[1][order]}
    monkeypatch.setattr(reader, "BLOCK_ELEMENTS", 6 * 64)
    with open_predictions([old, new], weight="w") as opened:
        parts = list(opened.batches())
        whole = opened.read()
    assert len(parts) == 16
    assert max(part.examples for part in parts) == 64
    at = np.argsort(np.concatenate([part.ids for part in parts]))
    np.testing.assert_array_equal(np.concatenate([part.probs for part in parts], axis=1)[:, at], probs)
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts])[at], labels)
    np.testing.assert_array_equal(np.concatenate([part.weights for part in parts])[at], old["w"])
    np.testing.assert_array_equal(whole.probs[:, np.argsort(whole.ids)], probs)


def test_rows_without_a_label_come_apart():
    old = {"id": np.arange(4), "p": np.array([0.9, 0.2, 0.7, 0.4]), "y": np.array([1.0, np.nan, 0.0, np.nan])}
    with open_predictions([old, {"id": np.arange(4), "p": old["p"]}]) as opened:
        assert [(part.ids.tolist(), part.has_labels) for part in opened.batches()] == [([0, 2], True), ([1, 3], False)]
        assert not opened.read().has_labels
        assert opened.read(labelled_only=True).labels.tolist() == [1, 0]
        assert opened.summary.labelled == 2
        assert "labels in y: 2 rows, 2 rows have none" in opened.summary.describe()


@pytest.mark.parametrize("rising", [(0,), (1,), (), (0, 1)])
def test_rows_come_in_the_order_of_the_ids_where_those_of_one_file_rise(rising):
    ids = [np.sort(i) if m in rising else i for m, i in enumerate([[4, 7, 1, 9, 3], [9, 1, 7, 3, 4]])]
    if len(rising) == 2:  # the same first id, and then others
        ids[1] = np.array([1, 3, 4, 8, 7])
    tables = [table(i, seed) for seed, i in enumerate(ids)]
    with open_predictions(tables, on_missing="drop" if len(rising) == 2 else "refuse") as opened:
        found = opened.read()
        assert opened.summary.order == "joined"
        assert votes_by_id(found) == by_definition(tables)
        if len(rising) == 1:
            assert found.ids.tolist() == sorted(found.ids.tolist())


def test_labels_that_either_file_has_are_joined():
    p = np.array([0.9, 0.2])
    old, new = (
        {"id": np.arange(2), "p": p, "y": np.array([1.0, np.nan])},
        {"id": np.arange(2), "p": p, "y": np.array([np.nan, 0.0])},
    )
    with open_predictions([old, new]) as opened:
        assert opened.read().labels.tolist() == [1, 0]
        assert opened.sums({"right": "v0 = y"}) == {"right": 2}


def test_small_memory_spills(tmp_path):
    rng = np.random.default_rng(0)
    ids = np.arange(400_000)
    order = rng.permutation(ids)
    texts = np.char.add("a rather long identifier of one row, number ", ids.astype(str))
    p = rng.random(400_000)
    tables = [{"id": texts, "p": p}, {"id": texts[order], "p": p[order]}]
    with open_predictions(tables, memory="120MB") as opened:
        assert opened.sums({"gap": "abs(p0_1 - p1_1)", "rows": "1"}) == {"gap": 0.0, "rows": 400_000}
        assert sum(part.examples for part in opened.batches()) == 400_000


@pytest.mark.parametrize("rows", [1, 7, 64, 100])
def test_ranges_side_by_side_add_up(rows, monkeypatch):
    monkeypatch.setattr(matching, "RANGE_ROWS", rows)
    rng = np.random.default_rng(0)
    p, q = rng.random((2, 100))
    with open_predictions([{"id": np.arange(100), "p": p}, {"id": np.arange(100), "p": q}]) as opened:
        for _ in range(2):  # the pass that matches, and one that finds the rows matched
            found = opened.sums({"gap": "abs(p0_1 - p1_1)", "flips": "v0 <> v1"})
            np.testing.assert_allclose(found["gap"], np.abs(p - q).sum(), rtol=1e-14)
            assert found["flips"] == ((p > 0.5) != (q > 0.5)).sum()
        assert (opened.summary.rows, opened.summary.order) == (100, "same order")


@pytest.mark.parametrize("at", range(1, 10))
def test_a_repeated_id_is_found_wherever_ranges_meet(at, monkeypatch):
    monkeypatch.setattr(matching, "RANGE_ROWS", 3)
    ids = np.arange(10)
    ids[at] = ids[at - 1]
    with open_predictions([{"id": ids, "p": np.ones(10)}] * 2) as opened, pytest.raises(BadInput, match=f"first: {at - 1}"):
        opened.read()


BAD = {
    "a NaN": ({"p": np.nan}, r"1 of 10 rows have a probability that is NaN or infinite \(first: row 6, id 6: nan\)"),
    "an infinity": ({"p": np.inf}, r"1 of 10 rows have a probability that is NaN or infinite \(first: row 6, id 6: inf\)"),
    "a score above 1": ({"p": 1.5}, r"1 of 10 rows have a score in 'p' outside \[0, 1\] \(first: row 6, id 6: 1.5\)"),
    "no score": ({"p": None}, r"1 of 10 rows have a probability that is missing \(first: row 6, id 6: missing\)"),
    "no id": ({"id": None}, r"1 of 10 rows have no id \(first: row 6: NULL\)"),
    "a third class": (
        {"y": 2},
        r"1 of 10 rows have a label in 'y' that is not one of the classes 0 … 1 \(first: row 6, id 6: 2\)",
    ),
}


@pytest.mark.parametrize("order", ["same", "same in ranges", "other", "other and some missing", "position"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_cell_is_found_in_the_pass_that_matches(case, which, order, tmp_path, monkeypatch):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(matching, "RANGE_ROWS", 3 if order == "same in ranges" else 100)
    if case == "no id" and order == "position":
        pytest.skip("ids are not read")
    change, message = BAD[case]
    paths = []
    for m in range(2):
        columns = {"id": list(range(10)), "p": [0.25] * 10, "y": [1] * 10}
        if m == which:
            for name, value in change.items():
                columns[name][6] = value
        elif order.startswith("other"):  # the file with the bad cell keeps its order, so that the row number is known
            columns = {name: cells[::-1] for name, cells in columns.items()}
            if "missing" in order:
                columns = {name: cells[1:] for name, cells in columns.items()}
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{m}.parquet")
        paths.append(tmp_path / f"{m}.parquet")
    with open_predictions(paths, by_position=order == "position") as opened, pytest.raises(BadInput) as caught:
        opened.sums({"rows": "1"})
    assert re.search(message if order != "position" else message.replace(", id 6", ""), str(caught.value))


@pytest.mark.parametrize("order", ["same", "same in ranges", "other"])
def test_labels_of_both_files_are_found_whichever_lacks_some(order, monkeypatch):
    monkeypatch.setattr(matching, "RANGE_ROWS", 3 if order == "same in ranges" else 100)
    ids, p = np.arange(10), np.linspace(0.05, 0.95, 10)
    one, two = np.where(ids % 3, 1.0, np.nan), np.where(ids % 2, 1.0, np.nan)
    back = ids[::-1].copy() if order == "other" else ids
    tables = [{"id": ids, "p": p, "y": one}, {"id": ids[back], "p": p[back], "y": two[back]}]
    for files in (tables, tables[::-1]):
        with open_predictions(files) as opened:
            labelled = (ids % 3 > 0) | (ids % 2 > 0)
            assert opened.sums({"right": "v0 = y"}) == {"right": (labelled & (p > 0.5)).sum()}
            assert opened.summary.labelled == labelled.sum()
            assert opened.sums({"right": "v1 = y"}) == {"right": (labelled & (p > 0.5)).sum()}


def test_a_file_without_one_score_is_found(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, p in (("a", [0.5, 0.5]), ("b", [None, None])):
        parquet.write_table(pyarrow.table({"id": [1, 2], "p": pyarrow.array(p, pyarrow.float64())}), tmp_path / f"{name}.parquet")
    missing = pytest.raises(BadInput, match="2 of 2 rows have a probability that is missing")
    with open_predictions([tmp_path / "a.parquet", tmp_path / "b.parquet"]) as opened, missing:
        opened.sums({"rows": "1"})


def test_a_sum_too_large_for_a_float_is_no_fault():
    ids, x = np.arange(4), np.full(4, 1e308)
    with open_predictions([{"id": ids, "x": x}, {"id": ids, "x": x}], probs="x", regression=True) as opened:
        assert opened.sums({"gap": "abs(x0 - x1)"}) == {"gap": 0.0}


def test_columns_are_computed_in_steps():
    p = np.array([0.25, 0.5, 1.0])
    with open_predictions([{"id": np.arange(3), "p": p}, {"id": np.arange(3), "p": p[::-1].copy()}]) as opened:
        for _ in range(2):
            found = opened.sums({"twice": "e", "large": "e > 1"}, [{"d": "p0_1 + p1_1"}, {"e": "d * 2"}])
            assert found == {"twice": 7.0, "large": 3.0}


@pytest.mark.parametrize("repeat", [None, 3, 4])
def test_composite_ids_in_ranges(repeat, monkeypatch):
    monkeypatch.setattr(matching, "RANGE_ROWS", 3)
    user, item = np.repeat(np.arange(5), 2), np.array(["a", "b"] * 5)
    if repeat is not None:
        user[repeat], item[repeat] = user[repeat - 1], item[repeat - 1]
    table = {"user": user, "item": item, "p": np.linspace(0, 1, 10)}
    with open_predictions([table, table], id=["user", "item"]) as both:
        if repeat is None:
            assert both.sums({"rows": "1"}) == {"rows": 10.0}
            assert both.summary.order == "same order"
        else:
            with pytest.raises(BadInput, match=r"1 ids are on more than one of its 10 rows"):
                both.read()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(6).astype("datetime64[s]"), np.arange(6).astype("datetime64[us]")),
        (np.arange(6).astype("datetime64[us]"), np.arange(6).astype("datetime64[us]").astype("datetime64[ns]")),
    ],
)
def test_ids_are_times_of_one_type(one, other):
    for tables in ([one, other], [other, one]):
        with pytest.raises(BadInput, match=r"ids differ in type: table 1 has .* in 'id', table 2 has"):
            open_predictions([{"id": ids, "p": np.linspace(0, 1, 6)} for ids in tables])
    with open_predictions([{"id": one, "p": np.linspace(0, 1, 6)}, {"id": one, "p": np.linspace(1, 0, 6)}]) as both:
        assert both.summary.rows == 6


def test_times_with_and_without_a_zone(tmp_path):
    import duckdb

    for name, kind in (("naive", "TIMESTAMP"), ("zoned", "TIMESTAMP WITH TIME ZONE")):
        select = f"SELECT CAST(TIMESTAMP '2026-01-01' + i * INTERVAL 1 HOUR AS {kind}) AS id, 0.5 AS p FROM range(6) t(i)"
        duckdb.sql(f"COPY ({select}) TO '{tmp_path}/{name}.parquet'")
    with pytest.raises(BadInput, match=r"ids differ in type: .*TIMESTAMP in 'id', .*TIMESTAMP WITH TIME ZONE in 'id'"):
        open_predictions([tmp_path / "naive.parquet", tmp_path / "zoned.parquet"], on_missing="drop")


@pytest.mark.parametrize("order", ["same", "same in ranges", "other"])
def test_cells_come_from_the_pass_that_matches_and_add_up(order, monkeypatch):
    monkeypatch.setattr(matching, "RANGE_ROWS", 3 if order == "same in ranges" else 100)
    ids, p, q = np.arange(20), np.linspace(0.05, 0.95, 20), np.linspace(0.95, 0.05, 20)
    back = ids[::-1].copy() if order == "other" else ids
    one = {"id": ids, "p": p, "y": ids % 2, "user": ids // 4, "country": np.where(ids < 12, "AT", "BR")}
    with open_predictions([one, {"id": back, "p": q[back]}], by="country", cluster="user") as both:
        table = both.cells({"g0": "g0", "v0": "v0", "c": "c"}, {"gap": "abs(d)"}, [{"d": "p0_1 - p1_1"}])
        assert both.summary.order == ("joined" if order == "other" else "same order")
        assert both.summary.clusters == 5
        found = both.query(f"SELECT g0, v0, sum(rows) AS n, sum(gap) AS gap FROM {table} GROUP BY g0, v0 ORDER BY g0, v0")
        assert [(f["g0"], f["v0"], f["n"]) for f in found] == [("AT", 0, 10), ("AT", 1, 2), ("BR", 1, 8)]
        assert sum(f["gap"] for f in found) == pytest.approx(np.abs(p - q).sum())
        assert both.sums({"rows": "1"}) == {"rows": 20}
        assert both.sums_by({"gap": "abs(p0_1 - p1_1)"}, ["country"])[1] == {
            "country": "BR", "rows": 8, "gap": pytest.approx(np.abs(p - q)[12:].sum()),
        }  # fmt: skip
