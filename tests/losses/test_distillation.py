import numpy as np
import pytest
import torch
from by_hand import close, components_and_examples, cross_entropy, kl, softmax, value

from traintwice.errors import BadInput, BadSpec
from traintwice.losses import (
    Agreement,
    Anchor,
    CrossEntropy,
    Distillation,
    Entropy,
    FocalDistillation,
    LabelSmoothing,
    LoggedDistillation,
    LogitDifference,
    NeighbourSmoothing,
    Outputs,
    PeerCrossEntropy,
)
from traintwice.methods import elodi


def averaged(teachers, temperature, average):
    if average == "logit":
        return softmax(teachers.mean(0) / temperature)
    return softmax(teachers / temperature).mean(0)


@pytest.mark.parametrize("average", ["prob", "logit"])
def test_distillation(batch, average):
    logits, labels = batch
    teachers = np.random.default_rng(9).normal(size=(3, *logits.shape[1:])) * 2
    teacher, student = averaged(teachers, 2.5, average), softmax(logits / 2.5)
    by_hand = 2.5**2 * sum(kl(teacher[b], student[j, b]) for j, b in components_and_examples(logits)) / logits.shape[1]
    assert value(Distillation(2.5, average), logits, labels, teacher=teachers) == close(by_hand)


def test_one_teacher_needs_no_axis(batch):
    logits, labels = batch
    teachers = np.random.default_rng(9).normal(size=(1, *logits.shape[1:]))
    for loss in (Distillation(), LoggedDistillation(), Anchor(), FocalDistillation()):
        assert value(loss, logits, labels, teacher=teachers) == close(value(loss, logits, labels, teacher=teachers[0]))


def by_loops(logits, reference, top_k, margin, power):
    total, gradient = 0.0, np.zeros_like(logits)
    for j, b in components_and_examples(logits):
        highest = sorted(range(logits.shape[2]), key=lambda k: -reference[b, k])[: top_k or logits.shape[2]]
        for k in highest:
            gap = logits[j, b, k] - reference[b, k]
            if abs(gap) > margin:
                total += (abs(gap) - margin) ** power / logits.shape[1]
                gradient[j, b, k] = power * (abs(gap) - margin) ** (power - 1) * np.sign(gap) / logits.shape[1]
    return total, gradient


@pytest.mark.parametrize(("top_k", "margin", "power"), [(None, 0.0, 2.0), (2, 0.0, 2.0), (1, 0.4, 1.0), (2, 0.3, 3.0)])
def test_value_and_gradient(batch, top_k, margin, power):
    logits, labels = batch
    top_k = top_k and min(top_k, logits.shape[2] - 1)
    teachers = np.random.default_rng(1).normal(size=(4, *logits.shape[1:]))
    loss = LogitDifference(top_k, margin, power)
    total, gradient = by_loops(logits, teachers.mean(0), top_k, margin, power)
    assert value(loss, logits, labels, teacher=teachers) == close(total)
    z = torch.from_numpy(logits).requires_grad_()
    loss(Outputs(z, torch.from_numpy(labels), teacher=torch.from_numpy(teachers))).backward()
    np.testing.assert_allclose(z.grad.numpy(), gradient, atol=1e-12)
    one = np.random.default_rng(2).normal(size=logits.shape[1:])
    assert value(loss, logits, labels, teacher=one) == close(by_loops(logits, one, top_k, margin, power)[0])


def test_settings_and_inputs_are_checked(batch):
    logits, labels = batch
    with pytest.raises(BadSpec, match=r"LogitDifference.top_k: got 0, expected at least 1"):
        LogitDifference(top_k=0)
    with pytest.raises(BadSpec, match=r"LogitDifference.margin: got -1.0"):
        LogitDifference(margin=-1.0)
    with pytest.raises(BadSpec, match=r"LogitDifference.power: got 0.5, expected a number of at least 1"):
        LogitDifference(power=0.5)
    with pytest.raises(BadInput, match="LogitDifference needs the logits of a teacher"):
        value(LogitDifference(), logits, labels)
    classes = logits.shape[2]
    with pytest.raises(BadSpec, match=f"got {classes} for {classes} classes, expected fewer"):
        value(LogitDifference(classes), logits, labels, teacher=logits[0])
    assert "raises an error at the first step" in elodi(top_k=classes).warnings(classes=classes)[0]


def test_value_and_gradient_of_neighbour_smoothing(batch):
    logits, labels = batch
    f, classes = softmax(logits), logits.shape[2]
    shares = np.random.default_rng(0).dirichlet(np.ones(classes), logits.shape[1])
    total, gradient = 0.0, np.zeros_like(logits)
    for j, b in components_and_examples(f):
        target = 0.3 * (0.6 * shares[b] + 0.4 / classes)
        target[labels[b]] += 0.7
        total += cross_entropy(target, f[j, b]) / f.shape[1]
        gradient[j, b] = (f[j, b] - target) / f.shape[1]
    loss = NeighbourSmoothing(0.3, uniform=0.4)
    assert value(loss, logits, labels, teacher=np.log(shares)) == close(total)
    z = torch.from_numpy(logits).requires_grad_()
    loss(Outputs(z, torch.from_numpy(labels), teacher=torch.from_numpy(np.log(shares)))).backward()
    np.testing.assert_allclose(z.grad.numpy(), gradient, atol=1e-12)


def test_its_ends_are_other_losses(batch):
    logits, labels = batch
    one_hot = (
        torch.eye(logits.shape[2], dtype=torch.float64)[torch.from_numpy(labels)].log().numpy()
    )  # all neighbours have the label
    assert value(NeighbourSmoothing(0.3, 1.0), logits, labels, teacher=one_hot) == close(
        value(LabelSmoothing(0.3), logits, labels)
    )
    for loss in (NeighbourSmoothing(0.0), NeighbourSmoothing(0.5, 0.0)):
        assert value(loss, logits, labels, teacher=one_hot) == close(value(CrossEntropy(), logits, labels))


def test_settings_are_checked():
    with pytest.raises(BadSpec, match=r"NeighbourSmoothing.neighbours: got 0, expected at least 1"):
        NeighbourSmoothing(neighbours=0)
    with pytest.raises(BadSpec, match=r"NeighbourSmoothing.uniform: got 1.5"):
        NeighbourSmoothing(uniform=1.5)


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


def test_agreement_by_cross_entropy(batch):
    logits, labels = batch
    f, total = softmax(logits), 0.0
    for i in range(len(f)):
        for j in range(len(f)):
            if i != j:
                total += np.mean([cross_entropy(f[i, b], f[j, b]) for b in range(f.shape[1])])
    by_hand = total / max(len(f) - 1, 1)
    assert value(Agreement("ce"), logits, labels) == close(by_hand)
    assert value(PeerCrossEntropy(), logits, labels) == close(by_hand)


def test_cross_entropy_with_stale_peers(batch):
    logits, labels = batch
    peers = np.random.default_rng(8).normal(size=logits.shape)
    f, g, total = softmax(logits), softmax(peers), 0.0
    for j in range(len(f)):
        for i in range(len(f)):
            if i != j:
                total += np.mean([cross_entropy(g[i, b], f[j, b]) for b in range(f.shape[1])])
    got = value(PeerCrossEntropy(lag_steps=2), logits, labels, peers=peers)
    assert got == close(total / max(len(f) - 1, 1))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def out_of(logits):
    return Outputs(logits, torch.arange(logits.shape[-2]) % logits.shape[-1])


@pytest.mark.parametrize("components", [2, 3, 5])
def test_joint_cross_entropy_is_symmetric_kl_and_the_entropies(components):
    out = out_of(normal(components, 9, 4) * 2)
    torch.testing.assert_close(Agreement("ce")(out), Agreement("skl")(out) + Entropy()(out))
    torch.testing.assert_close(PeerCrossEntropy()(out), Agreement("ce")(out))


def test_symmetric_kl_updates_are_the_same_jointly_and_independently():
    """The gradient of the joint sum for each component is that of its own objective in which the other is a constant."""
    logits = normal(2, 9, 4).requires_grad_()
    for kind in ("skl", "l1"):
        (joint,) = torch.autograd.grad(Agreement(kind)(out_of(logits)), logits)
        for j in range(2):
            own = torch.stack([z if i == j else z.detach() for i, z in enumerate(logits)])
            (alone,) = torch.autograd.grad(Agreement(kind)(out_of(own)), logits)
            torch.testing.assert_close(alone[j], joint[j])
    (joint,) = torch.autograd.grad(Agreement("ce")(out_of(logits)), logits)
    (independent,) = torch.autograd.grad(PeerCrossEntropy()(out_of(logits)), logits)
    assert not torch.allclose(joint, independent)


def test_peers_are_constants():
    """The gradient is that of KL(peer ‖ f), which is f minus the peer: (17) and (18) are the same step."""
    logits, peers = normal(2, 9, 4).requires_grad_(), normal(2, 9, 4, seed=1)
    out = Outputs(logits, torch.zeros(9, dtype=torch.int64), peers=peers.requires_grad_())
    gradient, of_peers = torch.autograd.grad(PeerCrossEntropy(4)(out), (logits, peers), allow_unused=True)
    torch.testing.assert_close(gradient, (out.probs - peers.softmax(-1).flip(0)) / 9)
    assert of_peers is None
    live = Outputs(logits, out.labels)
    (gradient,) = torch.autograd.grad(PeerCrossEntropy()(live), logits)
    torch.testing.assert_close(gradient, (live.probs - live.probs.flip(0)) / 9)
