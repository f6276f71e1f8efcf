import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare._estimates import interval
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics import Accumulator, calibration_error, calibration_error_equal_mass, churn, confidence_bins
from traintwice.predictions import Predictions


def by_definition(p, y, edges, weights=None):
    weights = np.ones(len(y)) if weights is None else weights
    total = 0.0
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            w = weights[inside]
            total += w.sum() * abs(np.average(right[inside], weights=w) - np.average(confidence[inside], weights=w))
    return total / weights.sum()


@pytest.mark.parametrize("M", [1, 2, 10])
@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("bins", [1, 15])
def test_equal_width_equals_the_definition(draw, M, K, bins):
    p, y = draw(M, 200, K)
    expected = [by_definition(q, y, np.arange(bins + 1) / bins) for q in p]
    assert_allclose(calibration_error.measure(p, y, bins=bins).rows, expected, rtol=1e-11)
    w = np.random.default_rng(1).exponential(size=200)
    weighted = [by_definition(q, y, np.arange(bins + 1) / bins, w) for q in p]
    assert_allclose(calibration_error.measure(Predictions(p, y, w), bins=bins).rows, weighted, rtol=1e-11)


def test_bins_are_open_below_and_closed_above():
    p = np.array([[[0.6, 0.4], [0.61, 0.39]]])  # 0.6 lies in (0.4, 0.6], 0.61 in (0.6, 0.8]
    assert calibration_error(p, np.array([0, 1]), bins=5) == pytest.approx((0.4 + 0.61) / 2)
    assert calibration_error(p, np.array([0, 1]), bins=2) == pytest.approx(abs(0.4 - 0.61) / 2)


def test_equal_mass_puts_as_many_in_each_bin(draw):
    p, y = draw(1, 60, 3)
    order = np.argsort(p[0].max(axis=1))
    right = (p[0].argmax(axis=1) == y).astype(float)
    groups = np.split(order, 6)
    expected = sum(abs(right[g].sum() - p[0].max(axis=1)[g].sum()) for g in groups) / 60
    assert_allclose(calibration_error_equal_mass(p, y, bins=6), expected, rtol=1e-12)
    tied = np.full((1, 10, 2), 0.5)
    assert calibration_error_equal_mass(tied, np.array([0, 1] * 5), bins=4) == 0
    times = np.random.default_rng(0).integers(0, 4, 60)
    weighted = calibration_error_equal_mass(Predictions(p, y, times))
    repeated = calibration_error_equal_mass(np.repeat(p, times, axis=1), np.repeat(y, times))
    assert_allclose(weighted, repeated, rtol=1e-12)


def test_a_calibrated_model_shows_the_error_that_chance_gives():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 4_000)
    probs = np.stack([p, 1 - p], axis=1)[None]
    errors, expected, debiased = [], [], []
    for _ in range(200):
        seen = Accumulator(calibration_error).update(probs, (rng.random(4_000) > p).astype(int))
        errors.append(seen.compute().value)
        chance = seen.definition.chance(seen.sums, seen.weight)
        expected.append(chance[0])
        debiased.append(chance[1])
    assert np.mean(expected) == pytest.approx(np.mean(errors), rel=0.05)
    assert np.mean(debiased) < 0.65 * np.mean(errors)  # chance adds less, and what is left cannot be told from a small error
    assert math.isnan(interval(seen.compute()).high)


def test_a_large_error_is_not_debiased():
    seen = Accumulator(calibration_error).update(
        np.tile([0.9, 0.1], (1, 5000, 1)), np.r_[np.zeros(2500), np.ones(2500)].astype(int)
    )
    error, (by_chance, debiased) = seen.compute().value, seen.definition.chance(seen.sums, seen.weight)
    assert error == pytest.approx(0.4)
    assert debiased == pytest.approx(0.4)
    assert by_chance == pytest.approx(np.sqrt(2 / np.pi * 0.09 / 5000))


def test_influence_of_equal_mass_while_the_edges_stay(draw):
    p, y = draw(3, 60, 3)
    measured = calibration_error_equal_mass.measure(p, y, bins=7)
    for n in (0, 31):
        w = np.ones(60)
        w[n] += 1e-6
        slope = (calibration_error_equal_mass(Predictions(p, y, w), bins=7) - measured.value) / 1e-6
        assert slope == pytest.approx(measured.influence[n] / 60, rel=1e-4)


def test_bad_options(draw):
    with pytest.raises(BadInput, match="got 0 bins"):
        calibration_error(*draw(), bins=0)
    with pytest.raises(BadInput, match="calibration_error_equal_mass: got 0 bins"):
        calibration_error_equal_mass(*draw(), bins=0)


@pytest.mark.parametrize("M", [2, 25])
def test_churn_by_confidence_equals_the_definition(draw, M):
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


def test_bins_by_confidence_refuse(draw):
    with pytest.raises(TooFewReplicas, match="confidence bins: got 1 replica"):
        confidence_bins(draw(1)[0])
    with pytest.raises(BadInput, match="got 0 bins"):
        confidence_bins(draw()[0], bins=0)
