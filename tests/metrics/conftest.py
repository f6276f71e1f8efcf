"""Predictions to measure: softmax of random logits that agree in part, as replicas do."""

import numpy as np
import pytest
from scipy.special import softmax


@pytest.fixture
def draw():
    def draw(M=3, N=40, K=4, *, seed=0, spread=1.0):
        rng = np.random.default_rng(seed)
        common = rng.normal(size=(1, N, K)) * 1.5
        probs = softmax(common + spread * rng.normal(size=(M, N, K)), axis=2)
        return probs, rng.integers(0, K, N)

    return draw
