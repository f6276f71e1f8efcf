import numpy as np
import pytest
from by_hand import softmax, value

from traintwice.losses import (
    CrossEntropy,
)


def test_cross_entropy(batch):
    logits, labels = batch
    f = softmax(logits)
    by_hand = sum(-np.log(f[j, b, labels[b]]) for j in range(len(f)) for b in range(f.shape[1])) / f.shape[1]
    assert value(CrossEntropy(), logits, labels) == pytest.approx(by_hand, rel=1e-12)


def test_cross_entropy_of_own_labels():
    logits = np.random.default_rng(0).normal(size=(2, 5, 3))
    labels = np.array([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    each = [value(CrossEntropy(), logits[j : j + 1], labels[j]) for j in range(2)]
    assert value(CrossEntropy(), logits, labels) == pytest.approx(sum(each), rel=1e-12)
