import numpy as np
import pytest
import torch
from by_hand import close, cross_entropy, softmax, value

from traintwice.losses import (
    Agreement,
    Entropy,
    Outputs,
    PeerCrossEntropy,
)


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
