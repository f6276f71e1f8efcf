"""Rows of files and of arrays have one interface: clusters, targets, groups, waived rows, options of reading."""

import re

import numpy as np
import pytest

from traintwice.errors import BadInput, UnknownName
from traintwice.predictions import Predictions, from_arrays, items_of, open_predictions, open_rows, reading_of, replicas_of

IDS = np.arange(6)
USER = np.array(["b", "a", "b", "c", "a", "b"])
DAY = np.array([0, 0, 0, 1, 1, 1])
P, Q = np.linspace(0.1, 0.9, 6), np.linspace(0.9, 0.1, 6)
OLD = {"id": IDS, "p": P, "y": IDS % 2, "user": USER, "day": DAY}


def partition(p):
    """The ids of each cluster."""
    found = {}
    for i, c in zip(p.ids.tolist(), p.clusters.tolist(), strict=True):
        found.setdefault(c, set()).add(i)
    return {frozenset(ids) for ids in found.values()}


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("in_first", [False, True])
@pytest.mark.parametrize("columns", ["user", ["user", "day"], "day"])
def test_clusters_of_files(columns, in_first, shuffled):
    order = IDS[::-1].copy() if shuffled else IDS
    other = {"id": order, "p": Q[order]}
    with open_predictions([OLD, other] if in_first else [other, OLD], cluster=columns) as both:
        p = both.read()
        by_definition = {}
        for n in IDS:
            by_definition.setdefault((USER[n] if "user" in columns else 0, DAY[n] if "day" in columns else 0), set()).add(int(n))
        assert partition(p) == {frozenset(ids) for ids in by_definition.values()}
        assert sorted(set(p.clusters.tolist())) == list(range(len(by_definition)))
        summary = both.summary
        assert (summary.clusters, summary.units) == (len(by_definition), len(by_definition))
        assert summary.cluster == ("user + day" if isinstance(columns, list) else columns)
        assert len(both.query("SELECT c, count(*) AS n FROM {rows} GROUP BY c")) == len(by_definition)
        for part in (p.slice(1, 4), p.where(np.arange(6) > 2), p.models(0, 1), p.without(0), p.without_labels()):
            known = dict(zip(p.ids.tolist(), p.clusters.tolist(), strict=True))
            assert [known[i] for i in part.ids.tolist()] == part.clusters.tolist()


def test_clusters_are_the_same_in_every_block(monkeypatch):
    from traintwice.predictions import _aligned as reader

    monkeypatch.setattr(reader, "BLOCK_ELEMENTS", 8)
    with open_predictions([OLD, {"id": IDS, "p": Q}], cluster="user") as both:
        parts = list(both.batches())
        assert len(parts) > 1
        assert partition(Predictions.joined(parts)) == {frozenset({0, 2, 5}), frozenset({1, 4}), frozenset({3})}


@pytest.mark.parametrize(
    "wrong", [np.array([1, 2, np.nan, 1, 1, np.nan]), np.array(["a", "b", None, "a", "a", None], dtype=object)]
)
def test_every_row_needs_a_cluster(wrong):
    table = {"id": IDS, "p": P, "user": wrong}
    message = r"2 of 6 rows have no cluster in 'user' \(first: row 2, id 2: missing\); every row needs a cluster"
    for tables in ([table], [table, {"id": IDS, "p": Q}], [{"id": IDS[::-1].copy(), "p": Q}, table]):
        with pytest.raises(BadInput, match=message), open_predictions(tables, cluster="user") as both:
            both.read()
    with pytest.raises(BadInput, match=r"cluster: 2 of 6 rows have no cluster \(first: row 2\)"):
        from_arrays([P], cluster=wrong)


def test_clusters_of_which_no_file_has_all_columns():
    with pytest.raises(BadInput, match=r"no file has all of the columns user, day; expected them in one file"):
        open_predictions([{"id": IDS, "p": P, "user": USER}, {"id": IDS, "p": Q, "day": DAY}], cluster=["user", "day"])
    with pytest.raises(BadInput, match=r"no column 'z' \(named by --cluster\)"):
        open_predictions(OLD, cluster="z")


@pytest.mark.parametrize(
    ("given", "count"),
    [(USER, 3), (DAY, 2), ({"user": USER, "day": DAY}, 5), ([USER, DAY], 5)],
)
def test_clusters_of_arrays(given, count):
    with open_rows([P, Q], id=IDS, cluster=given) as rows:
        assert rows.summary.clusters == rows.summary.units == count
        assert len(partition(rows.read())) == count
        assert (
            rows.clusters
            == {1: "cluster", 2: "user + day" if isinstance(given, dict) else "cluster 1 + cluster 2"}[
                len(given) if isinstance(given, dict | list) else 1
            ]
        )


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    ("column", "option", "one", "other"),
    [
        ("label", "y", [0, 1, 0, 1, 0, 1], "label"),
        ("weight", "w", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "weight"),
        ("cluster", "user", list("abcabc"), "cluster"),
        ("by", "country", list("xyzxyz"), "group"),
        ("time", "seen", [1, 2, 3, 4, 5, 6], "time"),
    ],
)
def test_files_that_disagree_on_a_row_are_refused(column, option, one, other, shuffled):
    order = IDS[::-1].copy() if shuffled else IDS
    values = np.array(one)
    changed = values.copy()
    changed[3] = values[4]
    tables = [{"id": IDS, "p": P, option: values}, {"id": order, "p": Q[order], option: changed[order]}]
    with open_predictions([tables[0], {**tables[1], option: values[order]}], **{column: option}) as both:
        assert both.read().examples == 6
    message = rf"table 2: 1 of 6 rows have another {other} in '{option}' than in table 1 "
    message += rf"\(first: row 3, id 3: {values[3]}.* and {values[4]}"
    with pytest.raises(BadInput, match=message), open_predictions(tables, **{column: option}) as both:
        both.read()


def test_a_value_that_one_file_lacks_comes_from_the_other():
    country = np.array(["x", None, "y", "x", None, "y"], dtype=object)
    tables = [{"id": IDS, "p": P, "c": country}, {"id": IDS, "p": Q, "c": np.array(list("xzyxzy"))}]
    with open_predictions(tables, by="c") as both:
        assert both.read().groups["c"].tolist() == list("xzyxzy")


def test_targets_of_a_regression():
    y = np.array([1.5, np.nan, 0.0, 2.0, -1.0, 7.25])
    tables = [{"id": IDS, "p": 10 * P, "y": y}, {"id": IDS, "p": 10 * Q}]
    for models, reading in ((tables, {}), ([10 * P, 10 * Q], {"label": y, "id": IDS})):
        with open_rows(models, regression=True, **reading) as rows:
            (block,) = rows.blocks()
            assert (rows.regression, rows.summary.labelled) == (True, 5)
            np.testing.assert_array_equal(block.targets, y)
            np.testing.assert_array_equal(block.slice(2, 4).targets, y[2:4])
            np.testing.assert_array_equal(block.where(IDS > 3).without(0).targets, y[4:])
            np.testing.assert_array_equal(rows.read().models(0, 1).targets, y)
    with pytest.raises(BadInput, match=r"targets: 1 are infinite \(first: example 0\)"):
        Predictions.from_scores(np.ones((1, 2)), targets=np.array([np.inf, 1]))
    with pytest.raises(BadInput, match=r"targets: got shape \(1,\), expected \(2,\), one number for each example"):
        Predictions.from_scores(np.ones((1, 2)), targets=np.array([1.0]))


@pytest.mark.parametrize("models", [[{"id": IDS, "p": P, "g": DAY}, {"id": IDS, "p": Q}], [P, Q]])
def test_one_interface(models):
    reading = {"by": "g"} if isinstance(models[0], dict) else {"by": {"g": DAY}, "id": IDS}
    with open_rows(models, ("old", "new"), **reading) as rows:
        assert (rows.replicas, rows.classes, rows.class_names, rows.has_probs, rows.has_labels) == (2, 2, None, True, False)
        assert (rows.groups, rows.time_axis, rows.clusters, rows.positive, rows.has_draws) == (("g",), None, None, "1", False)
        assert (rows.files is None) == (not isinstance(models[0], dict))
        rows.waive = {"0", "4"}
        assert rows.read().ids.tolist() == [1, 2, 3, 5]
        assert rows.waived == 2
        with pytest.raises(BadInput, match=r"are not draws; pass .*draws"):
            list(rows.items())


@pytest.mark.parametrize(
    ("given", "reading", "message"),
    [
        (
            np.rec.fromarrays([IDS, P], names=["id", "p"]),
            {},
            "got a structured array with the fields id, p; pass the table pandas",
        ),
        (np.where(IDS == 4, np.nan, P), {}, "1 of 6 scores are missing or NaN"),
        (np.ma.array(P, mask=IDS == 4), {}, "1 of 6 scores are missing or NaN"),
        (P, {"label": np.eye(2)[IDS % 2]}, r"labels: got shape \(6, 2\), expected one label for each row"),
    ],
)
def test_arrays_that_are_refused(given, reading, message):
    with pytest.raises(BadInput, match=message), open_rows([given], **reading):
        pass


def test_arrays_and_files_do_not_mix():
    with pytest.raises(BadInput, match="arrays and files cannot be compared"), open_rows([P, OLD]):
        pass
    for reading, message in (
        ({"label": "y"}, "label: got the name 'y'; with arrays"),
        ({"by": "g"}, "by: with arrays give a mapping"),
    ):
        with pytest.raises(BadInput, match=message), open_rows([P], **reading):
            pass
    with (
        pytest.raises(BadInput, match=r"weight: got ndarray; with files it is the name of a column"),
        open_rows(["a.csv"], weight=P),
    ):
        pass


def test_replicas_of():
    whole = np.stack([P, Q])
    assert [item.tolist() for item in replicas_of(whole)] == whole.tolist()
    assert [item.shape for item in replicas_of(np.ones((3, 4, 2)))] == [(4, 2)] * 3
    assert [item.replicas for item in replicas_of(Predictions(np.array([[0, 1], [1, 1]])))] == [1, 1]
    assert len(replicas_of([P, Q])) == len(items_of([P, Q])) == 2
    assert replicas_of([OLD]) == [OLD]
    with pytest.raises(BadInput, match=r"predictions: got shape \(6,\), expected \(replicas, examples\)"):
        replicas_of(P)


def test_a_query_over_the_rows():
    with open_predictions([OLD, {"id": IDS, "p": Q}], by="user") as both:
        found = both.query("SELECT g0 AS user, count(*) AS n, sum(w) AS w FROM {rows} GROUP BY g0 ORDER BY g0")
        assert found == [{"user": "a", "n": 2, "w": 2.0}, {"user": "b", "n": 3, "w": 3.0}, {"user": "c", "n": 1, "w": 1.0}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lable": "y"}, "no option of reading named 'lable'. Did you mean 'label'?"),
        ({"logits": "yes"}, "logits: got 'yes', expected True or False"),
        ({"on_missing": "ignore"}, "on_missing: got 'ignore', expected 'refuse' or 'drop'"),
        ({"by": ["t"], "time": "t"}, "'t' is given to --by and to --time"),
        ({"draws": "d", "by_position": True}, "--draws and --by-position exclude each other"),
        ({"draws": "d", "regression": True}, "--draws and --regression exclude each other"),
        ({"classes": ["a"], "regression": True}, "--classes and --regression exclude each other"),
    ],
)
def test_options_that_are_refused(given, message):
    with pytest.raises((BadInput, UnknownName), match=re.escape(message)):
        reading_of(given)


def test_options_are_filled_in():
    found = reading_of({"id": "a", "classes": [0, 1], "by": None, "cluster": ["u", "v"]})
    assert {name: found[name] for name in ("id", "classes", "by", "cluster", "label", "logits", "on_missing")} == {
        "id": ("a",), "classes": ("0", "1"), "by": (), "cluster": ("u", "v"), "label": None, "logits": False, "on_missing": "refuse",
    }  # fmt: skip


@pytest.mark.parametrize(("given", "label"), [(P, None), (OLD, None), (OLD, IDS % 2)])
def test_the_column_of_correctness_is_for_files(given, label):
    message = "^a table or array: --correct reads one file of this machine for each model"
    with pytest.raises(BadInput, match=message), open_rows([given, given], correct="ok", label=label):
        pass


def test_labels_of_a_log_are_not_an_array(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_text('{"doc_id": 0, "resps": [["4"]], "filtered_resps": ["4"], "acc": 1.0}\n')
    message = "label: got ndarray; with files it is the name of a column"
    with pytest.raises(BadInput, match=message), open_rows(paths, label=np.array([1])):
        pass
