import tomllib
from dataclasses import fields, replace
from typing import get_type_hints

import pytest
import torch

from traintwice import losses, methods, schedules, specs
from traintwice.errors import BadSpec
from traintwice.losses import (
    CrossEntropy,
    LogitL2,
    Only,
    Outputs,
)
from traintwice.methods import (
    BUILDERS,
    Method,
    Term,
    anti_distillation,
    anti_distillation_difference,
    co_distillation,
    ensemble,
    entropy_regulariser,
    logit_l2,
    regularised_co_distillation,
    symmetric_kl_regulariser,
)
from traintwice.schedules import Complement, Jump, Ramp

EXAMPLES = [
    *[builder() for builder in BUILDERS.values()],
    co_distillation(0.5, kind="l1", ramp_epochs=3, components=3, keep="mean-prob"),
    anti_distillation(3, Ramp(0.2, steps=10), matrix="covariance", signal="probabilities", center="class", normalize=True),
    anti_distillation(2, rho=0.9, signal="tower"),
    anti_distillation_difference(3, form="inverse", power=1.0, signal="logits", center="class"),
    entropy_regulariser(Ramp(0.3, epochs=2), top_k=3),
    symmetric_kl_regulariser(cap=2.0, top_k=3, renormalise=False),
    co_distillation(kind="ce", lag_steps=50),
    regularised_co_distillation(0.5, 0.2, regulariser="symmetric-kl", cap=1.0, ramp_epochs=2),
    ensemble(3, "gate"),
    logit_l2(0.1, components=2),
    Method((Term(Only(CrossEntropy(), (0,))), Term(Only(LogitL2(), (1,)), 0.5)), 2),
]


@pytest.fixture
def out():
    generator = torch.Generator().manual_seed(0)
    return Outputs(torch.randn(2, 6, 3, generator=generator), torch.tensor([0, 1, 2, 2, 1, 0]))


@pytest.mark.parametrize("method", EXAMPLES, ids=repr)
def test_prints_as_itself_and_survives_a_file(method):
    names = {**vars(losses), **vars(schedules), **vars(methods)}
    assert eval(repr(method), names) == method  # noqa: S307
    assert specs.decode(Method, specs.encode(method)) == method


@pytest.mark.parametrize("name", BUILDERS)
def test_builders_say_where_they_come_from(name):
    assert "Source:" in BUILDERS[name].__doc__


WEIGHTS = [
    (name, setting)
    for name, builder in BUILDERS.items()
    for setting, hint in get_type_hints(builder).items()
    if hint == schedules.Weight
]
"""Every builder with each of its weights."""


def test_whatever_is_a_weight_takes_a_schedule():
    called_so = {"weight", "alpha", "share", "smoothing", "epsilon", "base", "boost"}
    assert {(name, s) for name, builder in BUILDERS.items() for s in get_type_hints(builder) if s in called_so} == set(WEIGHTS)


@pytest.mark.parametrize("kind", [Ramp, Jump])
@pytest.mark.parametrize(("name", "setting"), WEIGHTS)
def test_every_weight_may_follow_a_schedule(name, setting, kind):
    """At every step the sum is that of the method with the number that the schedule has there."""
    builder, to = BUILDERS[name], -0.4 if name == "confidence_penalty" else 0.4
    schedule = kind(to, epochs=2.0)
    method = builder(**{setting: schedule})
    assert eval(repr(method), {**vars(losses), **vars(schedules), **vars(methods)}) == method  # noqa: S307
    assert specs.decode(Method, specs.encode(method)) == method
    given = tomllib.loads(f'm = {{ builder = "{name}", {setting} = {{ type = "{kind.__name__}", to = {to}, epochs = 2 }} }}')
    assert specs.decode(Method, given["m"], "m") == method
    generator = torch.Generator().manual_seed(0)
    out = Outputs(
        torch.randn(method.components, 6, 5, generator=generator),
        torch.tensor([0, 1, 2, 3, 4, 0]),
        teacher=torch.randn(6, 5, generator=generator),
    )
    with pytest.raises(BadSpec, match="resolve"):
        method.loss(out, 3)
    found = method.resolve(5)
    sums = []
    for step in (0, 4, 9, 10, 30):
        number = to * min(step / 10, 1.0) if kind is Ramp else to * (step >= 10)
        plain = Method(tuple(_with_number(term, schedule, number) for term in method.terms), method.components, method.keep)
        torch.testing.assert_close(found.loss(out, step), plain.loss(out))
        sums.append(found.loss(out, step).item())
    assert len(set(sums)) == (4 if kind is Ramp else 2)


def _with_number(term, schedule, number):
    """A term with a number in the place of a schedule, wherever that stands."""
    if isinstance(term.weight, Complement):
        return replace(term, weight=1 - number)
    loss = replace(term.loss, **{f.name: number for f in fields(term.loss) if getattr(term.loss, f.name) == schedule})
    return Term(loss, number if term.weight == schedule else term.weight)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_method_trains(name):
    """The loss of each named method falls when its logits go down the gradient, with all that it needs supplied."""
    method = BUILDERS[name]().resolve(1, 20)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(method.components, 6, 5, generator=generator).requires_grad_()
    teacher = torch.randn(6, 5, generator=generator)

    def of(z):
        return method.loss(Outputs(z, torch.tensor([0, 1, 2, 3, 4, 0]), teacher=teacher), 20)

    before = of(logits)
    (gradient,) = torch.autograd.grad(before, logits)
    assert of(logits - 0.01 * gradient) < before
