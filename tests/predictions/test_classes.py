"""The order of the classes and the positive class come from one rule, are never guessed, and are told."""

import json
import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import open_predictions, open_rows

IDS = np.arange(3)
SCORE = {"id": IDS, "p": np.array([0.9, 0.2, 0.6])}
TWO = {"id": IDS, "p_cat": np.array([0.9, 0.2, 0.6]), "p_dog": np.array([0.1, 0.8, 0.4])}
LIST = {"id": [0, 1, 2], "probs": [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]}
FRAUD = np.array(["fraud", "legit", "fraud"])


def lists(y):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table(LIST | {"y": y})


def read(table, **reading):
    with open_predictions(table, **reading) as opened:
        p = opened.read()
        found = opened.sums({"first": "p0_0", "labels": "y"}) if p.has_probs and p.has_labels else None
        if found:
            assert found == {"first": pytest.approx(p.probs[0, :, 0].sum()), "labels": p.labels.sum()}
        return p, opened.summary


def test_digits_that_are_text_are_ordered_as_numbers():
    y = np.array([str(k) for k in (10, 2, 0, 9, 1, 3, 4, 5, 6, 7, 8)])
    table = {"id": np.arange(11), "p": np.eye(11)[[int(k) for k in y]], "y": y}
    p, summary = read(table)
    assert p.labels.tolist() == p.votes[0].tolist() == [int(k) for k in y]
    assert (summary.class_names, summary.positive) == (None, None)
    assert summary.class_rule == "class k is column k of p_0 …, from 0"
    p, _ = read({"id": np.arange(2), "pred": np.array(["10", "2"]), "y": np.array(["2", "2"])})
    assert (p.votes.tolist(), p.labels.tolist()) == ([[10, 2]], [2, 2])


@pytest.mark.parametrize(
    ("table", "reading", "names", "labels", "positive", "rule"),
    [
        (
            SCORE | {"y": FRAUD},
            {"positive": "fraud"},
            ("legit", "fraud"),
            [1, 0, 1],
            "fraud",
            "positive class: fraud (--positive)",
        ),
        (
            SCORE | {"y": FRAUD},
            {"positive": "legit"},
            ("fraud", "legit"),
            [0, 1, 0],
            "legit",
            "positive class: legit (--positive)",
        ),
        (SCORE | {"y": FRAUD}, {"classes": ["legit", "fraud"]}, ("legit", "fraud"), [1, 0, 1], "fraud", "order of --classes"),
        (
            SCORE | {"y": np.array([True, False, True])},
            {"positive": "true"},
            ("False", "True"),
            [1, 0, 1],
            "True",
            "(--positive)",
        ),
        (
            SCORE | {"y": np.array([True, False, True])},
            {"positive": "False"},
            ("True", "False"),
            [0, 1, 0],
            "False",
            "(--positive)",
        ),
        (SCORE | {"y": np.array([1, 0, 1])}, {}, None, [1, 0, 1], "1", "classes 0 and 1; positive class: 1"),
        (SCORE | {"y": np.array([1, 0, 1])}, {"positive": "0"}, ("1", "0"), [0, 1, 0], "0", "positive class: 0 (--positive)"),
        (SCORE | {"y": np.array(["legit"] * 3)}, {"positive": "fraud"}, ("legit", "fraud"), [0, 0, 0], "fraud", "(--positive)"),
        (
            SCORE,
            {"positive": "fraud"},
            ("not fraud", "fraud"),
            None,
            "fraud",
            "classes 0 and 1; positive class: fraud (--positive)",
        ),
        (TWO | {"y": np.array(["cat", "dog", "cat"])}, {}, ("cat", "dog"), [0, 1, 0], None, "order of the columns p_cat, p_dog"),
        (TWO | {"y": np.array(["cat", "dog", "cat"])}, {"positive": "cat"}, ("dog", "cat"), [1, 0, 1], "cat", "(--positive)"),
        (TWO | {"y": np.array([0, 1, 0])}, {"classes": ["dog", "cat"]}, ("dog", "cat"), [0, 1, 0], None, "order of --classes"),
    ],
)
def test_the_stated_order(table, reading, names, labels, positive, rule):
    p, summary = read(table, **reading)
    assert (p.class_names, p.labels.tolist() if p.has_labels else None, summary.positive) == (names, labels, positive)
    assert rule in summary.class_rule
    cat = p.probs[0, :, names.index("cat") if names and "cat" in names else 1]
    np.testing.assert_allclose(cat, SCORE["p"])


def test_lists_with_names_are_turned_round_for_the_positive_class():
    table = lists(["cat", "dog", "cat"])
    p, summary = read(table, classes=["cat", "dog"], positive="cat")
    assert (p.class_names, p.labels.tolist(), summary.positive) == (("dog", "cat"), [1, 0, 1], "cat")
    np.testing.assert_array_equal(p.probs[0, :, 1], [0.9, 0.2, 0.6])
    p, _ = read(table, positive="dog")  # class 1 is the second entry
    assert (p.class_names, p.labels.tolist(), p.probs[0, :, 1].tolist()) == (("cat", "dog"), [0, 1, 0], [0.1, 0.8, 0.4])


def test_columns_of_two_files_in_another_order_are_matched_by_name():
    other = {"id": IDS, "p_dog": TWO["p_dog"], "p_cat": TWO["p_cat"]}
    for reading in ({}, {"classes": ["dog", "cat"]}, {"classes": ["x", "y"]}):
        with open_predictions([TWO, other], **reading) as both:
            p = both.read()
            np.testing.assert_array_equal(p.probs[0], p.probs[1])
    assert p.class_names == ("x", "y")
    np.testing.assert_array_equal(p.probs[0, :, 0], TWO["p_cat"])


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
@pytest.mark.parametrize("head", ["p_", "prob_class_", "score_c0"])
@pytest.mark.parametrize("y", [[0, 2, 1], ["{0}0", "{0}2", "{0}1"]])
def test_columns_that_end_in_numbers_are_in_their_order(order, head, y):
    probs = np.eye(3)[[0, 2, 2]]
    name = head.split("_", 1)[1]
    labels = np.array([k.format(name) if isinstance(k, str) else k for k in y])
    tables = [{"id": IDS, **{f"{head}{k}": probs[:, k] for k in columns}, "y": labels} for columns in ([0, 1, 2], order)]
    with open_predictions(tables) as both:
        p = both.read()
    assert (p.votes.tolist(), p.labels.tolist()) == ([[0, 2, 2]] * 2, [0, 2, 1])


@pytest.mark.parametrize("unnamed", [{"p_0": TWO["p_cat"], "p_1": TWO["p_dog"]}, {"p": np.stack([*TWO.values()][1:], 1)}])
def test_named_columns_do_not_name_those_of_another_file(unnamed):
    for tables in ([TWO, {"id": IDS, **unnamed}], [{"id": IDS, **unnamed}, TWO]):
        with pytest.raises(BadInput, match=r"nothing says which class comes first in table .*pass --classes"):
            open_predictions(tables)
        with open_predictions(tables, classes=["cat", "dog"]) as both:
            np.testing.assert_array_equal(*both.read().probs)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (-1, 1), (0, 1)])
def test_labels_in_floating_point_have_the_names_of_whole_numbers(low, high):
    table = SCORE | {"y": np.array([high, low, high], dtype=float)}
    p, _ = read(table, classes=[str(low), str(high)])
    assert p.labels.tolist() == [1, 0, 1]


def test_a_score_named_after_class_0_is_not_that_of_class_1():
    table = {"id": IDS, "p_0": SCORE["p"], "y": np.array([1, 0, 1])}
    with pytest.raises(BadInput, match="the score 'p_0' is named after class 0; pass --positive 0"):
        read(table, probs="p_0")
    p, _ = read(table, probs="p_0", positive="0")
    assert (p.probs[0, :, 1].tolist(), p.class_names, p.labels.tolist()) == (SCORE["p"].tolist(), ("1", "0"), [0, 1, 0])


def test_columns_named_by_numbers_in_another_order():
    table = {"id": IDS, "p_0": TWO["p_cat"], "p_1": TWO["p_dog"], "y": np.array([0, 1, 0])}
    p, _ = read(table, probs=["p_1", "p_0"])
    assert (p.class_names, p.labels.tolist()) == (("1", "0"), [1, 0, 1])
    p, _ = read({"id": IDS, "p_3": TWO["p_cat"], "p_7": TWO["p_dog"], "y": np.array([3, 7, 3])}, probs=["p_3", "p_7"])
    assert (p.class_names, p.labels.tolist()) == (("3", "7"), [0, 1, 0])


def test_predicted_labels_need_no_order():
    votes = {"id": IDS, "pred": np.array(["b", "a", "b"]), "y": np.array(["a", "a", "b"])}
    p, summary = read(votes)
    assert (p.class_names, p.votes.tolist(), p.labels.tolist(), summary.positive) == (("a", "b"), [[1, 0, 1]], [0, 0, 1], None)
    assert summary.class_rule == "classes in pred: a, b"
    p, summary = read(votes, positive="a")
    assert (p.class_names, p.votes.tolist(), summary.positive) == (("b", "a"), [[0, 1, 0]], "a")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_truth_values(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    duckdb.sql(f"COPY (SELECT * FROM (VALUES (1, true, false), (2, true, true), (3, false, NULL)) t(id, pred, y)) TO '{path}'")
    with open_predictions(path) as opened:
        assert opened.class_names == ("False", "True")
        assert opened.read(labelled_only=True).labels.tolist() == [0, 1]
        assert opened.read().votes.tolist() == [[1, 1, 0]]


ASKED = {
    "text beside a score": (
        SCORE | {"y": FRAUD},
        {},
        r"classes in y are fraud, legit and nothing says .*'p' .*pass --positive NAME",
    ),
    "truth beside a score": (SCORE | {"y": np.array([True, False, True])}, {}, r"are False, True and nothing says .*--positive"),
    "numbers beside named columns": (
        TWO | {"y": np.array([0, 1, 0])},
        {},
        r"labels in 'y' are numbers and the columns p_cat, p_dog .*--classes",
    ),
    "a positive class that is not there": (
        SCORE | {"y": FRAUD},
        {"positive": "frod"},
        r"--positive frod: expected one of two classes, got fraud, legit",
    ),
    "a contradiction": (
        SCORE | {"y": FRAUD},
        {"classes": ["legit", "fraud"], "positive": "legit"},
        r"--positive legit contradicts the classes legit,fraud, .*pass --classes fraud,legit or leave out --positive",
    ),
    "one text only": (SCORE | {"y": np.array(["legit"] * 3)}, {}, r"classes in y are legit and nothing says .*--positive"),
    "positive of three": ({"id": IDS, "p": np.eye(3)}, {"positive": "2"}, r"--positive 2: expected one of two classes, got 3"),
    "positive of three names": (
        {"id": IDS, "p": np.eye(3)},
        {"positive": "a", "classes": ["a", "b", "c"]},
        r"expected one of two classes, got a, b, c",
    ),
    "positive of a regression": (SCORE, {"positive": "1", "regression": True}, r"--positive and --regression exclude each other"),
}


@pytest.mark.parametrize("case", ASKED)
def test_what_is_asked_for_or_refused(case):
    table, reading, message = ASKED[case]
    with pytest.raises(BadInput) as told:
        read(table, **reading)
    assert re.search(message, str(told.value)), told.value


def test_text_beside_a_list_asks_for_the_classes():
    with pytest.raises(BadInput, match=r"text with 2 distinct values \(cat, dog\) for 2 classes; pass --classes"):
        read(lists(["cat", "dog", "cat"]))


@pytest.mark.parametrize(
    ("models", "reading", "probs", "labels", "positive"),
    [
        ([np.array([0.9, 0.2])], {}, [0.9, 0.2], [1, 0], "1"),
        ([np.array([0.9, 0.2])], {"positive": "0"}, [0.9, 0.2], [0, 1], "0"),
        ([np.array([0.9, 0.2])], {"classes": ["a", "b"]}, [0.9, 0.2], [1, 0], "b"),
        ([np.array([[0.1, 0.9], [0.8, 0.2]])], {"classes": ["a", "b"]}, [0.9, 0.2], [1, 0], None),
        ([np.array([[0.1, 0.9], [0.8, 0.2]])], {"classes": ["a", "b"], "positive": "a"}, [0.1, 0.8], [0, 1], "a"),
        ([np.array([[0.1, 0.9], [0.8, 0.2]])], {"positive": "0"}, [0.1, 0.8], [0, 1], "0"),
    ],
)
def test_arrays_follow_the_same_rule(models, reading, probs, labels, positive):
    with open_rows(models, label=np.array([1, 0]), **reading) as rows:
        p = rows.read()
        np.testing.assert_allclose(p.probs[0, :, 1], probs)
        assert (p.labels.tolist(), rows.positive, rows.summary.positive) == (labels, positive, positive)


def test_votes_of_arrays_are_turned_round():
    with open_rows([np.array([1, 0, 1])], label=np.array([1, 1, 0]), positive="0") as rows:
        p = rows.read()
        assert (p.votes.tolist(), p.labels.tolist(), p.class_names) == ([[0, 1, 0]], [0, 0, 1], ("1", "0"))
    with pytest.raises(BadInput, match="contradicts the classes a,b"):  # noqa: SIM117
        with open_rows([np.array([0.5, 0.4])], classes=["a", "b"], positive="a"):
            pass


def test_columns_with_padded_numbers_are_numbers():
    table = {"id": IDS[:2], **{f"p_{k:02}": np.eye(12)[[3, 11]][:, k] for k in range(12)}, "y": np.array([3, 11])}
    p, _ = read(table)
    assert (p.class_names, p.votes.tolist(), p.labels.tolist()) == (None, [[3, 11]], [3, 11])


def test_draws_of_a_score_mean_the_positive_class():
    with open_rows(
        [np.array([0.9, 0.2, 0.8])], id=np.array([1, 1, 2]), draws=np.array([0, 1, 0]), positive="0", label=np.array([0, 0, 1])
    ) as rows:
        (block,) = rows.items()
        assert (block.counts[0].tolist(), block.labels.tolist(), rows.positive) == ([[1, 1], [0, 1]], [1, 0], "0")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0 1 0", "yes no yes", r"a\.csv has 0, 1 in 'pred' and .*b\.csv has no, yes in 'pred'"),
        ("True False True", "yes no yes", r"a\.csv has False, True in 'pred' and .*b\.csv has no, yes in 'pred'"),
        ("cat dog cat", "LABEL_0 LABEL_1 LABEL_0", r"a\.csv has cat, dog in 'pred' and .*b\.csv has LABEL_0, LABEL_1 in 'pred'"),
    ],
)
def test_two_vocabularies_are_refused_by_name(old, new, words, tmp_path):
    for name, votes in (("a", old), ("b", new)):
        lines = "".join(f"{i},{vote}\n" for i, vote in enumerate(votes.split()))
        (tmp_path / f"{name}.csv").write_text("id,pred\n" + lines)
    with pytest.raises(BadInput, match="different label maps: .*" + words) as told:
        open_predictions([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert "yes" not in told.value.without_cells
    names = sorted({*old.split(), *new.split()})
    with open_predictions([tmp_path / "a.csv", tmp_path / "b.csv"], classes=names) as both:
        assert both.sums({"changed": "v0 <> v1"}) == {"changed": 3}


def test_one_vocabulary_by_way_of_the_labels():
    y = np.array(["cat", "dog", "cat"])
    tables = [{"id": np.arange(3), "pred": np.array([word] * 3), "y": y} for word in ("cat", "dog")]
    with open_predictions(tables) as both:
        assert both.class_names == ("cat", "dog")


# Truth values as a type, as text and as whole numbers: which of them name the same two classes, in files and in frames.
OLD, NEW = np.array([0, 1, 1, 0, 1]), np.array([1, 1, 0, 0, 1])

CELLS = {
    "true": lambda x: x == 1,
    "True as text": lambda x: np.where(x == 1, "True", "False"),
    "true as text": lambda x: np.where(x == 1, "true", "false"),
    "1": lambda x: x,
    "1 as text": lambda x: x.astype(str),
    "yes as text": lambda x: np.where(x == 1, "yes", "no"),
}

KINDS = {
    "true": "truth",
    "True as text": "text",
    "true as text": "text",
    "1": "number",
    "1 as text": "number",
    "yes as text": "other",
}

SAME = {("truth", "truth"), ("truth", "text"), ("text", "text"), ("number", "number"), ("number", "truth"), ("other", "other")}
"""Kinds of cells whose classes are the same."""


def written(folder: Path, name: str, ending: str, cells: np.ndarray):
    table = pa.table({"id": np.arange(len(cells)), "pred": pa.array(cells.tolist())})
    path = folder / f"{name}.{ending}"
    if ending == "frame":
        return table
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        (pyarrow.csv.write_csv if ending == "csv" else pyarrow.parquet.write_table)(table, path)
    return path


def votes(folder: Path, endings: tuple[str, str], old: str, new: str):
    inputs = [
        written(folder, name, ending, CELLS[kind](classes))
        for name, ending, kind, classes in zip(("old", "new"), endings, (old, new), (OLD, NEW), strict=True)
    ]
    with open_predictions(inputs) as both:
        found = both.read()
        return found.votes.tolist(), found.class_names, both.summary.class_rule


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "frame"])
@pytest.mark.parametrize("old", CELLS)
@pytest.mark.parametrize("new", CELLS)
def test_typed_truth_values_are_both_the_texts_and_the_numbers_but_these_two_are_not_each_other(tmp_path, old, new, ending):
    if tuple(sorted((KINDS[old], KINDS[new]))) in {tuple(sorted(pair)) for pair in SAME}:
        assert votes(tmp_path, (ending, ending), old, new)[0] == [OLD.tolist(), NEW.tolist()]
    else:
        with pytest.raises(BadInput, match="different label maps"):
            votes(tmp_path, (ending, ending), old, new)


@pytest.mark.parametrize("other", [kind for kind in CELLS if KINDS[kind] != "other"])
@pytest.mark.parametrize("endings", [("csv", "parquet"), ("parquet", "csv")])
def test_cells_true_and_false_of_a_csv_are_truth_values(tmp_path, endings, other):
    kinds = ("True as text", other) if endings[0] == "csv" else (other, "True as text")
    assert votes(tmp_path, endings, *kinds)[0] == [OLD.tolist(), NEW.tolist()]


def test_the_rule_that_is_printed_names_both_kinds(tmp_path):
    found = votes(tmp_path, ("parquet", "parquet"), "true", "true as text")
    assert found[1:] == (("False", "True"), "classes in pred: False, True, as truth values and as text")
