from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics import (
    ambiguity,
    ambiguity_against,
    churn,
    churn_matrix,
    discrepancy_against,
    log_loss,
    percentile_width,
    replicas_within_loss,
    self_consistency,
    self_consistency_distribution,
    viable_range,
    viable_range_distribution,
)
from traintwice.predictions import Predictions

WEIGHTS = np.random.default_rng(1).exponential(size=40)
BOTH = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])


def consistency(votes):
    pairs = list(combinations(range(len(votes)), 2))
    return np.array([sum(v[a] == v[b] for a, b in pairs) / len(pairs) for v in votes.T])


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@BOTH
def test_self_consistency_equals_the_definition(draw, M, weights):
    probs, _ = draw(M)
    p, each = Predictions(probs, None, weights), consistency(probs.argmax(axis=2))
    assert_allclose(self_consistency(p), np.average(each, weights=weights), rtol=1e-12)
    assert_allclose(self_consistency(p) + churn(p), 1, rtol=1e-14)
    assert_allclose(self_consistency.values(p).mean(axis=0), each, rtol=1e-14)
    levels = (1.0, 0.9, 0.5, 0.0)
    expected = [np.average(each >= level - 1e-12, weights=weights) for level in levels]
    found = self_consistency_distribution(p, levels=levels)
    assert [level for level, _ in found] == list(levels)
    assert_allclose([share for _, share in found], expected, rtol=1e-12)


def test_a_level_that_is_met_exactly_counts():
    votes = np.zeros((20, 1), dtype=int)
    votes[0] = 1  # 171 of 190 pairs agree: 0.9
    assert self_consistency_distribution(votes, levels=(0.9,))[0].share == 1
    assert ambiguity(votes, of=20) == 1 - self_consistency_distribution(votes)[0].share
    with pytest.raises(TooFewReplicas):
        self_consistency_distribution(votes[:1])


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("M", [2, 7])
@BOTH
def test_viable_range_equals_the_definition(draw, K, M, weights):
    probs, _ = draw(M, 40, K)
    top = probs.mean(axis=0).argmax(axis=1) if K > 2 else np.ones(40, dtype=int)
    of_top = np.array([[probs[m, n, top[n]] for n in range(40)] for m in range(M)])
    each = np.ptp(of_top, axis=0)
    p = Predictions(probs, None, weights)
    assert_allclose(viable_range(p), np.average(each, weights=weights), rtol=1e-12)
    assert_allclose(percentile_width(p, low=0, high=1), np.average(each, weights=weights), rtol=1e-12)
    low, high = np.quantile(of_top, [0.1, 0.7], axis=0)
    assert_allclose(percentile_width(p, low=0.1, high=0.7), np.average(high - low, weights=weights), rtol=1e-12)
    if K == 2:
        assert_allclose(viable_range(Predictions(probs[:, :, ::-1].copy(), None, weights)), viable_range(p), rtol=1e-12)


@BOTH
def test_the_distribution_of_the_range_is_its_quantiles_over_examples(draw, weights):
    probs, _ = draw(5, 40, 2)
    each = np.ptp(probs[:, :, 1], axis=0)
    found = viable_range_distribution(Predictions(probs, None, weights), quantiles=(0.25, 0.5, 0.95, 1.0))
    for quantile, largest in found:
        covered = np.average(each <= largest, weights=weights)
        assert largest in each
        assert covered >= quantile - 1e-12
        assert np.average(each < largest, weights=weights) < quantile
    assert found[-1].range == each.max()
    for quantiles in ((0.0,), (1.1,)):
        with pytest.raises(BadInput, match="expected numbers above 0 and at most 1"):
            viable_range_distribution(probs, quantiles=quantiles)
    with pytest.raises(TooFewReplicas):
        viable_range_distribution(probs[:1])


def test_percentiles_are_in_order():
    probs = np.full((3, 2, 2), 0.5)
    for low, high in ((0.5, 0.5), (0.9, 0.1), (-0.1, 0.9), (0.1, 1.1)):
        with pytest.raises(BadInput, match="expected 0 <= low < high <= 1"):
            percentile_width(probs, low=low, high=high)


@BOTH
def test_ambiguity_and_discrepancy_against_the_served_model_equal_the_definitions(draw, weights):
    probs, _ = draw(5)
    votes = probs.argmax(axis=2)
    others = Predictions(probs[1:], None, weights)
    changed = [any(votes[m, n] != votes[0, n] for m in range(1, 5)) for n in range(40)]
    assert_allclose(ambiguity_against(votes[:1], others), np.average(changed, weights=weights), rtol=1e-14)
    largest = max(np.average(votes[m] != votes[0], weights=weights) for m in range(1, 5))
    assert_allclose(discrepancy_against(probs[:1], others), largest, rtol=1e-14)
    if weights is None:
        assert largest == churn_matrix(votes)[0].max()
        assert ambiguity_against(votes[:1], votes[1:]) == ambiguity(votes, of=5)
    order = np.random.default_rng(0).permutation(4)
    shuffled = Predictions(probs[1:][order], None, weights)
    assert ambiguity_against(probs[:1], shuffled) == ambiguity_against(probs[:1], others)
    assert discrepancy_against(probs[:1], shuffled) == discrepancy_against(probs[:1], others)


def test_one_model_is_served_on_the_same_examples(draw):
    probs, _ = draw(3)
    assert ambiguity_against(probs[:1], probs[:1]) == discrepancy_against(probs[:1], probs[:1]) == 0
    for function in (ambiguity_against, discrepancy_against):
        with pytest.raises(BadInput, match="served: got 2 models, expected 1"):
            function(probs[:2], probs[2:])
        with pytest.raises(BadInput, match="served: got 39 examples, expected the 40 of the replicas"):
            function(probs[:1, :39], probs[1:])


def test_replicas_within_a_loss_of_the_best_are_kept(draw):
    probs, y = draw(6)
    losses = log_loss.measure(probs, y).rows
    for epsilon in (0, np.sort(losses)[2] - losses.min(), 10):
        expected = [m for m in range(6) if losses[m] <= losses.min() + epsilon]
        assert replicas_within_loss(probs, epsilon, y).tolist() == expected
    assert replicas_within_loss(Predictions(probs, y), 0).tolist() == [losses.argmin()]
    errors = (probs.argmax(axis=2) != y).mean(axis=1)
    expected = np.flatnonzero(errors <= errors.min() + 0.05).tolist()
    assert replicas_within_loss(probs.argmax(axis=2), 0.05, y).tolist() == expected


def test_an_infinite_loss_leaves_a_replica_out_unless_all_are_infinite():
    probs, y = np.array([[[0.5, 0.5]], [[0.0, 1.0]]]), np.array([0])
    assert replicas_within_loss(probs, 1e9, y).tolist() == [0]
    assert replicas_within_loss(probs[1:], 0, y).tolist() == [0]


def test_a_filter_needs_labels_and_a_distance(draw):
    probs, y = draw(2)
    with pytest.raises(BadInput, match="none were given"):
        replicas_within_loss(probs, 0.1)
    for epsilon in (-0.1, float("inf"), float("nan")):
        with pytest.raises(BadInput, match="expected a finite number of at least 0"):
            replicas_within_loss(probs, epsilon, y)
