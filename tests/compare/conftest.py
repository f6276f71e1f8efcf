"""Simulated votes of replicas, and random probabilities."""

import numpy as np
import pytest
from scipy.special import softmax


@pytest.fixture
def draw():
    def draw(M=4, N=40, K=3, *, seed=0):
        rng = np.random.default_rng(seed)
        probs = softmax(1.5 * rng.normal(size=(1, N, K)) + rng.normal(size=(M, N, K)), axis=2)
        return probs, rng.integers(0, K, N)

    return draw
