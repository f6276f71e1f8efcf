import numpy as np
import torch
from by_hand import close, components_and_examples, cross_entropy, softmax, value

from traintwice.losses import (
    CrossEntropy,
    LabelSmoothing,
)


def test_label_smoothing(batch):
    logits, labels = batch
    f, total = softmax(logits), 0.0
    classes = f.shape[2]
    for j, b in components_and_examples(f):
        target = np.full(classes, 0.3 / classes)
        target[labels[b]] += 0.7
        total += cross_entropy(target, f[j, b]) / f.shape[1]
    assert value(LabelSmoothing(0.3), logits, labels) == close(total)


def test_label_smoothing_as_in_torch(batch):
    logits, labels = batch
    by_torch = sum(
        torch.nn.functional.cross_entropy(torch.from_numpy(z), torch.from_numpy(labels), label_smoothing=0.3).item()
        for z in logits
    )
    assert value(LabelSmoothing(0.3), logits, labels) == close(by_torch)
    assert value(LabelSmoothing(0.0), logits, labels) == close(value(CrossEntropy(), logits, labels))
