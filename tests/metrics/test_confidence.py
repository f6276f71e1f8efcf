import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics import churn, confidence_bins
from traintwice.predictions import Predictions


@pytest.mark.parametrize("M", [2, 25])
def test_equals_the_definition(draw, M):
    p, _ = draw(M, 30, 4)
    top = np.sort(p, axis=2)
    gamma, v = top[..., -1] - top[..., -2], p.argmax(axis=2)
    others = np.array([[np.mean([v[b, n] != v[m, n] for b in range(M) if b != m]) for n in range(30)] for m in range(M)])
    found = confidence_bins(p, bins=5)
    for i in range(5):
        inside = (gamma > i / 5) & (gamma <= (i + 1) / 5)
        assert found.share[i] == pytest.approx(inside.mean())
        assert found.churn[i] == pytest.approx(others[inside].mean())
    assert_allclose(found.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])


def test_bins_add_up_to_churn(draw):
    p, _ = draw(4, 60)
    w = np.linspace(0, 2, 60)
    for q in (Predictions(p), Predictions(p, weights=w)):
        found = confidence_bins(q, bins=40)
        assert found.share.sum() == pytest.approx(1)
        assert np.nansum(found.share * found.churn) == pytest.approx(churn(q))
        assert np.isnan(found.churn[found.share == 0]).all()


def test_a_tie_belongs_to_the_first_bin_and_certainty_to_the_last():
    found = confidence_bins(np.array([[[0.5, 0.5], [1.0, 0.0]]] * 2), bins=4)
    assert found.share.tolist() == [0.5, 0, 0, 0.5]


def test_refusals(draw):
    with pytest.raises(TooFewReplicas, match="confidence bins: got 1 replica"):
        confidence_bins(draw(1)[0])
    with pytest.raises(BadInput, match="got 0 bins"):
        confidence_bins(draw()[0], bins=0)
