import numpy as np
from by_hand import close, components_and_examples, cross_entropy, kl, softmax, value

from traintwice.losses import Anchor, Distillation, FocalDistillation, LoggedDistillation


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


def test_logged_probabilities_of_zero():
    logits, labels = np.random.default_rng(0).normal(size=(1, 2, 3)), np.array([0, 1])
    old = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        logged = np.log(old)
    f = softmax(logits)
    by_hand = sum(0.5 * cross_entropy(old[b], f[0, b]) - 0.5 * np.log(f[0, b, labels[b]]) for b in range(2)) / 2
    assert value(LoggedDistillation(0.5), logits, labels, teacher=logged) == close(by_hand)
    assert value(Distillation(1.0), logits, labels, teacher=logged) == close(sum(kl(old[b], f[0, b]) for b in range(2)) / 2)


def test_logged_distillation(batch):
    logits, labels = batch
    old_logits = np.random.default_rng(10).normal(size=logits.shape[1:]) * 2
    f, old = softmax(logits), softmax(old_logits)
    by_hand = 0.0
    for j, b in components_and_examples(f):
        of_old, of_label = cross_entropy(old[b], f[j, b]), -np.log(f[j, b, labels[b]])
        by_hand += (0.3 * of_old + 0.7 * of_label) / f.shape[1]
    assert value(LoggedDistillation(0.3), logits, labels, teacher=old_logits) == close(by_hand)
