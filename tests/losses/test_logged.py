import numpy as np
from by_hand import close, cross_entropy, kl, softmax, value

from traintwice.losses import (
    Distillation,
    LoggedDistillation,
)


def test_logged_probabilities_of_zero():
    logits, labels = np.random.default_rng(0).normal(size=(1, 2, 3)), np.array([0, 1])
    old = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        logged = np.log(old)
    f = softmax(logits)
    by_hand = sum(0.5 * cross_entropy(old[b], f[0, b]) - 0.5 * np.log(f[0, b, labels[b]]) for b in range(2)) / 2
    assert value(LoggedDistillation(0.5), logits, labels, teacher=logged) == close(by_hand)
    assert value(Distillation(1.0), logits, labels, teacher=logged) == close(sum(kl(old[b], f[0, b]) for b in range(2)) / 2)
