import math

import numpy as np
import pytest
import torch
from by_hand import close, components_and_examples, cross_entropy, kl, softmax, value

from traintwice.errors import BadInput
from traintwice.losses import (
    CrossEntropy,
    EnsembleCrossEntropy,
    Entropy,
    GateCrossEntropy,
    LabelSmoothing,
    LogitL2,
    Outputs,
    OwnCrossEntropy,
    SymmetricKLToUniform,
)
from traintwice.methods import entropy_regulariser


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


def test_value_and_gradient():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 7, 3)), rng.integers(0, 3, (2, 7))
    f, own = softmax(logits), [0, 1, 2, 6]
    total, gradient = 0.0, np.zeros_like(logits)
    for j in range(2):
        for b in own:
            total -= np.log(f[j, b, labels[j, b]]) / len(own)
            gradient[j, b] = (f[j, b] - np.eye(3)[labels[j, b]]) / len(own)
    z = torch.from_numpy(logits).requires_grad_()
    found = OwnCrossEntropy()(Outputs(z, torch.from_numpy(labels), shared=slice(3, 6)))
    assert found.item() == close(total)
    found.backward()
    np.testing.assert_allclose(z.grad.numpy(), gradient, atol=1e-12)


def test_without_a_shared_part_it_is_the_cross_entropy():
    out = Outputs(torch.randn(2, 3, 4, 5), torch.randint(5, (2, 3, 4)))
    for shared in (None, slice(0, 0)):
        torch.testing.assert_close(
            OwnCrossEntropy()(Outputs(out.logits, out.labels, shared=shared)), CrossEntropy()(out), rtol=0, atol=1e-6
        )
    with pytest.raises(BadInput, match="has all 4 examples, and OwnCrossEntropy reads the others"):
        OwnCrossEntropy()(Outputs(out.logits, out.labels, shared=slice(None)))


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


def test_losses_of_the_average(batch):
    logits, labels = batch
    f, examples = softmax(logits), range(logits.shape[1])
    by_prob = -np.mean([np.log(f[:, b, labels[b]].mean()) for b in examples])
    by_logit = -np.mean([np.log(softmax(logits.mean(0))[b, labels[b]]) for b in examples])
    assert value(EnsembleCrossEntropy(), logits, labels) == close(by_prob)
    assert value(EnsembleCrossEntropy("logit"), logits, labels) == close(by_logit)
    gate = np.random.default_rng(11).normal(size=(logits.shape[1], len(logits)))
    mixed = -np.mean([np.log((softmax(gate)[b] * f[:, b, labels[b]]).sum()) for b in examples])
    assert value(GateCrossEntropy(), logits, labels, gate=gate) == close(mixed)


def test_gate_gives_no_gradient_to_the_components():
    logits = torch.randn(2, 5, 3, requires_grad=True)
    gate = torch.randn(5, 2, requires_grad=True)
    GateCrossEntropy()(Outputs(logits, torch.zeros(5, dtype=torch.int64), gate=gate)).backward()
    assert logits.grad is None
    assert gate.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["weights", "ignored", "masked", "soft"])
def test_own_examples_of_every_kind(kind):
    rng = torch.Generator().manual_seed(0)
    logits, labels, others = torch.randn(2, 7, 3, generator=rng), torch.randint(2, (2, 7), generator=rng), {}
    if kind == "weights":
        others = {"weights": torch.rand(2, 7, generator=rng)}
    elif kind == "ignored":
        labels[:, 1] = -100
    elif kind == "masked":
        logits[..., 2] = -torch.inf
    else:
        labels = torch.softmax(torch.randn(2, 7, 3, generator=rng), -1)
    own = [0, 1, 2, 6]
    expected = CrossEntropy()(Outputs(logits[:, own], labels[:, own], **{name: value[:, own] for name, value in others.items()}))
    torch.testing.assert_close(OwnCrossEntropy()(Outputs(logits, labels, shared=slice(3, 6), **others)), expected)


def test_entropy(batch):
    logits, labels = batch
    f = softmax(logits)
    by_hand = sum(-(f[j, b] * np.log(f[j, b])).sum() for j in range(len(f)) for b in range(f.shape[1])) / f.shape[1]
    assert value(Entropy(), logits, labels) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("renormalise", [True, False])
def test_entropy_of_the_largest(renormalise):
    logits = np.random.default_rng(3).normal(size=(2, 6, 5)) * 2
    f, total = softmax(logits), 0.0
    for j, b in components_and_examples(f):
        top = np.sort(f[j, b])[-3:]
        top = top / top.sum() if renormalise else top
        total += -(top * np.log(top)).sum() / 6
    assert value(Entropy(3, renormalise), logits, np.zeros(6, dtype=int)) == close(total)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def out_of(logits):
    return Outputs(logits, torch.arange(logits.shape[-2]) % logits.shape[-1])


def test_weight_of_the_entropy_is_minus_that_of_the_confidence_penalty():
    out = out_of(normal(1, 9, 4))
    total = entropy_regulariser(0.3).loss(out)
    torch.testing.assert_close(total, 0.7 * CrossEntropy()(out) + 0.3 * Entropy()(out))


def test_two_classes_and_confidence():
    """CH Theorem 3 (binary): lower entropy, or larger distance from uniform, means a larger margin between the two."""
    margins = torch.linspace(0, 6, 50, dtype=torch.float64)
    outs = [Outputs(torch.tensor([[[m, 0.0]]]), torch.tensor([0])) for m in margins]
    entropies = [Entropy()(o).item() for o in outs]
    distances = [SymmetricKLToUniform()(o).item() for o in outs]
    assert entropies == sorted(entropies, reverse=True)
    assert distances == sorted(distances, reverse=True)
    assert entropies[0] == pytest.approx(math.log(2))


@pytest.mark.parametrize(("top_k", "renormalise"), [(None, True), (3, True), (3, False)])
@pytest.mark.parametrize("cap", [None, 1.0])
def test_symmetric_kl_to_uniform(top_k, renormalise, cap):
    logits = np.random.default_rng(4).normal(size=(2, 6, 5)) * 2
    f, total, capped = softmax(logits), 0.0, 0
    for j, b in components_and_examples(f):
        p = np.sort(f[j, b])[-(top_k or 5) :]
        classes = 5
        if top_k and renormalise:
            p, classes = p / p.sum(), top_k
        skl = ((p - 1 / classes) * np.log(classes * p)).sum()
        if not top_k:
            uniform = np.full(5, 0.2)
            assert skl == close(kl(p, uniform) + kl(uniform, p))
        capped += cap is not None and skl > cap
        total -= min(skl, cap or np.inf) / 6
    assert value(SymmetricKLToUniform(cap, top_k, renormalise), logits, np.zeros(6, dtype=int)) == close(total)
    assert 0 < capped < 12 or cap is None


def test_logit_l2(batch):
    logits, labels = batch
    by_hand = sum((logits[j, b] ** 2).sum() for j, b in components_and_examples(logits)) / logits.shape[1]
    assert value(LogitL2(), logits, labels) == close(by_hand)
