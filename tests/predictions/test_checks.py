"""Every message of the checks: what came, what was expected, what to do."""

import re

import numpy as np
import pytest

from other_arrays import EACH_LIBRARY
from traintwice.errors import BadInput
from traintwice.predictions import Predictions

GOOD = np.full((2, 3, 2), 0.5)


def broken(at, value):
    probs = GOOD.copy()
    probs[at] = value
    return probs


CASES = {
    "list": ([[0, 1]], None, None, "predictions: got list, expected an array of shape (replicas, examples, classes)"),
    "one axis": (np.array([0, 1]), None, None, "predictions: got shape (2,), expected (replicas, examples, classes)"),
    "integers with three axes": (np.ones((2, 3, 2), int), None, None, "probabilities: got dtype int64, expected floating point"),
    "one class": (np.ones((2, 3, 1)), None, None, "got shape (2, 3, 1)"),
    "one class, advice": (np.ones((2, 3, 1)), None, None, "becomes the two columns 1 − s, s"),
    "no replicas": (np.ones((0, 3, 2)), None, None, "got shape (0, 3, 2)"),
    "no examples": (np.ones((2, 0, 2)), None, None, "got shape (2, 0, 2)"),
    "nan": (broken((1, 2, 0), np.nan), None, None, "1 of 12 entries are NaN or infinite (first: replica 1, example 2, class 0)"),
    "infinity": (broken((0, 1, 1), np.inf), None, None, "1 of 12 entries are NaN or infinite (first: replica 0, example 1"),
    "negative": (broken((1, 0, 1), -0.5), None, None, "1 entries are negative (first: replica 1, example 0, class 1)"),
    "logits, advice": (broken((1, 0, 1), -0.5), None, None, "these look like logits: pass softmax(logits)"),
    "sum": (broken((1, 0, 1), 0.6), None, None, "1 of 6 rows do not sum to 1 (first: replica 1, example 0, sum 1.1)"),
    "floats with two axes": (
        np.ones((2, 3)),
        None,
        None,
        "predicted labels: got dtype float64 of shape (2, 3), expected integers",
    ),
    "no votes": (np.ones((2, 0), int), None, None, "predicted labels: got shape (2, 0), expected at least one replica"),
    "negative vote": (np.array([[0, 1], [-1, -2]]), None, None, "2 are negative (first: replica 1, example 0)"),
    "labels too short": (GOOD, np.array([0, 1]), None, "labels: got shape (2,), expected (3,), one label for each example"),
    "labels with two axes": (GOOD, np.zeros((3, 1), int), None, "labels: got shape (3, 1), expected (3,)"),
    "float labels": (GOOD, np.zeros(3), None, "labels: got dtype float64, expected integers that count classes from 0"),
    "label out of range": (GOOD, np.array([0, 2, 1]), None, "labels: 1 are outside 0 to 1 (first: example 1, label 2)"),
    "negative label": (np.zeros((2, 3), int), np.array([0, 9, -1]), None, "labels: 1 are negative (first: example 2, label -1)"),
    "weights too short": (GOOD, None, np.ones(2), "weights: got shape (2,), expected (3,), one weight for each example"),
    "negative weight": (GOOD, None, np.array([1.0, -1, 1]), "weights: 1 are negative or not finite (first: example 1)"),
    "nan weight": (GOOD, None, np.array([1.0, 1, np.nan]), "weights: 1 are negative or not finite (first: example 2)"),
    "no weight": (GOOD, None, np.zeros(3), "weights: all are zero; at least one example must count"),
}


@pytest.mark.parametrize(("probs", "labels", "weights", "message"), CASES.values(), ids=CASES.keys())
def test_message(probs, labels, weights, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        Predictions(probs, labels, weights)


@EACH_LIBRARY
@pytest.mark.parametrize("case", ["nan", "negative", "sum", "label out of range", "negative weight", "negative vote"])
def test_the_message_does_not_depend_on_the_kind_of_array(convert, case):
    probs, labels, weights, message = CASES[case]
    to = [None if x is None else convert(x) for x in (probs, labels, weights)]
    with pytest.raises(BadInput, match=re.escape(message)):
        Predictions(*to)


def test_half_precision_sums_well_enough():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(100), (2, 50)).astype(np.float16)
    assert Predictions(probs).probs.dtype == np.float64


@pytest.mark.parametrize("groups", [[], "", 0, np.zeros(3), [["AT"] * 3]])
def test_groups_that_are_no_mapping_are_refused(groups):
    with pytest.raises(BadInput, match=r"groups: got .*, expected a mapping from names to arrays"):
        Predictions(np.full((2, 3, 2), 0.5), groups=groups)
