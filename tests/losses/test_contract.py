"""What every loss promises, member by member: a new loss is tested by existing."""

import inspect
import math
import warnings
from dataclasses import is_dataclass

import pytest
import torch
from loss_examples import FIXED_ORDER, MEMBERS, change, leaves, outputs, value

from heavy import heavy
from traintwice import losses, specs
from traintwice.errors import BadInput
from traintwice.losses import Outputs, RunningDecorrelation
from traintwice.methods import Method, Term, co_distillation, label_smoothing
from traintwice.schedules import Ramp

each = pytest.mark.parametrize("loss", MEMBERS, ids=repr)


@each
def test_is_a_frozen_dataclass_that_prints_as_itself(loss):
    assert is_dataclass(loss)
    assert loss.__dataclass_params__.frozen
    assert eval(repr(loss), vars(losses)) == loss  # noqa: S307
    assert specs.decode(losses.Loss, specs.encode(loss)) == loss


@each
def test_docstring_says_shapes_and_source(loss):
    text = inspect.getdoc(type(loss))
    for word in ("Shapes:", "Source:", "Example:", ">>>"):
        assert word in text


@each
def test_replicas_do_not_mix(loss):
    together = outputs(5)
    whole = value(loss, together)
    assert whole.shape == (5,)
    for m in range(5):
        alone = value(loss, change(together, lambda x, m=m: x[m]))
        torch.testing.assert_close(whole[m], alone, rtol=1e-12, atol=1e-12)
    gradients = [g for g in torch.autograd.grad(whole[2], leaves(together), allow_unused=True) if g is not None]
    assert sum(g[2].abs().sum() for g in gradients) > 0
    assert sum(g[[0, 1, 3, 4]].abs().sum() for g in gradients) == 0


@each
def test_components_may_be_swapped(loss):
    out, order = outputs(), [2, 0, 1]
    swapped = Outputs(
        out.logits[order],
        out.labels,
        out.peers[order],
        out.teacher,
        out.gate[:, order],
        {name: signal[order] for name, signal in out.signals.items()},
    )
    same = torch.allclose(value(loss, out), value(loss, swapped), rtol=1e-12, atol=1e-12)
    assert same != isinstance(loss, FIXED_ORDER)


@each
def test_order_of_examples_does_not_matter(loss):
    out, order = outputs(), [3, 1, 0, 6, 2, 5, 4]
    moved = Outputs(
        out.logits[:, order],
        out.labels[order],
        out.peers[:, order],
        out.teacher[:, order],
        out.gate[order],
        {name: signal[:, order] for name, signal in out.signals.items()},
    )
    torch.testing.assert_close(value(loss, out), value(loss, moved), rtol=1e-12, atol=1e-12)


@each
def test_gradient_is_the_derivative(loss):
    if isinstance(loss, RunningDecorrelation):
        pytest.skip("its gradient is that of another function, by definition; against that one in test_definitions.py")
    out = outputs(components=2, batch=3, classes=3)

    fixed, peers, same = out.logits.detach().clone(), out.peers, loss
    if getattr(loss, "lag_steps", 1) == 0:  # live peers are constants to it: those of a peer that is as the component is now
        peers, same = fixed, losses.PeerCrossEntropy(1)
        live = torch.autograd.grad(loss(out), out.logits)
        torch.testing.assert_close(live, torch.autograd.grad(same(change(out, lambda x: x, peers=peers)), out.logits))

    def of(logits, gate, tower):
        # A gate's gradient stops at the components.
        held = fixed if isinstance(loss, losses.GateCrossEntropy) else logits
        return same(Outputs(held, out.labels, peers, out.teacher, gate, {"tower": tower})) + 0 * logits.sum()

    assert torch.autograd.gradcheck(of, leaves(out))


@each
@pytest.mark.parametrize("size", [50.0, 1e-6])
def test_finite_at_extreme_logits(loss, size):
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    logits = (size * signs.repeat(3, 5, 1) * torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1)).requires_grad_()
    gate = (size * torch.tensor([1.0, -1.0, 1.0])).repeat(5, 1).requires_grad_()
    out = Outputs(logits, torch.tensor([0, 1, 2, 3, 0]), -logits.detach(), -logits.detach()[0], gate, {"tower": 2 * logits})
    result = value(loss, out)
    assert result.isfinite()
    for gradient in torch.autograd.grad(result, (logits, gate), allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


@each
def test_equal_components_give_finite_gradients(loss):
    out = outputs(components=2)
    logits = out.logits.detach()[:1].repeat(2, 1, 1).requires_grad_()
    tower = logits * 3
    result = value(loss, Outputs(logits, out.labels, out.peers, out.teacher, out.gate, {"tower": tower}))
    (gradient,) = torch.autograd.grad(result, logits, allow_unused=True)
    assert result.isfinite()
    assert gradient is None or gradient.isfinite().all()


@each
def test_half_precision_is_computed_in_single(loss):
    half = change(outputs(components=2), lambda x: x.detach().bfloat16() if x.is_floating_point() else x)
    single = change(half, lambda x: x.float() if x.is_floating_point() else x)
    result = value(loss, half)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, value(loss, single), rtol=1e-6, atol=1e-6)


@each
def test_autocast_changes_nothing(loss):
    out = outputs(components=2, dtype=torch.float32)
    expected = value(loss, change(out, lambda x: x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = value(loss, change(out, lambda x: x))
    assert got.dtype == torch.float32
    assert got == expected


COUPLINGS = [m for m in MEMBERS if getattr(m, "couples", False) and not isinstance(m, losses.Only)]


@pytest.mark.parametrize("loss", COUPLINGS, ids=repr)
def test_coupling_of_one_component_is_zero(loss):
    assert value(loss, outputs(4, components=1)).abs().max() == 0


@each
def test_couples_only_what_all_components_see(loss):
    """Examples of one component alone change no loss between components, and its label loss only through that component."""
    out = outputs(components=2)
    own = out.labels.repeat(2, 1)
    apart = change(out, lambda x: x, labels=own, shared=slice(0, 4))
    result = value(loss, apart)
    assert result.isfinite()
    if getattr(loss, "couples", False):
        alone = Outputs(
            out.logits[:, :4],
            out.labels[:4],
            out.peers[:, :4],
            out.teacher[:, :4],
            out.gate[:4],
            {name: signal[:, :4] for name, signal in out.signals.items()},
        )
        torch.testing.assert_close(result, value(loss, alone))


@each
def test_says_whether_it_reads_what_all_components_see(loss):
    """With no shared example it either works or is refused before training, by name."""
    out = outputs(components=2)
    apart = change(out, lambda x: x, labels=out.labels.repeat(2, 1), shared=slice(0, 0))
    if Method((Term(loss),), 2).reads_shared:
        with pytest.raises(BadInput, match="leaves none"):
            value(loss, apart)
    else:
        assert value(loss, apart).isfinite()


@each
def test_is_a_mean_over_parts_of_the_batch_unless_it_says_so(loss):
    out = outputs(batch=8)
    halves = [
        Outputs(
            out.logits[:, part],
            out.labels[part],
            out.peers[:, part],
            out.teacher[:, part],
            out.gate[part],
            {name: signal[:, part] for name, signal in out.signals.items()},
        )
        for part in (slice(0, 4), slice(4, 8))
    ]
    mean = sum(value(loss, half) for half in halves) / 2
    same = math.isclose(mean.item(), value(loss, out).item(), rel_tol=1e-9)
    assert same != getattr(loss, "per_batch", False)
    warned = any("micro-batch" in w for w in Method((Term(loss),), 3).warnings(accumulation=2))
    assert warned == getattr(loss, "per_batch", False)


@each
def test_says_what_it_needs(loss):
    out = outputs(components=2)
    missing = Outputs(out.logits, out.labels)
    needs = getattr(loss, "needs", frozenset())
    if needs:
        with pytest.raises(BadInput, match="|".join(needs)):
            value(loss, missing)
    else:
        torch.testing.assert_close(value(loss, missing), value(loss, out))


def test_a_method_with_a_ramp_compiles_in_one_piece():
    method = co_distillation(2.0, ramp_epochs=1).resolve(10)
    out = outputs(components=2, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own
        torch.compiler.reset()
        compiled = torch.compile(lambda z, y, t: method.loss(Outputs(z, y), t), fullgraph=True, backend="aot_eager")
        for step in (0, 3, 20):
            torch.testing.assert_close(compiled(out.logits, out.labels, step), method.loss(out, step))


def check_compiled(loss, backend):
    """Value and gradients of the compiled loss are those of the plain one."""
    out = outputs(components=2, batch=3, classes=3, dtype=torch.float32)

    def of(logits, gate, tower):
        return value(loss, Outputs(logits, out.labels, out.peers, out.teacher, gate, {"tower": tower}))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own
        torch.compiler.reset()
        result = torch.compile(of, fullgraph=True, backend=backend, dynamic=False)(*leaves(out))
        gradients = torch.autograd.grad(result, leaves(out), allow_unused=True)
    expected = of(*leaves(out))
    torch.testing.assert_close(result, expected)
    wanted = torch.autograd.grad(expected, leaves(out), allow_unused=True)
    for gradient, plain in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(torch.zeros(()) if gradient is None else gradient, torch.zeros(()) if plain is None else plain)


@heavy
@pytest.mark.parametrize("loss", [loss for loss in MEMBERS if not isinstance(loss, losses.ImportedLoss)], ids=repr)
def test_compiles_in_one_piece(loss):
    check_compiled(loss, "eager")


@pytest.mark.parametrize("loss", [losses.Decorrelation("covariance"), losses.Agreement(), losses.Distillation()], ids=repr)
def test_compiles_forward_and_backward(loss):
    check_compiled(loss, "aot_eager")


def test_a_weight_that_is_ramped_inside_a_loss_compiles_in_one_piece():
    method = label_smoothing(Ramp(0.4, steps=10))
    out = outputs(components=1, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own
        torch.compiler.reset()
        compiled = torch.compile(lambda z, y, t: method.loss(Outputs(z, y), t), fullgraph=True, backend="eager")
        for step in (0, 3, 20):
            torch.testing.assert_close(compiled(out.logits, out.labels, step), method.loss(out, step))
