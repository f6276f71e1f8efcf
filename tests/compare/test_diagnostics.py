from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import unbiased_replica_variance, unbiased_variance
from traintwice.errors import BadInput
from traintwice.predictions import Predictions


@pytest.mark.parametrize("replicas", [4, 5, 7])
def test_by_their_definitions(replicas):
    votes = np.random.default_rng(replicas).integers(0, 3, (replicas, 12))
    pairs = list(combinations(range(replicas), 2))
    differ = {(a, b): (votes[a] != votes[b]).astype(float) for a, b in pairs}
    mean = np.mean([differ[p].mean() for p in pairs])
    apart = [(p, q) for p in pairs for q in pairs if not set(p) & set(q)]
    assert_allclose(
        unbiased_replica_variance(votes), mean**2 - np.mean([differ[p].mean() * differ[q].mean() for p, q in apart]), atol=1e-12
    )
    of_rows = [np.mean([np.delete(differ[q], n).mean() * differ[p][n] for n in range(12)]) for p, q in apart]
    assert_allclose(unbiased_variance(votes), mean**2 - np.mean(of_rows), atol=1e-12)


def test_what_they_cannot_be_computed_on():
    votes = np.zeros((4, 3), dtype=int)
    with pytest.raises(BadInput, match="got 3 replicas, expected at least 4"):
        unbiased_variance(votes[:3])
    with pytest.raises(BadInput, match="no weighted form"):
        unbiased_replica_variance(Predictions(votes, weights=np.ones(3)))
    with pytest.raises(BadInput, match="got 1 example"):
        unbiased_variance(votes[:, :1])
