import numpy as np
from by_hand import close, components_and_examples, cross_entropy, kl, softmax, value

from traintwice.losses import (
    Anchor,
    FocalDistillation,
    LoggedDistillation,
)


def test_negative_flip_losses(batch):
    logits, labels = batch
    old_logits = np.random.default_rng(10).normal(size=logits.shape[1:]) * 2
    f, old = softmax(logits), softmax(old_logits)
    at_t, old_at_t = softmax(logits / 3), softmax(old_logits / 3)
    logged = anchored = focal = 0.0
    for j, b in components_and_examples(f):
        of_old, of_label = cross_entropy(old[b], f[j, b]), -np.log(f[j, b, labels[b]])
        right = old[b].argmax() == labels[b]
        logged += (0.3 * of_old + 0.7 * of_label) / f.shape[1]
        anchored += (0.3 * of_old + 0.7 * of_label if right else 0.2 * of_label) / f.shape[1]
        focal += (0.5 + 4 * right) * 9 * kl(old_at_t[b], at_t[j, b]) / f.shape[1]
    assert value(LoggedDistillation(0.3), logits, labels, teacher=old_logits) == close(logged)
    assert value(Anchor(0.3, 0.2), logits, labels, teacher=old_logits) == close(anchored)
    assert value(FocalDistillation(0.5, 4.0, 3.0), logits, labels, teacher=old_logits) == close(focal)
