import numpy as np
import pytest
from by_hand import close, cross_entropy, softmax, value

from traintwice.losses import (
    CrossEntropyDifference,
)


@pytest.mark.parametrize("form", ["negative", "inverse"])
def test_cross_entropy_difference(batch, form):
    logits, labels = batch
    f, components, total = softmax(logits), len(logits), 0.0
    for i in range(components):
        for j in range(components):
            if j != i:
                total += np.mean([cross_entropy(f[i, b], f[j, b]) for b in range(f.shape[1])]) / (components**2 - components)
    by_hand = 0.0 if components == 1 else -total if form == "negative" else 1 / (total + 0.05)
    assert value(CrossEntropyDifference(form, 0.05), logits, labels) == close(by_hand)
