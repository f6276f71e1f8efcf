import tomllib
from dataclasses import fields, replace
from typing import get_type_hints

import pytest
import torch

from traintwice import losses, methods, schedules, specs
from traintwice.errors import BadInput, BadSpec
from traintwice.losses import (
    Agreement,
    CrossEntropy,
    Decorrelation,
    Distillation,
    Entropy,
    GateCrossEntropy,
    LabelSmoothing,
    LogitL2,
    Only,
    Outputs,
    PeerCrossEntropy,
    SymmetricKLToUniform,
)
from traintwice.methods import (
    BUILDERS,
    Method,
    Term,
    anchor,
    anti_distillation,
    anti_distillation_difference,
    anti_distillation_gram_schmidt,
    averaged_ensemble,
    baseline,
    blend,
    co_distillation,
    confidence_penalty,
    ensemble,
    ensemble_distillation,
    entropy_regulariser,
    focal_distillation,
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


def test_sum_of_weighted_terms(out):
    method = co_distillation(0.3)
    assert method.loss(out) == CrossEntropy()(out) + 0.3 * Agreement()(out)
    method = anti_distillation(2, 0.2, matrix="covariance")
    assert method.loss(out) == CrossEntropy()(out) + 0.2 * Decorrelation("covariance")(out)


def test_blend_is_exact_under_a_ramp(out):
    ramp = Ramp(0.4, steps=10)
    method = replace(entropy_regulariser(ramp), components=2)
    assert method.terms == (Term(CrossEntropy(), Complement(ramp)), Term(Entropy(), ramp))
    for step in (0, 3, 50):
        alpha = min(step / 10, 1) * 0.4
        torch.testing.assert_close(method.loss(out, step), (1 - alpha) * CrossEntropy()(out) + alpha * Entropy()(out))


def test_confidence_penalty_is_a_negative_alpha(out):
    torch.testing.assert_close(
        Method(blend(-0.1, CrossEntropy(), Entropy()), 2).loss(out), 1.1 * CrossEntropy()(out) - 0.1 * Entropy()(out)
    )


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


def test_a_loss_alone_has_no_step(out):
    with pytest.raises(BadSpec, match=r"LabelSmoothing.smoothing: got Ramp\(.*loss.at\(step\)"):
        LabelSmoothing(Ramp(0.4, steps=10))(out)
    assert LabelSmoothing(Ramp(0.4, steps=10)).at(5) == LabelSmoothing(0.2)
    some = Method((Term(Only(LabelSmoothing(Ramp(0.4, epochs=1)), (1,))),), 2)
    assert some.resolve(10).loss(out, 5) == Only(LabelSmoothing(0.2), (1,))(out)


def test_all_weights_zero_gives_a_differentiable_zero(out):
    logits = out.logits.requires_grad_()
    value = Method((Term(CrossEntropy(), 0.0),), 2).loss(Outputs(logits, out.labels))
    assert value == 0
    value.backward()
    assert logits.grad.abs().sum() == 0


def test_logits_of_another_number_of_components_are_refused(out):
    """Of one component a coupling is 0: the method would silently be another."""
    with pytest.raises(BadInput, match=r"Method: got logits of 1 component, expected 2: stack the logits of all components"):
        co_distillation().loss(Outputs(out.logits[:1], out.labels))
    with pytest.raises(BadInput, match=r"got logits of 2 components, expected 3"):
        anti_distillation(3, rho=0.5).advance(out)
    with pytest.raises(BadInput, match=r"got a Tensor, expected Outputs\(logits, labels\)"):
        co_distillation().loss(out.logits)


def test_unresolved_epochs_raise(out):
    method = co_distillation(ramp_epochs=2)
    with pytest.raises(BadSpec, match="resolve"):
        method.loss(out, 1)
    assert method.resolve(10).terms[1].weight == Ramp(1.0, steps=20)
    assert method.resolve(10).loss(out, 10) == CrossEntropy()(out) + 0.5 * Agreement()(out)


def test_what_is_kept():
    served = {name: builder().kept_components for name, builder in BUILDERS.items()}
    assert {name for name, count in served.items() if count > 1} == {
        "ensemble",
        "averaged_ensemble",
        "anti_distillation",
        "anti_distillation_gram_schmidt",
        "anti_distillation_difference",
        "anti_distillation_cross_entropy",
    }
    assert served["anti_distillation_gram_schmidt"] == 3
    assert ensemble(4, "gate").kept_components == 4


def test_what_a_trainer_has_to_supply():
    needing = {name: builder().needs for name, builder in BUILDERS.items() if builder().needs}
    assert needing == dict.fromkeys(
        ("ensemble_distillation", "logged_distillation", "anchor", "focal_distillation"), frozenset({"teacher"})
    )
    assert ensemble(2, "gate").needs == {"gate"}
    assert anti_distillation(signal="tower").needs == {"signals"}
    assert anti_distillation(signal="tower", rho=0.5).signals == {"tower"}
    assert anti_distillation().signals == frozenset()
    stale = co_distillation(kind="ce", lag_steps=4)
    assert (stale.needs, stale.peer_lag) == ({"peers"}, 4)
    assert (co_distillation(kind="ce").needs, co_distillation(kind="ce").peer_lag) == (frozenset(), 0)
    both = Method((*stale.terms, Term(Only(PeerCrossEntropy(2), (0, 1)))), 3)
    with pytest.raises(BadSpec, match="peers of 2, 4 steps ago, expected one age"):
        _ = both.peer_lag


def test_terms_of_every_row_of_the_table():
    """The loss column of the specification's table, and which losses stand for its letters."""
    entropy, skl = Entropy(), SymmetricKLToUniform()
    assert regularised_co_distillation(0.5, 0.2).terms == (Term(CrossEntropy()), Term(Agreement(), 0.5), Term(entropy, 0.2))
    assert regularised_co_distillation(0.5, 0.2, regulariser="symmetric-kl").terms[2] == Term(skl, 0.2)
    assert symmetric_kl_regulariser(0.25).terms == (Term(CrossEntropy(), 0.75), Term(skl, 0.25))
    assert ensemble_distillation(0.25, temperature=3.0).terms == (Term(CrossEntropy(), 0.75), Term(Distillation(3.0), 0.25))
    assert co_distillation(2.0, kind="ce", lag_steps=3).terms[1] == Term(PeerCrossEntropy(3), 2.0)
    assert co_distillation(2.0, kind="joint-ce").terms[1] == Term(Agreement("ce"), 2.0)
    assert ensemble(2, "gate").terms == (Term(CrossEntropy()), Term(GateCrossEntropy()))
    assert averaged_ensemble(average="logit").keep == "mean-logit"
    ramped = regularised_co_distillation(0.5, 0.2, ramp_epochs=3)
    assert [term.weight for term in ramped.terms] == [1.0, Ramp(0.5, epochs=3), Ramp(0.2, epochs=3)]


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


def test_memory_has_to_be_carried(out):
    method = anti_distillation(rho=0.5)
    assert method.remembers
    assert not anti_distillation().remembers
    with pytest.raises(BadSpec, match=r"method\.advance"):
        method.loss(out)


def test_a_term_of_weight_zero_remembers_nothing(out):
    method = anti_distillation(2, schedules.Jump(1.0, steps=2), rho=0.5)
    _, memories = method.advance(out, 0)
    assert memories == (None, None)
    _, memories = method.advance(out, 2, memories)
    assert memories[1]["steps"] == 1


def test_of_several_terms_that_are_not_finite_the_one_that_drove_is_named():
    """Logits so far apart that the log of a probability is infinite: the cross entropy is too, and did not do it."""
    method = symmetric_kl_regulariser(0.5)
    before = Outputs(torch.tensor([[[9.0, 0.0], [0.0, 9.0]]]), torch.tensor([0, 1]))
    after = Outputs(torch.tensor([[[3e38, -3e38], [3e38, -3e38]]]), torch.tensor([1, 1]))
    assert not CrossEntropy()(after).isfinite()
    assert not SymmetricKLToUniform()(after).isfinite()
    assert method.not_finite(after, 1).startswith("the term CrossEntropy() is inf")
    assert method.not_finite(after, 1, before=(before, 0)).startswith("the term SymmetricKLToUniform(")
    off = Method((Term(CrossEntropy(), 0.0), *method.terms[1:]))
    assert off.not_finite(after, 1).startswith("the term SymmetricKLToUniform(")
    halves = Method((Term(LogitL2(), 1.0), Term(LogitL2(), 2.0)))
    large = Outputs(torch.tensor([[[1.3e19, 0.0]]]), torch.tensor([0]))
    assert halves.not_finite(large, 0) == "the sum of 1.69e+38 and 3.38e+38, the weighted terms, is not finite"


def test_the_memory_of_a_term_is_read_where_it_is_to_blame(out):
    method = anti_distillation(2, rho=0.5)
    _, memories = method.advance(out, 0)
    huge = Outputs(1e15 * out.logits, out.labels)
    assert method.not_finite(huge, 1, memories, before=(out, 0)).startswith("the term RunningDecorrelation(")


def test_warnings_come_once_and_only_where_they_bite():
    assert baseline().warnings(classes=10, accumulation=4) == ()
    assert co_distillation().warnings(classes=10, accumulation=4) == ()
    assert any("micro-batch" in w for w in anti_distillation(normalize=True).warnings(accumulation=4))
    alone = Method((Term(CrossEntropy()), Term(Agreement())), 1).warnings()
    assert alone == ("Agreement: with one component this term is 0",)
    assert any("renewed every 50 steps" in w for w in co_distillation(kind="ce", lag_steps=50).warnings())
    doubled = Method(anti_distillation().terms * 2, 2)
    assert doubled.warnings() == anti_distillation().warnings()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Method(()), "at least one term"),
        (lambda: Method((Term(CrossEntropy()),), 0), "expected at least 1"),
        (lambda: Method((Term(CrossEntropy()),), 1, "mean"), "got 'mean', expected one of 'first'"),
        (lambda: co_distillation(components=1), "expected at least 2"),
        (lambda: anti_distillation(1), "expected at least 2"),
        (lambda: Method((Term(CrossEntropy()),), 2, "gate"), "no term trains a gate"),
        (lambda: averaged_ensemble(1), "expected at least 2"),
        (lambda: Method((Term(Only(CrossEntropy(), (0, 2))),), 2), r"Only.components: got \[0, 2\] of 2 components"),
        (lambda: Method((Term(Only(Only(CrossEntropy(), (1,)), (1,))),), 2), r"Only.components: got \[1\] of 1 component,"),
        (lambda: anti_distillation_gram_schmidt(1), "expected at least 2"),
        (lambda: confidence_penalty(0.1), "expected a number below 0"),
        (lambda: confidence_penalty(Ramp(0.1, epochs=1)), "expected a number below 0"),
        (lambda: co_distillation(lag_steps=3), "only kind='ce' learns from older"),
        (lambda: regularised_co_distillation(cap=1.0), "which is bounded"),
        (lambda: regularised_co_distillation(regulariser="skl"), "'symmetric-kl'"),
        (lambda: anchor(2.0), "from 0 to 1"),
        (lambda: focal_distillation(base=0.0, boost=0.0), "expected one above 0"),
        (lambda: co_distillation(Ramp(1.0, steps=2), ramp_epochs=1), "expected one of the two"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()
