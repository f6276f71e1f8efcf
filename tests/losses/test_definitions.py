"""Every loss against its formula written as loops in NumPy."""

import numpy as np
import pytest
import torch

from traintwice.errors import BadInput, BadSpec
from traintwice.losses import Agreement, CrossEntropy, Decorrelation, Entropy, Outputs


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture(params=[(2, 5, 3), (3, 4, 2), (1, 6, 4), (4, 1, 3)])
def batch(request):
    rng = np.random.default_rng(7)
    logits = rng.normal(size=request.param) * 2
    return logits, rng.integers(request.param[2], size=request.param[1])


def value(loss, logits, labels):
    return loss(Outputs(torch.from_numpy(logits), torch.from_numpy(labels))).item()


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


def test_entropy(batch):
    logits, labels = batch
    f = softmax(logits)
    by_hand = sum(-(f[j, b] * np.log(f[j, b])).sum() for j in range(len(f)) for b in range(f.shape[1])) / f.shape[1]
    assert value(Entropy(), logits, labels) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("kind", ["l1", "skl"])
def test_agreement(batch, kind):
    logits, labels = batch
    f = softmax(logits)
    total = 0.0
    for i in range(len(f)):
        for j in range(i + 1, len(f)):
            for b in range(f.shape[1]):
                p, q = f[i, b], f[j, b]
                skl = (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()
                total += (np.abs(p - q).sum() if kind == "l1" else skl) / f.shape[1]
    assert value(Agreement(kind), logits, labels) == pytest.approx(total / max(len(f) - 1, 1), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("matrix", ["second-moment", "covariance", "residue"])
@pytest.mark.parametrize("signal", ["logits", "probabilities"])
@pytest.mark.parametrize("center", ["none", "class"])
@pytest.mark.parametrize("normalize", [False, True])
def test_decorrelation(batch, matrix, signal, center, normalize):
    logits, labels = batch
    s = logits if signal == "logits" else softmax(logits)
    if center == "class":
        s = s - s.mean(2, keepdims=True)
    if matrix == "covariance":
        s = s - s.mean(1, keepdims=True)
    if matrix == "residue":
        s = s - s.mean(0, keepdims=True)
    total = 0.0
    for k in range(s.shape[2]):
        a = np.array([[np.mean(s[i, :, k] * s[j, :, k]) for j in range(len(s))] for i in range(len(s))])
        if normalize:
            scale = np.sqrt(np.maximum(np.diag(a), 1e-12))
            a = a / np.outer(scale, scale)
        total += 0.5 * ((a**2).sum() - (np.diag(a) ** 2).sum())  # AD (5), per class
    got = value(Decorrelation(matrix, signal, center, normalize), logits, labels)
    assert got == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_residue_of_two_is_their_mean_squared_difference_over_four_squared():
    logits = np.random.default_rng(1).normal(size=(2, 9, 3))
    by_hand = sum((np.mean((logits[0, :, k] - logits[1, :, k]) ** 2) / 4) ** 2 for k in range(3))
    got = value(Decorrelation("residue"), logits, np.zeros(9, dtype=int))
    assert got == pytest.approx(by_hand, rel=1e-12)


def test_literal_loss_is_blind_free_but_centred_loss_is_not_moved_by_the_gauge():
    logits = np.random.default_rng(2).normal(size=(2, 9, 3))
    labels = np.zeros(9, dtype=int)
    moved = logits + np.random.default_rng(3).normal(size=(2, 9, 1))  # softmax sees no difference
    assert value(CrossEntropy(), moved, labels) == pytest.approx(value(CrossEntropy(), logits, labels))
    assert value(Decorrelation(), moved, labels) != pytest.approx(value(Decorrelation(), logits, labels), rel=0.01)
    fixed = Decorrelation(center="class")
    assert value(fixed, moved, labels) == pytest.approx(value(fixed, logits, labels))


def test_scale_is_the_fourth_power_unless_normalised():
    logits = np.random.default_rng(4).normal(size=(3, 9, 3))
    labels = np.zeros(9, dtype=int)
    assert value(Decorrelation(), 2 * logits, labels) == pytest.approx(16 * value(Decorrelation(), logits, labels))
    pearson = Decorrelation("covariance", normalize=True)
    assert value(pearson, 2 * logits, labels) == pytest.approx(value(pearson, logits, labels))


def test_one_logit_is_read_as_two_classes():
    z = np.random.default_rng(5).normal(size=(2, 9, 1))
    labels = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0])
    two = np.concatenate([np.zeros_like(z), z], axis=-1)
    for loss in (CrossEntropy(), Entropy(), Agreement(), Decorrelation()):
        assert value(loss, z, labels) == pytest.approx(value(loss, two, labels))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ((4, 3), (4,), r"expected \(\.\.\., components, batch, classes\)"),
        ((2, 4, 3), (3,), r"got labels of shape \(3,\) for logits \(2, 4, 3\), expected \(4,\) or \(2, 4\)"),
        ((5, 2, 4, 3), (4,), r"expected \(5, 4\) or \(5, 2, 4\)"),
    ],
)
def test_shapes_that_do_not_fit(logits, labels, message):
    with pytest.raises(BadInput, match=message):
        Outputs(torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))


def test_unknown_options():
    with pytest.raises(BadSpec, match="got 'cov', expected one of 'second-moment', 'covariance', 'residue'"):
        Decorrelation("cov")
    with pytest.raises(BadSpec, match="expected 'skl' or 'l1'"):
        Agreement("kl")
