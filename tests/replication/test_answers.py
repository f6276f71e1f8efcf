"""Everything that a training may return, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal

from trainings import LABELS, probabilities
from traintwice.errors import BadInput
from traintwice.predictions import open_predictions
from traintwice.replication._answers import answers_of, known_rows

PROBS = probabilities(np.random.default_rng(0))
IDS = np.arange(40) + 100


def one(returned, labels=None, ids=None, **reading):
    (answers,) = answers_of(returned, known_rows(labels, ids, reading)).values()
    return answers


def test_probabilities_of_any_array_type():
    for array in (PROBS, torch.tensor(PROBS, requires_grad=True), PROBS.tolist(), PROBS.astype(np.float32)):
        found = one(array, LABELS, IDS)
        np.testing.assert_allclose(found.values, PROBS, atol=1e-6)
        assert_array_equal(found.labels, LABELS)
        assert_array_equal(found.ids, IDS)


def test_a_score_becomes_two_columns():
    for score in (PROBS[:, 1], PROBS[:, 1:]):
        np.testing.assert_allclose(one(score, LABELS).values, PROBS)


def test_predicted_labels():
    assert_array_equal(one(PROBS.argmax(axis=1), LABELS).values, PROBS.argmax(axis=1))
    assert_array_equal(one(PROBS.argmax(axis=1) > 0, LABELS).values, PROBS.argmax(axis=1))


def test_labels_that_are_texts():
    names = np.array(["cat", "dog"])
    found = one(names[PROBS.argmax(axis=1)], names[LABELS])
    assert_array_equal(found.values, PROBS.argmax(axis=1))
    assert_array_equal(found.labels, LABELS)
    assert found.class_names == ("cat", "dog")
    with pytest.raises(BadInput, match="'cow' is not among the classes cat, dog"):
        one(np.array(["cow"] * 40), names[LABELS], classes=["cat", "dog"])
    assert one(np.array(["cow"] * 40), names[LABELS]).class_names == ("cat", "cow", "dog")  # no test row is a cow


VOTES = PROBS.argmax(axis=1)


@pytest.mark.parametrize(
    "given",
    [VOTES.astype("S1"), VOTES.astype(str).astype(np.dtypes.StringDType()), [str(v) for v in VOTES], list(torch.tensor(VOTES))],
)
def test_texts_of_numbers_are_numbers(given):
    found = one(given)
    assert_array_equal(found.values, VOTES)
    assert found.class_names is None


@pytest.mark.parametrize(
    "given", [LABELS > 0, LABELS.astype(float), LABELS.astype(object), LABELS.astype(np.uint8), LABELS.tolist()]
)
def test_labels_of_any_type(given):
    assert_array_equal(one(VOTES, given).labels, LABELS)


def test_truth_values_and_their_names():
    found = one(VOTES > 0, np.where(LABELS > 0, "True", "False"))
    assert_array_equal(found.values, VOTES)
    assert_array_equal(found.labels, LABELS)


def test_a_class_that_cannot_be_has_the_logit_minus_infinity():
    logits = np.insert(np.log(PROBS), 1, -np.inf, axis=1)
    np.testing.assert_allclose(one(logits, logits=True).values, np.insert(PROBS, 1, 0.0, axis=1))
    logits[3] = -np.inf
    with pytest.raises(BadInput, match=r"42 of 120 predictions are NaN or infinite|3 of 120"):
        one(logits, logits=True)


def test_whole_numbers_of_a_regression():
    assert_array_equal(one(np.arange(40), regression=True).values, np.arange(40.0))


def test_an_index_of_pandas():
    plain, other = (pd.Series(VOTES, index=index) for index in (range(40), range(7, 47)))
    assert one(plain).index is None
    assert one(other).shape() != one(plain).shape()
    assert one(other, pd.Series(LABELS, index=range(7, 47))).shape() == one(other, LABELS).shape()
    with pytest.raises(BadInput, match="the pandas index of the predictions differs"):
        one(other, pd.Series(LABELS, index=range(8, 48)))


def test_numbers_of_a_regression(tmp_path):
    numbers = np.linspace(-3, 3, 40)
    found = one(numbers, numbers + 1, IDS, regression=True)
    found.write(tmp_path / "a.parquet")
    with open_predictions(tmp_path / "a.parquet", regression=True) as back:
        whole = back.read()
    assert_array_equal(whole.scores[0], numbers)
    assert_array_equal(whole.targets, numbers + 1)
    with pytest.raises(BadInput, match="regression=True"):
        one(numbers)


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame])
def test_a_table_in_another_order_is_aligned_by_id(kind):
    order = np.random.default_rng(1).permutation(40)
    table = kind({"id": IDS[order], "p_0": PROBS[order, 0], "p_1": PROBS[order, 1]})
    found = one(table, LABELS, IDS)
    assert_array_equal(found.ids, IDS)
    assert_array_equal(found.values, PROBS)
    assert_array_equal(found.labels, LABELS)


def test_a_table_with_its_own_ids_and_labels():
    found = one(pd.DataFrame({"id": IDS, "p": PROBS[:, 1], "y": LABELS}))
    assert_array_equal(found.ids, IDS)
    assert_array_equal(found.labels, LABELS)


def test_a_table_without_ids():
    found = one(pd.DataFrame({"p": PROBS[:, 1], "y": LABELS}))
    assert found.ids is None
    np.testing.assert_allclose(found.values, PROBS)


def test_splits():
    found = answers_of(
        {"validation": PROBS[:10], "test": PROBS}, known_rows({"validation": LABELS[:10], "test": LABELS}, None, {})
    )
    assert {name: len(answers.values) for name, answers in found.items()} == {"validation": 10, "test": 40}
    for parts in ({"a": PROBS, "b": PROBS}, {"val": VOTES, "test": VOTES}, {"seen": VOTES[:9], "unseen": VOTES}):
        assert set(answers_of(parts, known_rows(None, None, {}))) == set(parts)
    for name in (0, "../a", "a/b"):
        with pytest.raises(BadInput, match="splits: got the name"):
            answers_of({name: PROBS}, known_rows(None, None, {}))
    with pytest.raises(BadInput, match="the splits are a, b, expected test"):
        answers_of({"a": PROBS, "b": PROBS}, known_rows({"test": LABELS}, None, {}))


NAN = PROBS.copy()
NAN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "the training returned None"),
        (PROBS[:38], "38 rows of predictions, expected 40, one for each label"),
        (NAN, r"1 of 80 predictions are NaN or infinite \(first: row 3\)"),
        (PROBS * 2, "do not sum to 1"),
        (0.93, "the training returned a float, expected predictions"),
        ((row for row in PROBS), "the training returned a generator, expected predictions"),
        ([PROBS[:30], PROBS[30:]], r"a list of 2 parts of shapes \(30, 2\), \(10, 2\).*join mini-batches"),
        ((PROBS, LABELS), "a tuple of 2 parts"),
        (np.array([None, *"ab" * 19, "a"]), r"1 of 40 predictions are missing \(first: row 0\)"),
        (np.ma.array(LABELS, mask=LABELS > 0), "a masked array of int64"),
        (np.array(["cat", "dog"])[LABELS], "the predicted labels are texts such as 'cat', and the labels are of int64"),
        (pd.DataFrame({"id": IDS[1:], "p": PROBS[1:, 1]}), "1 of the 40 ids are missing .*100"),
        (pd.DataFrame({"id": np.append(IDS, 7), "p": np.append(PROBS[:, 1], 0.5)}), "the table has 41 rows.* 7"),
        (pd.DataFrame({"p": PROBS[::-1, 1], "y": LABELS[::-1]}), "its rows come in another order. Add a column of ids"),
    ],
)
def test_refused(returned, message):
    with pytest.raises(BadInput, match=message):
        one(returned, LABELS, IDS)


@pytest.mark.parametrize(
    ("returned", "labels", "message"),
    [
        (
            VOTES,
            np.where(LABELS, "a", "b"),
            "the labels are texts such as 'a', and the predicted labels are of int64; pass the names",
        ),
        (VOTES > 0, np.where(LABELS, "yes", "no"), "the predicted labels are of bool"),
        (PROBS, np.where(LABELS, "1", "2"), "texts of numbers such as '2'; pass them as integers"),
        (
            PROBS,
            np.where(LABELS, "ham", "spam"),
            "the texts ham, spam, and the predictions 2 columns without names; pass the names",
        ),
        (PROBS[:, 1], np.where(LABELS, "no", "yes"), "the texts no, yes, and the predictions one score; pass the names"),
    ],
)
def test_labels_that_do_not_say_which_class_is_which(returned, labels, message):
    with pytest.raises(BadInput, match=message):
        one(returned, labels)


@pytest.mark.parametrize("returned", [PROBS, PROBS[:, 1]])
def test_names_of_the_classes_are_in_the_order_of_the_columns(returned):
    found = one(returned, np.where(LABELS, "ham", "spam"), classes=["spam", "ham"])
    assert_array_equal(found.labels, LABELS)
    assert found.class_names == ("spam", "ham")


def test_a_table_with_ids_needs_the_ids_of_labels():
    with pytest.raises(BadInput, match="pass ids, so that each label finds its row"):
        one(pd.DataFrame({"id": IDS, "p": PROBS[:, 1]}), LABELS)


@pytest.mark.parametrize(
    ("labels", "ids", "message"),
    [
        (LABELS, IDS[:3], "got 40 labels and 3 ids"),
        (None, np.zeros(3, int), "2 of 3 repeat another"),
        (None, np.zeros(3), "got float64, which does not identify rows exactly"),
        ([0, None], None, r"labels: 1 of 2 are missing \(first: row 1\); label all rows or none"),
        ([0, np.nan], None, "labels: 1 of 2 are missing"),
        ([0.5, 1], None, "labels: got numbers such as 0.5, expected classes"),
        (["a", None], ["a", None], "ids: 1 of 2 are missing"),
        (np.zeros((2, 2)), None, r"got shape \(2, 2\)"),
    ],
)
def test_what_is_known_is_checked(labels, ids, message):
    with pytest.raises(BadInput, match=message):
        known_rows(labels, ids, {})


def test_the_shape_depends_on_the_rows_and_not_on_their_order():
    order = np.random.default_rng(1).permutation(40)
    table = {"id": IDS, "p": PROBS[:, 1], "y": LABELS}
    assert one(table).shape() == one({name: column[order] for name, column in table.items()}).shape()
    assert one(table).shape() != one({**table, "id": IDS + 1}).shape()
