import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import plan
from traintwice.compare.plan import pair_components, variance_of_churn
from traintwice.errors import BadInput


def test_variance_is_the_formula():
    p = plan(0.05)
    parts = p.components
    for row in p.table:
        m, n = row.replicas, row.rows
        expected = 4 * parts.zeta_1 / m + 2 * parts.zeta_2 / (m * (m - 1)) + parts.sigma_u**2 / n
        assert_allclose(row.standard_error, math.sqrt(expected))
        assert_allclose(variance_of_churn(parts, m, n), expected)


def test_components_are_found_again_in_simulated_pairs():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        own, noise = rng.normal(size=8) * 0.3, rng.normal(size=(8, 8)) * 0.2
        matrix = 5 + own[:, None] + own + np.triu(noise, 1) + np.triu(noise, 1).T
        np.fill_diagonal(matrix, 0)
        found.append(pair_components(matrix))
    assert_allclose(np.mean(found, axis=0), [0.09, 0.04], rtol=0.1)


def test_a_pilot_gives_the_parts(draw, write):
    probs, _ = draw(6, 500, 3)
    p = plan(pilot=probs, detect=0.02)
    votes = probs.argmax(axis=2)
    assert_allclose(p.components.churn, np.mean([(votes[a] != votes[b]).mean() for a in range(6) for b in range(a)]))
    u = np.mean([votes[a] != votes[b] for a in range(6) for b in range(a)], axis=0)
    assert_allclose(p.components.sigma_u, u.std(ddof=1))
    assert plan(pilot=write(probs), detect=0.02).components == p.components
    assert "estimated from 6 replicas on 500 rows" in p.sentence


def test_power_of_the_plan_is_what_simulation_finds():
    rng = np.random.default_rng(1)
    p = plan(0.1, 0.02, replicas=[5], rows=[2000])
    error = p.table[0].standard_error
    gaps = rng.normal(0.02, math.sqrt(2) * error, 4000)
    spread = error * np.sqrt(2 * rng.chisquare(8, 4000) / 8)
    from scipy import stats

    share = np.mean(gaps / spread > stats.t.ppf(0.975, 8))
    assert abs(share - p.table[0].power) < 0.04


def test_the_smallest_plan_that_is_enough_is_named():
    p = plan(0.05, 0.01)
    assert p.smallest.enough
    assert all(r.replicas * r.rows >= p.smallest.replicas * p.smallest.rows for r in p.table if r.enough)
    assert f"takes {p.smallest.replicas} replicas of each recipe and {p.smallest.rows:,} rows" in p.sentence
    assert "takes more than 40 replicas" in plan(0.05, 0.0001).sentence
    reached = plan(0.05, standard_error=0.003)
    assert reached.smallest.standard_error <= 0.003
    assert plan(0.05).smallest is None
    assert plan(0.05, 0.01).to_dict()["smallest"]["rows"] == p.smallest.rows


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "churn: got None"),
        ({"churn": 5}, "churn: got 5"),
        ({"churn": 0.1, "detect": 2}, "detect: got 2"),
        ({"churn": 0.1, "detect": 0.1, "standard_error": 0.1}, "not both"),
        ({"churn": 0.1, "replicas": [1]}, "at least 2 replicas"),
        ({"churn": 0.1, "power": 80}, "power: got 0.95 and 80"),
        ({"pilot": np.zeros((3, 5), int)}, "pilot: got 3 replicas"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(BadInput, match=message):
        plan(**given)
