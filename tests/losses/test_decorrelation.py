import numpy as np
import pytest
import torch
from by_hand import close, softmax, value

from traintwice.losses import Decorrelation, GramSchmidt, LogitL2, Outputs, RunningDecorrelation
from traintwice.methods import anti_distillation


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


def batches(count, *leading, components=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, *leading, components, 6, 4, generator=generator, dtype=torch.float64)
    labels = torch.zeros(*leading, 6, dtype=torch.int64)
    return [Outputs(z.requires_grad_(), labels) for z in logits]


def test_value_is_that_of_the_bias_corrected_mean():
    loss, rho = RunningDecorrelation(0.8, "covariance"), 0.8
    outs = batches(5)
    memory = loss.init(outs[0].logits.shape)
    for t, out in enumerate(outs, start=1):
        value, memory = loss(out, memory)
        weights = [(1 - rho) * rho ** (t - s) for s in range(1, t + 1)]
        assert abs(sum(weights) - (1 - rho**t)) < 1e-12
        mean = sum(w * Decorrelation("covariance").moments(o) for w, o in zip(weights, outs, strict=False)) / (1 - rho**t)
        torch.testing.assert_close(value, sum(mean[:, i, j] ** 2 for i in range(3) for j in range(i + 1, 3)).sum())


def test_gradient_flows_through_the_last_batch_with_its_full_size():
    loss = RunningDecorrelation(0.8)
    first, second = batches(2)
    _, memory = loss(first, loss.init(first.logits.shape))
    value, after = loss(second, memory)
    (gradient,) = torch.autograd.grad(value, second.logits)
    mean = (0.16 * Decorrelation().moments(first) + 0.2 * Decorrelation().moments(second)).detach() / 0.36
    moments = Decorrelation().moments(second)
    linear = sum((2 * mean[:, i, j] * moments[:, i, j]).sum() for i in range(3) for j in range(i + 1, 3))
    torch.testing.assert_close(gradient, torch.autograd.grad(linear, second.logits)[0])
    assert not any(kept.requires_grad for kept in after.values())


def test_no_memory_is_the_plain_loss():
    loss, outs = RunningDecorrelation(0.0, "residue", "probabilities"), batches(3)
    memory = loss.init(outs[0].logits.shape)
    for out in outs:
        value, memory = loss(out, memory)
        torch.testing.assert_close(value, Decorrelation("residue", "probabilities")(out))


def test_memories_of_replicas_may_be_stacked():
    loss, outs = RunningDecorrelation(0.5, normalize=True), batches(3, 2)
    memory = loss.init(outs[0].logits.shape)
    alone = [loss.init(outs[0].logits.shape[1:]) for _ in range(2)]
    for out in outs:
        value, memory = loss(out, memory)
        for m in range(2):
            of_one, alone[m] = loss(Outputs(out.logits[m], out.labels[m]), alone[m])
            torch.testing.assert_close(value[m], of_one)
            torch.testing.assert_close(memory["moments"][m], alone[m]["moments"])


def test_method_carries_the_memory():
    method = anti_distillation(3, 0.5, rho=0.7)
    loss = method.terms[1].loss
    memory, memories = loss.init((3, 6, 4)), None
    for step, out in enumerate(batches(3)):
        total, memories = method.advance(out, step, memories)
        value, memory = loss(out, memory)
        torch.testing.assert_close(total, method.terms[0].loss(out) + 0.5 * value)
    assert memories[0] is None


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
