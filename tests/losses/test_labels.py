import numpy as np
import pytest
import torch
from by_hand import close, components_and_examples, cross_entropy, softmax, value

from traintwice.errors import BadInput
from traintwice.losses import CrossEntropy, EnsembleCrossEntropy, GateCrossEntropy, LabelSmoothing, Outputs, OwnCrossEntropy


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
