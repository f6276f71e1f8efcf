import pytest
import torch

from traintwice import losses, methods, schedules, specs
from traintwice.errors import BadSpec
from traintwice.losses import Agreement, CrossEntropy, Decorrelation, Entropy, Outputs
from traintwice.methods import BUILDERS, Method, Term, anti_distillation, blend, co_distillation, entropy_regulariser
from traintwice.schedules import Complement, Ramp

EXAMPLES = [
    *[builder() for builder in BUILDERS.values()],
    co_distillation(0.5, kind="l1", ramp_epochs=3, components=3, keep="mean-prob"),
    anti_distillation(3, Ramp(0.2, steps=10), matrix="covariance", signal="probabilities", center="class", normalize=True),
    entropy_regulariser(Ramp(0.3, epochs=2)),
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
    method = entropy_regulariser(ramp)
    assert method.terms == (Term(CrossEntropy(), Complement(ramp)), Term(Entropy(), ramp))
    for step in (0, 3, 50):
        alpha = min(step / 10, 1) * 0.4
        torch.testing.assert_close(method.loss(out, step), (1 - alpha) * CrossEntropy()(out) + alpha * Entropy()(out))


def test_confidence_penalty_is_a_negative_alpha(out):
    torch.testing.assert_close(
        Method(blend(-0.1, CrossEntropy(), Entropy())).loss(out), 1.1 * CrossEntropy()(out) - 0.1 * Entropy()(out)
    )


def test_all_weights_zero_gives_a_differentiable_zero(out):
    logits = out.logits.requires_grad_()
    value = Method((Term(CrossEntropy(), 0.0),)).loss(Outputs(logits, out.labels))
    assert value == 0
    value.backward()
    assert logits.grad.abs().sum() == 0


def test_unresolved_epochs_raise(out):
    method = co_distillation(ramp_epochs=2)
    with pytest.raises(BadSpec, match="resolve"):
        method.loss(out, 1)
    assert method.resolve(10).terms[1].weight == Ramp(1.0, steps=20)
    assert method.resolve(10).loss(out, 10) == CrossEntropy()(out) + 0.5 * Agreement()(out)


def test_what_is_kept():
    assert [builder().kept_components for builder in BUILDERS.values()] == [1, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Method(()), "at least one term"),
        (lambda: Method((Term(CrossEntropy()),), 0), "expected at least 1"),
        (lambda: Method((Term(CrossEntropy()),), 1, "mean"), "got 'mean', expected one of 'first'"),
        (lambda: co_distillation(components=1), "nothing to couple"),
        (lambda: anti_distillation(1), "nothing to couple"),
        (lambda: co_distillation(Ramp(1.0, steps=2), ramp_epochs=1), "give one of them"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()
