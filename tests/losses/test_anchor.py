import numpy as np
from by_hand import close, components_and_examples, cross_entropy, softmax, value

from traintwice.losses import Anchor


def test_anchor(batch):
    logits, labels = batch
    old_logits = np.random.default_rng(10).normal(size=logits.shape[1:]) * 2
    f, old = softmax(logits), softmax(old_logits)
    by_hand = 0.0
    for j, b in components_and_examples(f):
        of_old, of_label = cross_entropy(old[b], f[j, b]), -np.log(f[j, b, labels[b]])
        right = old[b].argmax() == labels[b]
        by_hand += (0.3 * of_old + 0.7 * of_label if right else 0.2 * of_label) / f.shape[1]
    assert value(Anchor(0.3, 0.2), logits, labels, teacher=old_logits) == close(by_hand)
