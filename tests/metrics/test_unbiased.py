"""Unbiased variances of a churn, against their definitions as loops over pairs that share no replica and over examples."""

from itertools import combinations

import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.metrics import unbiased_replica_variance, unbiased_variance
from traintwice.predictions import Predictions


def pairs_that_share_none(replicas):
    pairs = list(combinations(range(replicas), 2))
    return [(p, q) for p in pairs for q in pairs if not set(p) & set(q)]


@pytest.fixture(params=[4, 6])
def votes(request):
    return np.random.default_rng(request.param).integers(3, size=(request.param, 7))


def test_over_replicas(votes):
    churn = {p: np.mean(votes[p[0]] != votes[p[1]]) for p in combinations(range(len(votes)), 2)}
    apart = np.mean([churn[p] * churn[q] for p, q in pairs_that_share_none(len(votes))])
    assert unbiased_replica_variance(votes) == pytest.approx(np.mean(list(churn.values())) ** 2 - apart)


def test_over_replicas_and_examples(votes):
    differ = {p: votes[p[0]] != votes[p[1]] for p in combinations(range(len(votes)), 2)}
    examples = [(n, m) for n in range(7) for m in range(7) if n != m]
    apart = np.mean([differ[p][n] * differ[q][m] for p, q in pairs_that_share_none(len(votes)) for n, m in examples])
    mean = np.mean([d.mean() for d in differ.values()])
    assert unbiased_variance(votes) == pytest.approx(mean**2 - apart)


@pytest.mark.parametrize("variance", [unbiased_replica_variance, unbiased_variance])
def test_three_replicas_and_weights_are_refused(variance, votes):
    with pytest.raises(BadInput, match="got 3 replicas, expected at least 4"):
        variance(votes[:3])
    with pytest.raises(BadInput, match="has no weighted form"):
        variance(Predictions(np.full((4, 2, 2), 0.5), weights=np.ones(2) + np.arange(2)))
    if variance is unbiased_variance:
        with pytest.raises(BadInput, match="got 1 example, expected at least 2"):
            variance(votes[:, :1])
