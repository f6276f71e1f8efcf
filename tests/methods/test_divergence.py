import pytest
import torch

from traintwice.losses import (
    CrossEntropy,
    LogitL2,
    Outputs,
    SymmetricKLToUniform,
)
from traintwice.methods import (
    Method,
    Term,
    anti_distillation,
    symmetric_kl_regulariser,
)


@pytest.fixture
def out():
    generator = torch.Generator().manual_seed(0)
    return Outputs(torch.randn(2, 6, 3, generator=generator), torch.tensor([0, 1, 2, 2, 1, 0]))


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
