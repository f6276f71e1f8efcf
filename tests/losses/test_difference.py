import numpy as np
import pytest
from by_hand import close, cross_entropy, softmax, value

from traintwice.losses import CrossEntropyDifference, Difference


@pytest.mark.parametrize("form", ["negative", "inverse"])
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("signal", "center"), [("logits", "none"), ("logits", "class"), ("probabilities", "none")])
def test_difference(batch, form, power, signal, center):
    logits, labels = batch
    s = logits if signal == "logits" else softmax(logits)
    if center == "class":
        s = s - s.mean(2, keepdims=True)
    components, total = len(s), 0.0
    for k in range(s.shape[2] if components > 1 else 0):
        of_class = 0.0
        for i in range(components):
            for j in range(components):
                if j != i:
                    of_class -= np.mean(np.abs(s[i, :, k] - s[j, :, k]) ** power) / (components**2 - components)
        total += of_class if form == "negative" else 1 / (abs(of_class) + 0.05)
    assert value(Difference(form, power, signal, center, 0.05), logits, labels) == close(total)


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
