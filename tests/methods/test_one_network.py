import pytest
import torch

from traintwice.errors import BadSpec
from traintwice.losses import CrossEntropy, Distillation, Entropy, FocalDistillation, Outputs, SymmetricKLToUniform
from traintwice.methods import (
    Method,
    Term,
    anchor,
    blend,
    confidence_penalty,
    ensemble_distillation,
    focal_distillation,
    symmetric_kl_regulariser,
)
from traintwice.schedules import Ramp


@pytest.fixture
def out():
    generator = torch.Generator().manual_seed(0)
    return Outputs(torch.randn(2, 6, 3, generator=generator), torch.tensor([0, 1, 2, 2, 1, 0]))


def test_confidence_penalty_is_a_negative_alpha(out):
    torch.testing.assert_close(
        Method(blend(-0.1, CrossEntropy(), Entropy()), 2).loss(out), 1.1 * CrossEntropy()(out) - 0.1 * Entropy()(out)
    )


def test_terms():
    assert symmetric_kl_regulariser(0.25).terms == (Term(CrossEntropy(), 0.75), Term(SymmetricKLToUniform(), 0.25))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: confidence_penalty(0.1), "expected a number below 0"),
        (lambda: confidence_penalty(Ramp(0.1, epochs=1)), "expected a number below 0"),
        (lambda: anchor(2.0), "from 0 to 1"),
        (lambda: focal_distillation(base=0.0, boost=0.0), "expected one above 0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_terms_of_distillation():
    assert ensemble_distillation(0.25, temperature=3.0).terms == (Term(CrossEntropy(), 0.75), Term(Distillation(3.0), 0.25))
    assert focal_distillation(0.5, boost=2.0).terms == (Term(CrossEntropy()), Term(FocalDistillation(1.0, 2.0), 0.5))
