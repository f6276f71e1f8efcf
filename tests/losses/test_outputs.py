"""Weights, masks, kinds of labels, masked classes and kinds of outputs, against loops over examples, classes and components."""

import numpy as np
import pytest
import torch
from by_hand import close, value
from loss_examples import LISTED

from traintwice.errors import BadInput
from traintwice.losses import (
    Agreement,
    Anchor,
    CrossEntropy,
    Decorrelation,
    Difference,
    Distillation,
    EnsembleCrossEntropy,
    Entropy,
    FocalDistillation,
    GateCrossEntropy,
    GramSchmidt,
    ImportedLoss,
    LabelSmoothing,
    LoggedDistillation,
    LogitL2,
    LossWithMemory,
    Outputs,
    PeerCrossEntropy,
    SymmetricKLToUniform,
)


def test_shared_examples():
    """Own parts of 2 and 1 examples behind a shared part of 3, in a batch of 5."""
    rng = np.random.default_rng(13)
    logits, labels = rng.normal(size=(2, 5, 3)), rng.integers(3, size=(2, 5))
    labels[1, :3] = labels[0, :3]
    out = Outputs(torch.from_numpy(logits), torch.from_numpy(labels), shared=slice(0, 3))
    assert Agreement()(out).item() == close(value(Agreement(), logits[:, :3], labels[0, :3]))
    assert EnsembleCrossEntropy()(out).item() == close(value(EnsembleCrossEntropy(), logits[:, :3], labels[0, :3]))
    assert CrossEntropy()(out).item() == close(sum(value(CrossEntropy(), logits[j : j + 1], labels[j]) for j in range(2)))
    with pytest.raises(BadInput, match="labels per component and no `shared`"):
        Agreement()(Outputs(out.logits, out.labels))
    with pytest.raises(BadInput, match="leaves none of 5 examples"):
        Agreement()(Outputs(out.logits, out.labels, shared=slice(0, 0)))


def test_one_logit_is_read_as_two_classes():
    z = np.random.default_rng(5).normal(size=(2, 9, 1))
    labels = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0])
    two = np.concatenate([np.zeros_like(z), z], axis=-1)
    for loss in (CrossEntropy(), Entropy(), Agreement(), Decorrelation(), SymmetricKLToUniform(), Difference()):
        assert value(loss, z, labels) == pytest.approx(value(loss, two, labels))
    peers, teacher = z[::-1].copy(), z[0] * 2
    with_two = {"peers": two[::-1].copy(), "teacher": two[0] * 2}
    for loss in (PeerCrossEntropy(1), Distillation()):
        assert value(loss, z, labels, peers=peers, teacher=teacher) == pytest.approx(value(loss, two, labels, **with_two))


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


def test_logits_that_are_none():
    with pytest.raises(BadInput, match=r"logits of torch.int64, expected floating point numbers"):
        Outputs(torch.zeros(2, 4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(BadInput, match=r"\(2, 0, 3\), without examples; leave empty batches out"):
        Outputs(torch.zeros(2, 0, 3), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"peers": (4, 3)}, r"got peers of shape \(4, 3\) for logits \(2, 4, 3\), expected \(2, 4, 3\)"),
        ({"teacher": (2, 4)}, r"got teacher of shape \(2, 4\).*expected \(4, 3\)"),
        ({"gate": (2, 4)}, r"got gate of shape \(2, 4\).*expected \(4, 2\)"),
    ],
)
def test_further_inputs_that_do_not_fit(others, message):
    with pytest.raises(BadInput, match=message):
        Outputs(
            torch.zeros(2, 4, 3),
            torch.zeros(4, dtype=torch.int64),
            **{name: torch.zeros(shape) for name, shape in others.items()},
        )
    with pytest.raises(BadInput, match=r"got signal 'tower' of shape \(1, 4, 6\).*expected \(2, 4, 6\)"):
        Outputs(torch.zeros(2, 4, 3), torch.zeros(4, dtype=torch.int64), signals={"tower": torch.zeros(1, 4, 6)})


RNG = np.random.default_rng(0)


Z = torch.from_numpy(RNG.normal(size=(2, 6, 4)))


Y = torch.tensor([0, 1, 3, 3, 0, 1])


OLD = torch.softmax(torch.from_numpy(RNG.normal(size=(6, 4))), -1)


OTHERS = {"peers": Z.flip(0), "teacher": OLD.log(), "logged": OLD, "gate": torch.from_numpy(RNG.normal(size=(6, 2)))}


MEMBERS = [loss for loss in LISTED if "tower" not in repr(loss) and not isinstance(loss, LossWithMemory)]


def value_and_gradient(loss, z, labels, **others):
    z = z.clone().requires_grad_()
    found = loss(Outputs(z, labels, **others))
    if not found.requires_grad:
        return found.detach(), torch.zeros_like(z)
    (gradient,) = torch.autograd.grad(found, z)
    return found.detach(), gradient


def rows(others, which):
    return {name: x[:, which] if name == "peers" else x[which] for name, x in others.items()}


@pytest.mark.parametrize("loss", MEMBERS, ids=repr)
def test_examples_that_do_not_count_are_as_if_they_were_not_there(loss):
    """By label -100, by mask and by weight 0; whatever their outputs are, and with equal weights of any size."""
    kept = torch.tensor([True, True, False, True, False, True])
    wanted, wanted_gradient = value_and_gradient(loss, Z[:, kept], Y[kept], **rows(OTHERS, kept))
    odd = Z.clone()
    odd[:, ~kept] = torch.nan
    for labels, others in ((torch.where(kept, Y, -100), {}), (Y, {"mask": kept}), (Y, {"weights": 3.0 * kept})):
        found, gradient = value_and_gradient(loss, odd, labels, **OTHERS, **others)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(gradient[:, kept], wanted_gradient)
        assert not gradient[:, ~kept].any()
    nothing, gradient = value_and_gradient(loss, Z, Y, **OTHERS, mask=torch.zeros(6, dtype=torch.bool))
    assert nothing.isfinite()
    assert not gradient.nan_to_num(nan=1.0).any()


@pytest.mark.parametrize("loss", MEMBERS, ids=repr)
def test_whole_weights_count_examples_several_times(loss):
    times = torch.tensor([1, 2, 1, 3, 1, 2])
    again = torch.arange(6).repeat_interleave(times)
    wanted = value_and_gradient(loss, Z[:, again], Y[again], **rows(OTHERS, again))[0]
    torch.testing.assert_close(value_and_gradient(loss, Z, Y, **OTHERS, weights=times)[0], wanted)


def test_weights_of_one_component():
    weights = torch.tensor([[1.0, 0, 2, 1, 1, 1], [1.0, 1, 1, 1, 1, 3]], dtype=torch.float64)
    log_probs = torch.log_softmax(Z, -1)
    by_hand = sum(
        sum(-weights[j, b] * log_probs[j, b, Y[b]] for b in range(6)) / sum(weights[j, b] for b in range(6)) for j in range(2)
    )
    torch.testing.assert_close(CrossEntropy()(Outputs(Z, Y.expand(2, -1), weights=weights)), by_hand)


COUPLED = [loss for loss in MEMBERS if getattr(loss, "couples", False) and not isinstance(loss, ImportedLoss)]


@pytest.mark.parametrize("loss", [*COUPLED, EnsembleCrossEntropy(), EnsembleCrossEntropy("logit"), GateCrossEntropy()], ids=repr)
def test_a_loss_between_components_needs_the_weights_of_all(loss):
    kept = torch.tensor([True, True, False, True, True, True])
    for labels in (Y, torch.nn.functional.one_hot(Y, 4).double()):
        wanted, found = (value_and_gradient(loss, Z, labels, **OTHERS, mask=mask)[0] for mask in (kept, kept.expand(2, -1)))
        torch.testing.assert_close(found, wanted)
    with pytest.raises(BadInput, match="differ between components, and a loss between components"):
        loss(Outputs(Z, Y, **OTHERS, mask=torch.stack([kept, ~kept])))


CLASSES = [loss for loss in MEMBERS if not isinstance(loss, Difference) or loss.form == "negative"]


@pytest.mark.parametrize("loss", CLASSES, ids=repr)
def test_masked_classes_are_as_if_they_were_not_there(loss):
    """Also next to examples that do not count, whose outputs may be anything."""

    def without(x):
        return torch.cat([x[..., :2], x[..., 3:]], -1)

    masked, old = Z.clone(), OLD.clone()
    masked[..., 2], old[..., 2] = -torch.inf, 0
    old = old / old.sum(-1, keepdim=True)
    peers = masked.flip(0)
    wanted, wanted_gradient = value_and_gradient(
        loss, without(Z), torch.where(Y == 3, 2, Y), peers=without(peers), teacher=without(old).log(), gate=OTHERS["gate"]
    )
    odd = torch.cat([masked, torch.full((2, 1, 4), torch.nan)], 1)
    once_more = [torch.cat([x, x[..., :1, :]], -2) for x in (peers, old.log(), OTHERS["gate"])]
    for z, labels, others in (
        (masked, Y, (peers, old.log(), OTHERS["gate"])),
        (odd, torch.cat([Y, -100 + 0 * Y[:1]]), once_more),
    ):
        found, gradient = value_and_gradient(loss, z, labels, **dict(zip(("peers", "teacher", "gate"), others, strict=True)))
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(without(gradient[:, :6]), wanted_gradient)
        assert not gradient[..., 2].any()


def test_masks_that_cannot_be():
    masked = Z.clone()
    masked[..., 1] = -torch.inf
    with pytest.raises(BadInput, match="label whose class is masked"):
        Outputs(masked, Y)
    masked[..., 1] = Z[..., 1]
    masked[0, 0, 2] = -torch.inf
    with pytest.raises(BadInput, match="in some components only"):
        Outputs(masked, Y)
    masked[1, 0, 2] = -torch.inf
    assert Decorrelation()(Outputs(masked, Y)).isfinite()
    with pytest.raises(BadInput, match="other masked classes in other examples"):
        Decorrelation("covariance")(Outputs(masked, Y))
    with pytest.raises(BadInput, match=r"take form='negative'"):
        Difference("inverse")(Outputs(masked, Y))
    masked[:, 0] = -torch.inf
    with pytest.raises(BadInput, match="all classes masked"):
        Outputs(masked, Y)
    teaches = Distillation(1.0)(Outputs(Z.where(torch.arange(4) != 2, -torch.inf), Y, teacher_probs=OLD))
    assert teaches.item() == torch.inf  # KL from a distribution on a class that cannot be


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, 4).double()


@pytest.mark.parametrize("loss", MEMBERS, ids=repr)
def test_soft_labels_of_one_class_are_that_class(loss):
    wanted, wanted_gradient = value_and_gradient(loss, Z, Y, **OTHERS)
    found, gradient = value_and_gradient(loss, Z, one_hot(Y), **OTHERS)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradient, wanted_gradient)


def test_soft_labels_are_targets():
    target = torch.from_numpy(RNG.dirichlet(np.ones(4), 6))
    probs = torch.softmax(Z, -1)
    by_hand = sum(-target[b, k] * probs[j, b, k].log() for j in range(2) for b in range(6) for k in range(4)) / 6
    torch.testing.assert_close(CrossEntropy()(Outputs(Z, target)), by_hand)
    mixture = sum(-target[b, k] * probs[:, b, k].mean().log() for b in range(6) for k in range(4)) / 6
    torch.testing.assert_close(EnsembleCrossEntropy()(Outputs(Z, target)), mixture)
    own = torch.stack([target, target.flip(0)])
    by_hand = sum(-own[j, b, k] * probs[j, b, k].log() for j in range(2) for b in range(6) for k in range(4)) / 6
    torch.testing.assert_close(CrossEntropy()(Outputs(Z, own)), by_hand)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.float16, torch.float64])
def test_binary_labels_of_any_type(dtype):
    z, y = Z[..., :1], torch.tensor([0, 1, 1, 0, 1, 0])
    for loss in (CrossEntropy(), Agreement(), FocalDistillation()):
        old = OLD[:, 0]
        wanted = loss(Outputs(z, y, logged=old)).item()
        assert loss(Outputs(z, y.to(dtype), logged=old)).item() == pytest.approx(wanted)
        assert loss(Outputs(z, y.to(dtype).unsqueeze(-1), logged=old.unsqueeze(-1))).item() == pytest.approx(wanted)
    soft = torch.tensor([0.2, 1, 0.5, 0, 0.9, 0.1], dtype=torch.float64)
    wanted = sum(torch.nn.functional.binary_cross_entropy_with_logits(z[j, :, 0], soft) for j in range(2))
    torch.testing.assert_close(CrossEntropy()(Outputs(z, soft)), wanted)
    last = CrossEntropy()(Outputs(z[:1, :1], y[:1, None].to(dtype)))  # a mini-batch of one example of one network
    torch.testing.assert_close(last, -torch.nn.functional.logsigmoid(-z[0, 0, 0]))


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (4, torch.tensor([0, 1, 4, 0, 0, 0]), r"labels from 0 to 4, expected classes from 0 to 3"),
        (4, torch.tensor([0, -1, 3, 0, 0, 0]), r"labels from -1 to 3"),
        (1, torch.tensor([0, 2, 1, 0, 0, 0]), r"expected classes from 0 to 1"),
        (4, torch.tensor([0.0, 1, 2, 3, 0, 0]), r"float32 and shape \(6,\) for 4 classes, expected classes as integers, or soft"),
        (1, torch.tensor([0.0, 1, 2, 3, 0, 0]), r"labels from 0 to 3, expected 0 and 1, or probabilities of class 1"),
        (4, torch.full((6, 4), 0.3), r"labels whose classes sum to 1.2"),
    ],
)
def test_labels_that_cannot_be(classes, labels, message):
    with pytest.raises(BadInput, match=message):
        Outputs(Z[..., :classes], labels)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"weights": -torch.ones(6)}, "weights that are negative or not finite"),
        ({"weights": torch.ones(5)}, r"weights of shape \(5,\).*expected \(6,\) or \(2, 6\)"),
        ({"mask": torch.ones(6)}, r"mask of torch.float32, expected booleans"),
        ({"teacher_probs": OLD.log()}, r"teacher_probs from -.* expected probabilities; logits are passed as teacher="),
        ({"logged": OLD / 2}, r"logged whose classes sum to 0.5"),
        ({"teacher_probs": OLD, "teacher": OLD}, "teacher and teacher_probs, expected one"),
        ({"task": "numbers", "logged": OLD}, "the outputs are numbers"),
    ],
)
def test_further_arguments_that_cannot_be(others, message):
    labels = Z[0] if others.get("task") == "numbers" else Y
    with pytest.raises(BadInput, match=message):
        Outputs(Z, labels, **others)


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("as_logged", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_model_equal_to_its_teacher_has_no_gradient(classes, as_logged, temperature):
    z = Z[:1, :, :classes]
    probs = torch.sigmoid(z[0]) if classes == 1 else torch.softmax(z[0], -1)
    others = {"logged" if as_logged else "teacher_probs": probs}
    y = Y.clamp(max=max(classes, 2) - 1)
    for loss in (LoggedDistillation(1.0), FocalDistillation(temperature=temperature), Distillation(temperature)):
        if as_logged and isinstance(loss, Distillation):
            continue
        _, gradient = value_and_gradient(loss, z, y, **others)
        assert gradient.abs().max() < 1e-12
    by_logits = Distillation(temperature)(Outputs(Z[1:, :, :classes], y, teacher=z[0]))
    torch.testing.assert_close(Distillation(temperature)(Outputs(Z[1:, :, :classes], y, teacher_probs=probs)), by_logits)


def test_what_is_logged_comes_before_the_teacher():
    out = Outputs(Z, Y, teacher=OLD.flip(0).log(), logged=OLD)
    torch.testing.assert_close(Anchor()(out), Anchor()(Outputs(Z, Y, teacher_probs=OLD)))
    torch.testing.assert_close(Distillation()(out), Distillation()(Outputs(Z, Y, teacher=OLD.flip(0).log())))


def test_positions_of_sequences_are_examples():
    z, y = Z.view(2, 2, 3, 4), torch.tensor([[0, -100, 3], [1, 1, -100]])
    kept = torch.tensor([0, 2, 3, 4])
    for loss in (CrossEntropy(), Agreement(), Decorrelation("covariance"), Distillation(), PeerCrossEntropy(2)):
        wanted = loss(Outputs(Z[:, kept], y.flatten()[kept], peers=Z.flip(0)[:, kept], teacher_probs=OLD[kept]))
        others = {"peers": z.flip(0), "teacher_probs": OLD.view(2, 3, 4)}
        torch.testing.assert_close(loss(Outputs.of_sequences(z, y, **others)), wanted)
        mask = torch.tensor([[True, False, True], [True, True, False]])
        torch.testing.assert_close(loss(Outputs.of_sequences(z, y.clamp(min=0), mask=mask, **others)), wanted)
        assert loss(Outputs.of_sequences(z, torch.full((2, 3), -100), **others)).item() == 0
    weighted = Outputs.of_sequences(z, y, weights=torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(weighted.weights[0], torch.tensor([2.0, 2, 1, 1], dtype=torch.float64))
    with pytest.raises(BadInput, match=r"expected \(J, B, T, K\) with labels \(B, T\)"):
        Outputs.of_sequences(Z, Y)
    with pytest.raises(BadInput, match="got gate, which the positions"):
        Outputs.of_sequences(z, y, gate=torch.zeros(2, 3, 2))


def test_several_labels():
    """Each label is a binary problem; losses are summed over labels."""
    y = torch.from_numpy(RNG.integers(2, size=(6, 4)))
    old = torch.sigmoid(Z[0] + 1)
    for loss in (
        CrossEntropy(),
        Agreement(),
        Agreement("l1"),
        Agreement("ce"),
        Entropy(),
        LoggedDistillation(0.3),
        Distillation(3.0),
    ):
        one_by_one = sum(loss(Outputs(Z[..., k : k + 1], y[:, k], teacher_probs=old[:, k : k + 1])) for k in range(4))
        found, gradient = value_and_gradient(loss, Z, y, task="multi-label", teacher_probs=old)
        torch.testing.assert_close(found, one_by_one)
        assert gradient.isfinite().all()
    by_hand = sum(torch.nn.functional.binary_cross_entropy_with_logits(Z[j], y.double()) * 4 for j in range(2))
    torch.testing.assert_close(CrossEntropy()(Outputs(Z, y, task="multi-label")), by_hand)
    of_logits = Decorrelation()(Outputs(Z, y, task="multi-label"))
    torch.testing.assert_close(of_logits, Decorrelation()(Outputs(Z, Y)))
    f = torch.sigmoid(Z)
    by_hand = sum((f[0, :, k] * f[1, :, k]).mean() ** 2 for k in range(4))
    torch.testing.assert_close(Decorrelation(signal="probabilities")(Outputs(Z, y, task="multi-label")), by_hand)
    for loss in (
        LabelSmoothing(),
        SymmetricKLToUniform(),
        Anchor(),
        FocalDistillation(),
        EnsembleCrossEntropy(),
        GateCrossEntropy(),
    ):
        with pytest.raises(BadInput, match=rf"{type(loss).__name__}: reads one class for each example, got .* 'multi-label'"):
            loss(Outputs(Z, y, task="multi-label", teacher=Z[0], gate=OTHERS["gate"]))
    with pytest.raises(BadInput, match=r"labels from 0 to 2, expected one number in \[0, 1\]"):
        Outputs(Z, y * 2, task="multi-label")


def test_numbers_of_a_regression():
    y, taught = torch.from_numpy(RNG.normal(size=(6, 4))), torch.from_numpy(RNG.normal(size=(6, 4)))
    out = Outputs(Z, y, task="numbers", teacher=taught, weights=torch.tensor([1.0, 1, 2, 1, 0, 1]))
    w = [1 / 6, 1 / 6, 2 / 6, 1 / 6, 0, 1 / 6]
    every = [(b, k) for b in range(6) for k in range(4)]
    apart = [w[b] * (Z[0, b, k] - Z[1, b, k]) for b, k in every]
    torch.testing.assert_close(Agreement("l1")(out), sum(d.abs() for d in apart))
    torch.testing.assert_close(Agreement()(out), sum(w[b] * (Z[0, b, k] - Z[1, b, k]) ** 2 for b, k in every))
    by_hand = sum(w[b] * (Z[j, b, k] - taught[b, k]) ** 2 / 2 for j in range(2) for b, k in every)
    torch.testing.assert_close(Distillation()(out), by_hand)
    by_hand = sum(sum(w[b] * Z[0, b, k] * Z[1, b, k] for b in range(6)) ** 2 for k in range(4))
    torch.testing.assert_close(Decorrelation()(out), by_hand)
    torch.testing.assert_close(GramSchmidt()(out), by_hand, rtol=1e-4, atol=0)
    torch.testing.assert_close(Difference()(out), -Agreement()(out))
    torch.testing.assert_close(LogitL2()(out), sum(w[b] * Z[j, b, k] ** 2 for j in range(2) for b, k in every))
    one = Outputs(Z[..., :1], y[:, 0], task="numbers")
    torch.testing.assert_close(Agreement()(one), (Z[0, :, 0] - Z[1, :, 0]).square().mean())
    for loss in (CrossEntropy(), Entropy(), Agreement("ce"), Decorrelation(signal="probabilities"), PeerCrossEntropy()):
        with pytest.raises(BadInput, match="regression have no"):
            loss(out)
