from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from traintwice.errors import BadInput, Undefined
from traintwice.metrics import (
    accuracy,
    bad_churn,
    churn,
    churn_correct,
    churn_incorrect,
    churn_to_error,
    error,
    good_churn,
    lateral_churn,
    lateral_flips,
    negative_flips,
    positive_flips,
    win_loss_ratio,
)
from traintwice.metrics import churn as churn_metric
from traintwice.metrics._churn import PAIRS_UP_TO, same_vote


def votes_of(probs):
    return probs.argmax(axis=2)


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equals_the_definition(draw, M, K):
    probs, _ = draw(M, 30, K)
    v = votes_of(probs)
    pairs = [np.mean(v[a] != v[b]) for a, b in combinations(range(M), 2)]
    assert_allclose(churn(probs), np.mean(pairs), rtol=1e-13)
    counted = [1 - sum(int(c) * (int(c) - 1) for c in np.bincount(v[:, n])) / (M * (M - 1)) for n in range(30)]
    assert_allclose(churn(probs), np.mean(counted), rtol=1e-13)


@pytest.mark.parametrize("M", [2, 3, 10, 25])
def test_rows_are_the_churn_with_the_others(draw, M):
    v = votes_of(draw(M, 30)[0])
    rows = [np.mean([np.mean(v[m] != v[b]) for b in range(M) if b != m]) for m in range(M)]
    assert_allclose(churn.measure(v).rows, rows, rtol=1e-13)


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_split_by_the_first_model_equals_the_definition(draw, M, K):
    probs, y = draw(M, 30, K)
    v = votes_of(probs)
    changed = {True: 0, False: 0}
    all_of = {True: 0, False: 0}
    for a, b in permutations(range(M), 2):
        for n in range(30):
            right = bool(v[a, n] == y[n])
            all_of[right] += 1
            changed[right] += int(v[a, n] != v[b, n])
    assert_allclose(churn_correct(probs, y), changed[True] / all_of[True], rtol=1e-12)
    assert_allclose(churn_incorrect(probs, y), changed[False] / all_of[False], rtol=1e-12)


@pytest.mark.parametrize("M", [2, 3, 25])
def test_identity_and_lemma_1(draw, M):
    probs, y = draw(M, 60, 3)
    both = accuracy(probs, y) * churn_correct(probs, y) + error(probs, y) * churn_incorrect(probs, y)
    assert_allclose(both, churn(probs), rtol=1e-12)
    errors, v = error.measure(probs, y).rows, votes_of(probs)
    for a, b in combinations(range(M), 2):
        assert np.mean(v[a] != v[b]) <= errors[a] + errors[b] + 1e-12


def test_pairs_and_counts_are_equal_to_the_last_digit(draw):
    v = votes_of(draw(PAIRS_UP_TO, 200, 7)[0])
    by_counts = np.array([[np.sum(v[:, n] == v[m, n]) for n in range(200)] for m in range(PAIRS_UP_TO)])
    assert_array_equal(same_vote(np, v), by_counts)
    more = np.concatenate([v, v[:1]])  # one replica more takes the other path
    assert_array_equal(same_vote(np, more)[1:-1], by_counts[1:] + (v[1:] == v[0]))


@pytest.mark.parametrize("M", [3, 25])
def test_labels_of_any_size_are_compared_whole(M):
    v = np.zeros((M, 4), dtype=np.int64)
    v[0] = [256, 65536, 1 << 32, 0]  # all of these are 0 in a small integer that wraps around
    assert_allclose(churn.measure(v).rows[0], 0.75)
    assert churn(v) == pytest.approx(0.75 * 2 / M)


def test_churn_to_error_is_the_quotient(draw):
    probs, y = draw(4)
    assert_allclose(churn_to_error(probs, y), churn(probs) / error(probs, y), rtol=1e-14)


def test_undefined_ratios_raise():
    votes = np.array([[0, 1], [0, 1]])
    with pytest.raises(Undefined, match="denominator, error, is zero"):
        churn_to_error(votes, np.array([0, 1]))
    with pytest.raises(Undefined, match="denominator, accuracy, is zero"):
        churn_correct(votes, np.array([1, 0]))


def test_a_replica_left_out_that_made_all_errors_leaves_no_finite_ratio():
    votes = np.array([[0, 1], [0, 1], [1, 1]])
    measured = churn_to_error.measure(votes, np.array([0, 1]))
    assert measured.value == pytest.approx((1 / 3) / (1 / 6))
    assert not np.isfinite(measured.jackknife_values[2])


@given(st.integers(2, 6), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_stays_in_its_range_and_is_zero_only_without_disagreement(M, N, seed):
    v = np.random.default_rng(seed).integers(0, 3, (M, N))
    value = churn_metric(v)
    assert 0 <= value <= 1
    assert (value == 0) == bool((v == v[0]).all())


OLD = np.array([0, 1, 1, 0, 2, 2, 0, 1])
NEW = np.array([0, 0, 1, 1, 1, 0, 1, 1])
Y = np.array([0, 1, 0, 1, 0, 2, 1, 1])  # kept, broken, wrong still, mended, lateral, broken, mended, kept


def test_flips_by_hand():
    v = np.stack([OLD, NEW])
    assert negative_flips(v, Y) == 2 / 8
    assert positive_flips(v, Y) == 2 / 8
    assert lateral_flips(v, Y) == 1 / 8
    assert (bad_churn(v, Y), good_churn(v, Y), lateral_churn(v, Y)) == (2 / 5, 2 / 5, 1 / 5)
    assert win_loss_ratio(v, Y) == 1
    assert win_loss_ratio(v[:, :4], Y[:4]) == 1


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_identities_of_flips(N, seed):
    rng = np.random.default_rng(seed)
    v, y = rng.integers(0, 3, (2, N)), rng.integers(0, 3, N)
    parts = [negative_flips(v, y), positive_flips(v, y), lateral_flips(v, y)]
    assert sum(parts) == pytest.approx(churn(v), abs=1e-14)
    old, new = accuracy.measure(v, y).rows
    assert parts[1] - parts[0] == pytest.approx(new - old, abs=1e-14)
    assert parts[0] == positive_flips(v[::-1], y)  # backwards what broke is mended


def test_order_and_number_of_models_of_flips():
    with pytest.raises(BadInput, match="negative flips: got 3 replicas, expected 2: the old model first, the new one second"):
        negative_flips(np.zeros((3, 4), int), np.zeros(4, int))
    with pytest.raises(Undefined, match="its denominator, negative flips, is zero"):
        win_loss_ratio(np.array([[1], [0]]), np.array([0]))
    with pytest.raises(Undefined, match="its denominator, churn old to new, is zero"):
        bad_churn(np.array([[0], [0]]), np.array([0]))
