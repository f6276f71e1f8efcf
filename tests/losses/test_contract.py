"""What every loss promises, member by member: a new loss is tested by existing."""

import inspect
from dataclasses import is_dataclass

import pytest
import torch

from traintwice import losses, specs
from traintwice.losses import Agreement, CrossEntropy, Decorrelation, Entropy, Outputs

MEMBERS = [
    CrossEntropy(),
    Entropy(),
    Agreement("skl"),
    Agreement("l1"),
    *[
        Decorrelation(matrix, signal, center, normalize)
        for matrix in ("second-moment", "covariance", "residue")
        for signal in ("logits", "probabilities")
        for center, normalize in (("none", False), ("class", False), ("none", True))
    ],
]

each = pytest.mark.parametrize("loss", MEMBERS, ids=repr)


def outputs(*leading, components=3, batch=7, classes=4, scale=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(*leading, components, batch, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (*leading, batch), generator=generator)
    return Outputs(logits.requires_grad_(), labels)


def test_every_loss_is_here():
    assert {type(m) for m in MEMBERS} == set(losses.ALL)


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
    whole = loss(together)
    assert whole.shape == (5,)
    for m in range(5):
        alone = loss(Outputs(together.logits[m], together.labels[m]))
        torch.testing.assert_close(whole[m], alone, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(whole[2], together.logits)
    assert gradient[2].abs().sum() > 0
    assert gradient[[0, 1, 3, 4]].abs().sum() == 0


@each
def test_components_may_be_swapped(loss):
    out = outputs()
    swapped = Outputs(out.logits[[2, 0, 1]], out.labels)
    torch.testing.assert_close(loss(out), loss(swapped), rtol=1e-12, atol=1e-12)


@each
def test_gradient_is_the_derivative(loss):
    out = outputs(components=2, batch=3, classes=3)
    assert torch.autograd.gradcheck(lambda z: loss(Outputs(z, out.labels)), (out.logits,))


@each
@pytest.mark.parametrize("size", [50.0, 1e-6])
def test_finite_at_extreme_logits(loss, size):
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    logits = (size * signs.repeat(3, 5, 1) * torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1)).requires_grad_()
    value = loss(Outputs(logits, torch.tensor([0, 1, 2, 3, 0])))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    assert gradient.isfinite().all()


@each
def test_half_precision_is_computed_in_single(loss):
    out = outputs(components=2)
    half = loss(Outputs(out.logits.detach().bfloat16(), out.labels))
    assert half.dtype == torch.float32


@each
def test_coupling_of_one_component_is_zero(loss):
    if isinstance(loss, Agreement | Decorrelation):
        assert loss(outputs(4, components=1)).abs().max() == 0
