import pytest

from traintwice.errors import BadSpec
from traintwice.losses import (
    CrossEntropy,
    EnsembleCrossEntropy,
    GateCrossEntropy,
)
from traintwice.methods import (
    Term,
    anti_distillation,
    anti_distillation_gram_schmidt,
    averaged_ensemble,
    ensemble,
)


def test_terms():
    assert ensemble(2, "gate").terms == (Term(CrossEntropy()), Term(GateCrossEntropy()))
    assert averaged_ensemble(average="logit").terms[1] == Term(EnsembleCrossEntropy("logit"), 1.0)
    assert averaged_ensemble(average="logit").keep == "mean-logit"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: anti_distillation(1), "expected at least 2"),
        (lambda: averaged_ensemble(1), "expected at least 2"),
        (lambda: anti_distillation_gram_schmidt(1), "expected at least 2"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()
