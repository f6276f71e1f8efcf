import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traintwice.errors import BadInput, Undefined
from traintwice.metrics import (
    accuracy,
    bad_churn,
    churn,
    good_churn,
    lateral_churn,
    lateral_flips,
    negative_flips,
    positive_flips,
    win_loss_ratio,
)

OLD = np.array([0, 1, 1, 0, 2, 2, 0, 1])
NEW = np.array([0, 0, 1, 1, 1, 0, 1, 1])
Y = np.array([0, 1, 0, 1, 0, 2, 1, 1])  # kept, broken, wrong still, mended, lateral, broken, mended, kept


def test_by_hand():
    v = np.stack([OLD, NEW])
    assert negative_flips(v, Y) == 2 / 8
    assert positive_flips(v, Y) == 2 / 8
    assert lateral_flips(v, Y) == 1 / 8
    assert (bad_churn(v, Y), good_churn(v, Y), lateral_churn(v, Y)) == (2 / 5, 2 / 5, 1 / 5)
    assert win_loss_ratio(v, Y) == 1
    assert win_loss_ratio(v[:, :4], Y[:4]) == 1


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_identities(N, seed):
    rng = np.random.default_rng(seed)
    v, y = rng.integers(0, 3, (2, N)), rng.integers(0, 3, N)
    parts = [negative_flips(v, y), positive_flips(v, y), lateral_flips(v, y)]
    assert sum(parts) == pytest.approx(churn(v), abs=1e-14)
    old, new = accuracy.measure(v, y).rows
    assert parts[1] - parts[0] == pytest.approx(new - old, abs=1e-14)
    assert parts[0] == positive_flips(v[::-1], y)  # backwards what broke is mended


def test_order_and_number_of_models():
    with pytest.raises(BadInput, match="negative flips: got 3 replicas, expected 2: the old model first, the new one second"):
        negative_flips(np.zeros((3, 4), int), np.zeros(4, int))
    with pytest.raises(Undefined, match="its denominator, negative flips, is zero"):
        win_loss_ratio(np.array([[1], [0]]), np.array([0]))
    with pytest.raises(Undefined, match="its denominator, churn old to new, is zero"):
        bad_churn(np.array([[0], [0]]), np.array([0]))
