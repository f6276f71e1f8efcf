import pytest

from traintwice.errors import BadSpec
from traintwice.losses import (
    Agreement,
    CrossEntropy,
    EnsembleCrossEntropy,
    Entropy,
    GateCrossEntropy,
    PeerCrossEntropy,
    SymmetricKLToUniform,
)
from traintwice.methods import (
    Term,
    anti_distillation,
    anti_distillation_gram_schmidt,
    averaged_ensemble,
    co_distillation,
    ensemble,
    regularised_co_distillation,
)
from traintwice.schedules import Ramp


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
        (lambda: co_distillation(components=1), "expected at least 2"),
        (lambda: co_distillation(lag_steps=3), "only kind='ce' learns from older"),
        (lambda: regularised_co_distillation(cap=1.0), "which is bounded"),
        (lambda: regularised_co_distillation(regulariser="skl"), "'symmetric-kl'"),
        (lambda: co_distillation(Ramp(1.0, steps=2), ramp_epochs=1), "expected one of the two"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_terms_of_co_distillation():
    entropy, skl = Entropy(), SymmetricKLToUniform()
    assert regularised_co_distillation(0.5, 0.2).terms == (Term(CrossEntropy()), Term(Agreement(), 0.5), Term(entropy, 0.2))
    assert regularised_co_distillation(0.5, 0.2, regulariser="symmetric-kl").terms[2] == Term(skl, 0.2)
    assert co_distillation(2.0, kind="ce", lag_steps=3).terms[1] == Term(PeerCrossEntropy(3), 2.0)
    assert co_distillation(2.0, kind="joint-ce").terms[1] == Term(Agreement("ce"), 2.0)
    ramped = regularised_co_distillation(0.5, 0.2, ramp_epochs=3)
    assert [term.weight for term in ramped.terms] == [1.0, Ramp(0.5, epochs=3), Ramp(0.2, epochs=3)]
