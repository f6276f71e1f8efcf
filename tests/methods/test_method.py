from dataclasses import replace

import pytest
import torch

from traintwice import schedules
from traintwice.errors import BadInput, BadSpec
from traintwice.losses import (
    Agreement,
    CrossEntropy,
    Decorrelation,
    Entropy,
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
    anti_distillation,
    baseline,
    co_distillation,
    ensemble,
    entropy_regulariser,
    symmetric_kl_regulariser,
)
from traintwice.schedules import Complement, Ramp


@pytest.fixture
def out():
    generator = torch.Generator().manual_seed(0)
    return Outputs(torch.randn(2, 6, 3, generator=generator), torch.tensor([0, 1, 2, 2, 1, 0]))


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


"""Every builder with each of its weights."""


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
        ("ensemble_distillation", "elodi", "neighbour_smoothing", "logged_distillation", "anchor", "focal_distillation"),
        frozenset({"teacher"}),
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
        (lambda: Method((Term(CrossEntropy()),), 2, "gate"), "no term trains a gate"),
        (lambda: Method((Term(Only(CrossEntropy(), (0, 2))),), 2), r"Only.components: got \[0, 2\] of 2 components"),
        (lambda: Method((Term(Only(Only(CrossEntropy(), (1,)), (1,))),), 2), r"Only.components: got \[1\] of 1 component,"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


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
