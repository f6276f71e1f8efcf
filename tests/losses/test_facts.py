"""What follows from the definitions of the losses, and bites: D1 to D4 and identities between losses; D5 is tested with its measure."""

import math

import numpy as np
import pytest
import torch

from traintwice.losses import (
    Agreement,
    CrossEntropy,
    CrossEntropyDifference,
    Decorrelation,
    Difference,
    Entropy,
    GramSchmidt,
    LogitL2,
    Outputs,
    PeerCrossEntropy,
    SymmetricKLToUniform,
)
from traintwice.methods import anti_distillation, anti_distillation_difference, entropy_regulariser, symmetric_kl_regulariser
from traintwice.metrics import surrogate_churn


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def out_of(logits):
    return Outputs(logits, torch.arange(logits.shape[-2]) % logits.shape[-1])


def descend(loss, free, logits_of, steps, lr):
    """Gradient descent on a loss of logits that depend on a tensor."""
    free = free.clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(out_of(logits_of(free))).backward()
        optimizer.step()
    return free.detach()


def said(method, words):
    return any(words in sentence for sentence in method.warnings(classes=10))


def test_d1_literal_loss_can_be_driven_to_zero_with_no_change_of_any_probability():
    logits = normal(2, 64, 4) * 2
    before = Decorrelation()(out_of(logits))
    shift = descend(Decorrelation(), torch.zeros(2, 64, 1, dtype=torch.float64), lambda c: logits + c, steps=300, lr=0.1)
    after = out_of(logits + shift)
    torch.testing.assert_close(after.probs, out_of(logits).probs)
    assert Decorrelation()(after) < 0.01 * before
    fixed = Decorrelation(center="class")
    torch.testing.assert_close(fixed(after), fixed(out_of(logits)))
    assert said(anti_distillation(), "softmax ignores")
    assert not said(anti_distillation(center="class"), "softmax ignores")
    assert not said(anti_distillation(signal="probabilities"), "softmax ignores")


@pytest.mark.parametrize("matrix", ["second-moment", "covariance", "residue"])
def test_d2_loss_scales_with_the_fourth_power_unless_normalised(matrix):
    logits = normal(3, 64, 4)
    for c in (0.1, 2.0):
        plain, scaled = Decorrelation(matrix)(out_of(logits)), Decorrelation(matrix)(out_of(c * logits))
        torch.testing.assert_close(scaled, c**4 * plain)
        cosine = Decorrelation(matrix, normalize=True)
        torch.testing.assert_close(cosine(out_of(c * logits)), cosine(out_of(logits)))
    assert said(anti_distillation(), "fourth power")
    assert not said(anti_distillation(normalize=True), "fourth power")
    torch.testing.assert_close(LogitL2()(out_of(2 * logits)), 4 * LogitL2()(out_of(logits)))


def test_d2_normalised_covariance_is_pearson_correlation():
    logits = normal(3, 64, 4)
    by_numpy = sum(np.corrcoef(logits[:, :, k].numpy())[i, j] ** 2 for k in range(4) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert Decorrelation("covariance", normalize=True)(out_of(logits)).item() == pytest.approx(by_numpy)


def test_d3_residue_loss_of_two_is_their_mean_squared_difference_over_four_squared():
    logits = normal(2, 9, 3)
    by_hand = sum((((logits[0, :, k] - logits[1, :, k]) ** 2).mean() / 4) ** 2 for k in range(3))
    torch.testing.assert_close(Decorrelation("residue")(out_of(logits)), by_hand)
    torch.testing.assert_close(
        Decorrelation("residue", normalize=True)(out_of(logits)).item(), 3.0
    )  # one for each class: a constant
    assert said(anti_distillation(matrix="residue", normalize=True), "is constant")


@pytest.mark.parametrize("components", [2, 3])
def test_d3_residue_loss_pulls_components_together(components):
    start = normal(components, 9, 3)
    end = descend(Decorrelation("residue"), start, lambda z: z, steps=600, lr=0.05)
    spread = (end - end.mean(0)).square().mean() / (start - start.mean(0)).square().mean()
    assert spread < 0.05
    assert Decorrelation("residue")(out_of(end[:1].expand(components, -1, -1))) < 1e-25
    assert said(anti_distillation(matrix="residue"), "pulls them together")
    assert not said(anti_distillation(), "pulls them together")


@pytest.mark.parametrize("loss", [Difference(), Difference(power=1.0), CrossEntropyDifference(), SymmetricKLToUniform()])
def test_d4_unbounded_below(loss):
    logits = normal(2, 9, 3)
    values = [loss(out_of(c * logits)).item() for c in (1, 10, 100, 1000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 100 * values[0] < 0


@pytest.mark.parametrize(
    ("loss", "floor"),
    [
        (Difference(signal="probabilities"), -2.0),
        (Difference("inverse"), 0.0),
        (CrossEntropyDifference("inverse"), 0.0),
        (SymmetricKLToUniform(cap=1.5), -3.0),
        (Entropy(), 0.0),
    ],
)
def test_d4_bounded_forms(loss, floor):
    logits = normal(2, 9, 3)
    assert min(loss(out_of(c * logits)).item() for c in (0.1, 1, 10, 100, 1000)) >= floor


def test_d4_is_said():
    assert said(anti_distillation_difference(signal="logits"), "unbounded below")
    assert not said(anti_distillation_difference(signal="probabilities"), "unbounded below")
    assert not said(anti_distillation_difference(signal="logits", form="inverse"), "unbounded below")
    assert said(symmetric_kl_regulariser(), "unbounded below")
    assert not said(symmetric_kl_regulariser(cap=2.0), "unbounded below")
    assert said(entropy_regulariser(top_k=10), "top_k=10 with 10 classes raises an error")
    assert not said(entropy_regulariser(top_k=9), "refused")


@pytest.mark.parametrize("components", [2, 3, 5])
def test_joint_cross_entropy_is_symmetric_kl_and_the_entropies(components):
    out = out_of(normal(components, 9, 4) * 2)
    torch.testing.assert_close(Agreement("ce")(out), Agreement("skl")(out) + Entropy()(out))
    torch.testing.assert_close(PeerCrossEntropy()(out), Agreement("ce")(out))


def test_weight_of_the_entropy_is_minus_that_of_the_confidence_penalty():
    out = out_of(normal(1, 9, 4))
    total = entropy_regulariser(0.3).loss(out)
    torch.testing.assert_close(total, 0.7 * CrossEntropy()(out) + 0.3 * Entropy()(out))


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


def test_gram_schmidt_of_two_is_decorrelation_and_of_three_is_not():
    two, three = out_of(normal(2, 9, 4)), out_of(normal(3, 9, 4))
    torch.testing.assert_close(GramSchmidt()(two), Decorrelation()(two))
    assert not torch.isclose(GramSchmidt()(three), Decorrelation()(three), rtol=0.01)


def test_gram_schmidt_counts_what_is_common_once():
    """Two equal components and a third: the third's overlap with both counts once; de-correlation counts it twice."""
    a, c = normal(9, 1), normal(9, 1, seed=1)
    out = out_of(torch.stack([a, a, c]).expand(3, 9, 1).repeat(1, 1, 2))
    overlap, own = 2 * (a * c).mean() ** 2, 2 * (a * a).mean() ** 2
    torch.testing.assert_close(Decorrelation()(out), own + 2 * overlap)
    torch.testing.assert_close(GramSchmidt(epsilon=1e-12)(out), own + overlap)


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_alpha_of_surrogate_churn_is_an_inverse_temperature(alpha):
    """SChurn_α(f) = SChurn_1(softmax(α · logits)): what a loss does to the scale of the logits moves it, with no label changed."""
    logits = normal(4, 30, 5)
    sharpened = surrogate_churn((alpha * logits).softmax(-1).numpy())
    assert surrogate_churn(logits.softmax(-1).numpy(), alpha=alpha) == pytest.approx(sharpened)


@pytest.mark.parametrize("loss", [CrossEntropy(), Entropy(), Agreement(), Difference(), SymmetricKLToUniform(top_k=2)])
def test_one_example_repeated_is_one_example(loss):
    logits = normal(2, 1, 3)
    many = Outputs(logits.expand(2, 8, 3), torch.zeros(8, dtype=torch.int64))
    torch.testing.assert_close(loss(many), loss(Outputs(logits, torch.zeros(1, dtype=torch.int64))))


def test_two_classes_and_confidence():
    """CH Theorem 3 (binary): lower entropy, or larger distance from uniform, means a larger margin between the two."""
    margins = torch.linspace(0, 6, 50, dtype=torch.float64)
    outs = [Outputs(torch.tensor([[[m, 0.0]]]), torch.tensor([0])) for m in margins]
    entropies = [Entropy()(o).item() for o in outs]
    distances = [SymmetricKLToUniform()(o).item() for o in outs]
    assert entropies == sorted(entropies, reverse=True)
    assert distances == sorted(distances, reverse=True)
    assert entropies[0] == pytest.approx(math.log(2))
