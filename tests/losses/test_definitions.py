"""Every loss against its formula written as loops in NumPy."""

import numpy as np
import pytest
import torch

from traintwice.errors import BadInput, BadSpec
from traintwice.losses import (
    Agreement,
    Anchor,
    CrossEntropy,
    CrossEntropyDifference,
    Decorrelation,
    Difference,
    Distillation,
    EnsembleCrossEntropy,
    Entropy,
    FocalDistillation,
    GateCrossEntropy,
    GramSchmidt,
    LabelSmoothing,
    LoggedDistillation,
    LogitL2,
    Only,
    Outputs,
    PeerCrossEntropy,
    RunningDecorrelation,
    SymmetricKLToUniform,
)
from traintwice.schedules import Jump, Ramp


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture(params=[(2, 5, 3), (3, 4, 2), (1, 6, 4), (4, 1, 3)])
def batch(request):
    rng = np.random.default_rng(7)
    logits = rng.normal(size=request.param) * 2
    return logits, rng.integers(request.param[2], size=request.param[1])


def value(loss, logits, labels, **others):
    others = {name: torch.from_numpy(other) for name, other in others.items()}
    return loss(Outputs(torch.from_numpy(logits), torch.from_numpy(labels), **others)).item()


def close(by_hand):
    return pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def components_and_examples(f):
    return [(j, b) for j in range(f.shape[0]) for b in range(f.shape[1])]


def cross_entropy(p, q):
    return -sum(p[k] * np.log(q[k]) for k in range(len(p)))


def kl(p, q):
    return sum(p[k] * np.log(p[k] / q[k]) for k in range(len(p)) if p[k] > 0)


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


def test_logit_l2(batch):
    logits, labels = batch
    by_hand = sum((logits[j, b] ** 2).sum() for j, b in components_and_examples(logits)) / logits.shape[1]
    assert value(LogitL2(), logits, labels) == close(by_hand)


@pytest.mark.parametrize("renormalise", [True, False])
def test_entropy_of_the_largest(renormalise):
    logits = np.random.default_rng(3).normal(size=(2, 6, 5)) * 2
    f, total = softmax(logits), 0.0
    for j, b in components_and_examples(f):
        top = np.sort(f[j, b])[-3:]
        top = top / top.sum() if renormalise else top
        total += -(top * np.log(top)).sum() / 6
    assert value(Entropy(3, renormalise), logits, np.zeros(6, dtype=int)) == close(total)


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


@pytest.mark.parametrize("matrix", ["second-moment", "covariance", "residue"])
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_running_decorrelation(batch, matrix, rho):
    """Four steps of the running mean; its gradient by finite differences of what the last batch adds to it."""
    labels, rng, loss = batch[1], np.random.default_rng(14), RunningDecorrelation(rho, matrix)
    steps = [rng.normal(size=batch[0].shape) for _ in range(4)]
    components, examples, classes = batch[0].shape

    def moments(z):
        s = z - {"second-moment": 0.0, "covariance": z.mean(1, keepdims=True), "residue": z.mean(0, keepdims=True)}[matrix]
        return np.array(
            [
                [[sum(s[i, :, k] * s[j, :, k]) / examples for j in range(components)] for i in range(components)]
                for k in range(classes)
            ]
        )

    memory, running = loss.init(batch[0].shape), 0.0
    for t, z in enumerate(steps, start=1):
        logits = torch.from_numpy(z).requires_grad_()
        got, memory = loss(Outputs(logits, torch.from_numpy(labels)), memory)
        running = rho * running + (1 - rho) * moments(z)
        estimate = running / (1 - rho**t)
        assert got.item() == close(sum(estimate[:, i, j] @ estimate[:, i, j] for i in range(components) for j in range(i)))
    if components == 1:
        return
    (gradient,) = torch.autograd.grad(got, logits)

    def of_last(z):
        a = moments(z) + (estimate - moments(steps[-1]))  # the rest is a constant
        return sum(a[:, i, j] @ a[:, i, j] for i in range(components) for j in range(i))

    for place in np.ndindex(batch[0].shape):
        nudge = np.zeros(batch[0].shape)
        nudge[place] = 1e-6
        slope = (of_last(steps[-1] + nudge) - of_last(steps[-1] - nudge)) / 2e-6
        assert gradient[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("signal", ["logits", "probabilities"])
@pytest.mark.parametrize("center", ["none", "class"])
def test_gram_schmidt(batch, signal, center):
    logits, labels = batch
    s = logits if signal == "logits" else softmax(logits)
    if center == "class":
        s = s - s.mean(2, keepdims=True)
    examples, total = s.shape[1], 0.0
    for k in range(s.shape[2]):
        e = []
        for i in range(len(s)):
            z = s[i, :, k]
            total += sum((z @ before / examples) ** 2 for before in e)
            e.append(z - sum(((z @ before) / (before @ before + 0.01)) * before for before in e))
    assert value(GramSchmidt(signal, center, 0.01), logits, labels) == close(total)


@pytest.mark.parametrize("form", ["negative", "inverse"])
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("signal", "center"), [("logits", "none"), ("logits", "class"), ("probabilities", "none")])
def test_difference(batch, form, power, signal, center):
    logits, labels = batch
    s = logits if signal == "logits" else softmax(logits)
    if center == "class":
        s = s - s.mean(2, keepdims=True)
    components, total = len(s), 0.0
    for k in range(s.shape[2] if components > 1 else 0):
        of_class = 0.0
        for i in range(components):
            for j in range(components):
                if j != i:
                    of_class -= np.mean(np.abs(s[i, :, k] - s[j, :, k]) ** power) / (components**2 - components)
        total += of_class if form == "negative" else 1 / (abs(of_class) + 0.05)
    assert value(Difference(form, power, signal, center, 0.05), logits, labels) == close(total)


@pytest.mark.parametrize("form", ["negative", "inverse"])
def test_cross_entropy_difference(batch, form):
    logits, labels = batch
    f, components, total = softmax(logits), len(logits), 0.0
    for i in range(components):
        for j in range(components):
            if j != i:
                total += np.mean([cross_entropy(f[i, b], f[j, b]) for b in range(f.shape[1])]) / (components**2 - components)
    by_hand = 0.0 if components == 1 else -total if form == "negative" else 1 / (total + 0.05)
    assert value(CrossEntropyDifference(form, 0.05), logits, labels) == close(by_hand)


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


def test_negative_flip_losses(batch):
    logits, labels = batch
    old_logits = np.random.default_rng(10).normal(size=logits.shape[1:]) * 2
    f, old = softmax(logits), softmax(old_logits)
    at_t, old_at_t = softmax(logits / 3), softmax(old_logits / 3)
    logged = anchored = focal = 0.0
    for j, b in components_and_examples(f):
        of_old, of_label = cross_entropy(old[b], f[j, b]), -np.log(f[j, b, labels[b]])
        right = old[b].argmax() == labels[b]
        logged += (0.3 * of_old + 0.7 * of_label) / f.shape[1]
        anchored += (0.3 * of_old + 0.7 * of_label if right else 0.2 * of_label) / f.shape[1]
        focal += (0.5 + 4 * right) * 9 * kl(old_at_t[b], at_t[j, b]) / f.shape[1]
    assert value(LoggedDistillation(0.3), logits, labels, teacher=old_logits) == close(logged)
    assert value(Anchor(0.3, 0.2), logits, labels, teacher=old_logits) == close(anchored)
    assert value(FocalDistillation(0.5, 4.0, 3.0), logits, labels, teacher=old_logits) == close(focal)


def test_logged_probabilities_of_zero():
    logits, labels = np.random.default_rng(0).normal(size=(1, 2, 3)), np.array([0, 1])
    old = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        logged = np.log(old)
    f = softmax(logits)
    by_hand = sum(0.5 * cross_entropy(old[b], f[0, b]) - 0.5 * np.log(f[0, b, labels[b]]) for b in range(2)) / 2
    assert value(LoggedDistillation(0.5), logits, labels, teacher=logged) == close(by_hand)
    assert value(Distillation(1.0), logits, labels, teacher=logged) == close(sum(kl(old[b], f[0, b]) for b in range(2)) / 2)


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


def test_only_some_components(batch):
    logits, labels = batch
    last = len(logits) - 1
    assert value(Only(CrossEntropy(), (last,)), logits, labels) == close(value(CrossEntropy(), logits[last:], labels))
    with pytest.raises(BadInput, match="counted from 0"):
        value(Only(CrossEntropy(), (last + 1,)), logits, labels)


def test_named_signal_takes_the_place_of_the_logits(batch):
    logits, labels = batch
    tower = np.random.default_rng(12).normal(size=(*logits.shape[:2], 6))
    for loss in (Decorrelation, GramSchmidt, Difference):
        named = loss(signal="tower")(
            Outputs(torch.from_numpy(logits), torch.from_numpy(labels), signals={"tower": torch.from_numpy(tower)})
        )
        assert named.item() == close(value(loss(), tower, labels * 0))
    with pytest.raises(BadInput, match="reads 'head', got 'tower'"):
        Decorrelation(signal="head")(
            Outputs(torch.from_numpy(logits), torch.from_numpy(labels), signals={"tower": torch.from_numpy(tower)})
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


def test_top_k_of_all_classes_is_a_dead_switch():
    out = Outputs(torch.zeros(1, 4, 3), torch.zeros(4, dtype=torch.int64))
    for loss in (Entropy(top_k=3), SymmetricKLToUniform(top_k=5)):
        with pytest.raises(BadSpec, match="for 3 classes, expected fewer than the classes"):
            loss(out)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelSmoothing(1.0), r"expected a number in \[0, 1\)"),
        (lambda: Entropy(renormalise=False), "without top_k"),
        (lambda: Entropy(top_k=1), "expected at least 2"),
        (lambda: SymmetricKLToUniform(cap=0.0), "greater than 0"),
        (lambda: PeerCrossEntropy(-1), "expected 0 or more"),
        (lambda: Decorrelation(center="batch"), "expected one of 'none', 'class'"),
        (lambda: Decorrelation(signal="tower", center="class"), "whose entries are not classes"),
        (lambda: Decorrelation(signal=""), "the name of a sub-network's output"),
        (lambda: GramSchmidt(epsilon=0.0), "greater than 0"),
        (lambda: Difference("minus"), "expected one of 'negative', 'inverse'"),
        (lambda: Difference(power=0.5), "expected at least 1"),
        (lambda: CrossEntropyDifference(epsilon=-1.0), "greater than 0"),
        (lambda: Distillation(0.0), "greater than 0"),
        (lambda: Distillation(average="mean"), "expected one of 'prob', 'logit'"),
        (lambda: LoggedDistillation(1.5), "from 0 to 1"),
        (lambda: LoggedDistillation(Ramp(1.5, epochs=1)), "a schedule within that range"),
        (lambda: LabelSmoothing(Jump(1.0, steps=3)), r"expected a number in \[0, 1\)"),
        (lambda: Anchor(epsilon=-0.1), "Anchor.epsilon: got -0.1, expected a number from 0 to 1"),
        (lambda: FocalDistillation(0.0, -1.0), "expected both at least 0"),
        (lambda: Only(CrossEntropy(), ()), "at least one"),
        (lambda: Only(CrossEntropy(), (0, 0)), "none twice"),
        (lambda: Only(RunningDecorrelation(), (0, 1)), "which has a memory"),
        (lambda: RunningDecorrelation(1.0), r"expected a number in \[0, 1\)"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_unknown_options():
    with pytest.raises(BadSpec, match="got 'cov', expected one of 'second-moment', 'covariance', 'residue'"):
        Decorrelation("cov")
    with pytest.raises(BadSpec, match="expected 'skl', 'l1' or 'ce'"):
        Agreement("kl")
