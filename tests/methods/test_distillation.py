import pytest

from traintwice.errors import BadSpec
from traintwice.losses import (
    CrossEntropy,
    Distillation,
    FocalDistillation,
)
from traintwice.methods import (
    Term,
    anchor,
    ensemble_distillation,
    focal_distillation,
)


def test_terms():
    assert ensemble_distillation(0.25, temperature=3.0).terms == (Term(CrossEntropy(), 0.75), Term(Distillation(3.0), 0.25))
    assert focal_distillation(0.5, boost=2.0).terms == (Term(CrossEntropy()), Term(FocalDistillation(1.0, 2.0), 0.5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: anchor(2.0), "from 0 to 1"),
        (lambda: focal_distillation(base=0.0, boost=0.0), "expected one above 0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()
