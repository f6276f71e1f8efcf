from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as sk

from traintwice.errors import BadInput, Undefined
from traintwice.metrics import Accumulator, auc, churn, decision_flips, mean_bias, precision, rank_loss, recall
from traintwice.predictions import Predictions

WEIGHTS = np.random.default_rng(1).exponential(size=80)


@pytest.mark.parametrize("M", [1, 2, 10])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_precision_and_recall_of_a_replica_are_those_of_scikit_learn(draw, M, weights):
    probs, y = draw(M, 80, 2)
    votes = probs.argmax(axis=2)
    for metric, theirs in ((precision, sk.precision_score), (recall, sk.recall_score)):
        expected = [theirs(y, v, sample_weight=weights) for v in votes]
        assert_allclose(metric.measure(Predictions(probs, y, weights)).rows, expected, rtol=1e-12)
        assert_allclose(metric.measure(Predictions(votes, y, weights)).rows, expected, rtol=1e-12)
        expected = [theirs(y, p[:, 1] >= 0.3, sample_weight=weights) for p in probs]
        assert_allclose(metric.measure(Predictions(probs, y, weights), threshold=0.3).rows, expected, rtol=1e-12)
        scores = Predictions.from_scores(np.log(probs[:, :, 1]), y, weights)
        assert_allclose(metric.measure(scores, threshold=np.log(0.3)).rows, expected, rtol=1e-12)


def test_precision_pools_over_replicas_and_recall_is_the_mean_of_theirs(draw):
    probs, y = draw(4, 80, 2)
    votes = probs.argmax(axis=2)
    right = sum(votes[m, n] == 1 and y[n] == 1 for m in range(4) for n in range(80))
    assert_allclose(precision(probs, y), right / np.sum(votes == 1), rtol=1e-14)
    assert precision(probs, y) != pytest.approx(precision.measure(probs, y).rows.mean(), rel=1e-6)
    assert_allclose(recall(probs, y), recall.measure(probs, y).rows.mean(), rtol=1e-14)


@pytest.mark.parametrize("metric", [precision, recall])
def test_a_threshold_streams_and_is_left_out_like_any_option(metric, draw):
    probs, y = draw(4, 60, 2)
    parts = Accumulator(metric, threshold=0.3)
    for rows in (slice(0, 20), slice(20, 60)):
        parts.update(Predictions(probs[:, rows], y[rows]))
    whole = metric.measure(probs, y, threshold=0.3)
    assert parts.compute().value == whole.value != metric(probs, y)
    assert_allclose(parts.compute().example_variance, whole.example_variance, rtol=1e-10)
    assert_allclose(whole.jackknife_values, [metric(np.delete(probs, m, axis=0), y, threshold=0.3) for m in range(4)], rtol=1e-12)
    assert metric(probs, y, threshold=None) == metric(probs, y)
    with pytest.raises(BadInput, match=r"merge: got (precision|recall)\(threshold=0.4\)"):
        parts.merge(Accumulator(metric, threshold=0.4))


def test_a_tie_is_negative_for_the_predicted_label_and_positive_at_the_threshold():
    probs, y = np.array([[[0.5, 0.5], [0.1, 0.9]]]), np.array([1, 1])
    assert recall(probs, y) == 0.5
    assert recall(probs, y, threshold=0.5) == 1


@pytest.mark.parametrize("metric", [precision, recall])
def test_what_has_no_two_classes_or_no_positives_is_refused(metric, draw):
    with pytest.raises(BadInput, match="got 3 classes, expected 2"):
        metric(*draw(2, 10, 3))
    with pytest.raises(BadInput, match=r"^predicted labels: got class 2, expected 0 and 1"):
        metric(np.array([[0, 1, 2]]), np.array([0, 1, 1]))
    with pytest.raises(BadInput, match=r"^labels: got class 2, expected 0 and 1"):
        metric(np.array([[0, 1, 1]]), np.array([0, 1, 2]))
    with pytest.raises(
        Undefined, match=rf"{metric.__name__} has no value here: its denominator, (predicted )?positives, is zero"
    ):
        metric(np.array([[0, 0]]), np.array([0, 0]))
    with pytest.raises(BadInput, match="threshold: got 30, expected a probability, from 0 to 1"):
        metric(*draw(2, 10, 2), threshold=30)
    scores = Predictions.from_scores(np.zeros((2, 3)), np.array([0, 1, 1]))
    assert metric.definition.missing(scores) == "needs predicted labels"
    assert metric.definition.bind(threshold=0.0).missing(scores) is None
    assert metric.definition.bind(threshold=0.5).missing(Predictions(np.array([[0, 1]]), np.array([0, 1]))) == (
        "needs probabilities"
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_mean_bias_equals_the_definition(draw, weights):
    probs, y = draw(3, 80, 2)
    expected = np.mean([np.average(p[:, 1], weights=weights) - np.average(y, weights=weights) for p in probs])
    assert_allclose(mean_bias(Predictions(probs, y, weights)), expected, rtol=1e-10)
    swapped = Predictions(probs[:, :, ::-1].copy(), 1 - y, weights)
    assert_allclose(mean_bias(swapped), -expected, rtol=1e-10)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_auc_is_that_of_scikit_learn_and_one_minus_the_rank_loss(draw, weights):
    probs, y = draw(3, 80, 2)
    p = Predictions(probs.round(1), y, weights)
    expected = [sk.roc_auc_score(y, q[:, 1], sample_weight=weights) for q in probs.round(1)]
    assert_allclose(auc.measure(p).rows, expected, rtol=1e-12)
    assert_allclose(auc(p) + rank_loss(p), 1, rtol=1e-14)
    assert_allclose(auc.measure(p).influence, -rank_loss.measure(p).influence)
    with pytest.raises(Undefined, match=r"^AUC has no value here: it needs examples of both labels"):
        auc(probs, np.ones(80, dtype=int))


@pytest.mark.parametrize("M", [2, 3, 25])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_decision_flips_equal_the_definition(draw, M, threshold, weights):
    probs, _ = draw(M, 80, 2)
    decided = probs[:, :, 1] >= threshold
    pairs = [np.average(decided[a] != decided[b], weights=weights) for a, b in combinations(range(M), 2)]
    assert_allclose(decision_flips(Predictions(probs, None, weights), threshold=threshold), np.mean(pairs), rtol=1e-12)
    scores = Predictions.from_scores(probs[:, :, 1] - 2, None, weights)
    assert_allclose(decision_flips(scores, threshold=threshold - 2), np.mean(pairs), rtol=1e-12)


def test_decision_flips_at_one_half_are_churn(draw):
    probs, _ = draw(5, 80, 2)
    assert decision_flips(probs) == churn(probs) > 0
    assert decision_flips(probs, threshold=0.3) != churn(probs)
    for threshold in (-0.1, 1.5, float("nan")):
        with pytest.raises(BadInput, match="expected a probability, from 0 to 1"):
            decision_flips(probs, threshold=threshold)
    with pytest.raises(BadInput, match="threshold: got inf, expected a finite number"):
        decision_flips(Predictions.from_scores(np.zeros((2, 2))), threshold=float("inf"))
