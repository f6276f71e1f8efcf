"""The running estimate: its value, its gradient, its memory."""

import torch

from traintwice.losses import Decorrelation, Outputs, RunningDecorrelation
from traintwice.methods import anti_distillation


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
