import numpy as np
from by_hand import close, components_and_examples, kl, softmax, value

from traintwice.losses import FocalDistillation


def test_focal_distillation(batch):
    logits, labels = batch
    old_logits = np.random.default_rng(10).normal(size=logits.shape[1:]) * 2
    f, old = softmax(logits), softmax(old_logits)
    at_t, old_at_t = softmax(logits / 3), softmax(old_logits / 3)
    by_hand = 0.0
    for j, b in components_and_examples(f):
        right = old[b].argmax() == labels[b]
        by_hand += (0.5 + 4 * right) * 9 * kl(old_at_t[b], at_t[j, b]) / f.shape[1]
    assert value(FocalDistillation(0.5, 4.0, 3.0), logits, labels, teacher=old_logits) == close(by_hand)
