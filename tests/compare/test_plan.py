import math
import re
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import compare_recipes, plan
from traintwice.compare._plan import VarianceParts, pair_components, power_of
from traintwice.errors import BadInput


def components_of(matrix):
    """The parts of the variance of the entries of a symmetric matrix."""
    return pair_components(matrix[np.tril_indices(len(matrix), -1)], len(matrix))


def test_variance_is_the_formula():
    p = plan(0.05)
    parts = p.components
    for row in p.table:
        m, n = row.replicas, row.rows
        expected = 4 * parts.zeta_1 / m + 2 * parts.zeta_2 / (m * (m - 1)) + parts.sigma_u**2 / n
        assert_allclose(row.standard_error, math.sqrt(expected))
        assert_allclose(parts.of_replicas(m, n) + parts.of_rows(n), expected)


def test_components_are_found_again_in_simulated_pairs():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        own, noise = rng.normal(size=8) * 0.3, rng.normal(size=(8, 8)) * 0.2
        matrix = 5 + own[:, None] + own + np.triu(noise, 1) + np.triu(noise, 1).T
        np.fill_diagonal(matrix, 0)
        found.append(components_of(matrix))
    assert_allclose(np.mean(found, axis=0), [0.09, 0.04], rtol=0.1)


def test_the_jackknife_of_simulated_pairs_is_as_large_as_is_said():
    rng = np.random.default_rng(0)
    parts = VarianceParts(5.0, 0.09, 0.04, 0.0, paired=False, source="")
    values, estimates = [], []
    for _ in range(4000):
        own, noise = rng.normal(size=6) * 0.3, rng.normal(size=(6, 6)) * 0.2
        matrix = own[:, None] + own + np.triu(noise, 1) + np.triu(noise, 1).T
        np.fill_diagonal(matrix, 0)
        values.append(matrix.sum() / 30)
        rows = matrix.sum(axis=1) / 5
        jackknife_values = (6 * values[-1] - 2 * rows) / 4
        estimates.append(5 / 6 * np.sum((jackknife_values - jackknife_values.mean()) ** 2))
    assert_allclose(np.var(values), parts.of_replicas(6, 100), rtol=0.06)
    assert_allclose(np.mean(estimates), parts.jackknife(6, 100), rtol=0.04)


def churn_matrix(votes):
    return np.array([[(a != b).mean() for b in votes] for a in votes])


def parts_of_rows(votes, less=None):
    """σ_u², τ₁ and τ₂ from the covariances of the pairs, by loops."""
    pairs = list(combinations(range(len(votes)), 2))
    values = np.array([votes[a] != votes[b] for a, b in pairs], dtype=float)
    if less is not None:
        values -= np.array([less[a] != less[b] for a, b in pairs])
    covariance, shared = np.cov(values), {0: [], 1: [], 2: []}
    for i, p in enumerate(pairs):
        for j, q in enumerate(pairs):
            shared[len({*p} & {*q})].append(covariance[i, j])
    none, one, itself = (np.mean(shared[k]) for k in range(3))
    return max(none, 0), max(one - none, 0), max(itself - 2 * one + none, 0)


class TestPilot:
    def test_one_recipe_stands_for_both(self, draw, write):
        probs, _ = draw(6, 500, 3)
        p = plan(pilot=probs, detect=0.02)
        votes = probs.argmax(axis=2)
        pairs = list(combinations(range(6), 2))
        assert_allclose(p.components.churn, np.mean([(votes[a] != votes[b]).mean() for a, b in pairs]))
        _, tau_1, tau_2 = parts_of_rows(votes)
        assert p.components.sigma_u == 0
        assert_allclose([p.components.tau_1, p.components.tau_2], [2 * tau_1, 2 * tau_2])
        zetas = [max(z - t / 500, 0) for z, t in zip(components_of(churn_matrix(votes)), (tau_1, tau_2), strict=True)]
        assert_allclose([p.components.zeta_1, p.components.zeta_2], [2 * z for z in zetas], atol=1e-15)
        of_files = plan(pilot=write(probs), detect=0.02).components
        for name in ("churn", "zeta_1", "zeta_2", "sigma_u", "tau_1", "tau_2"):
            assert_allclose(getattr(of_files, name), getattr(p.components, name), atol=1e-15)
        assert "estimated from 6 replicas on 500 rows" in p.sentence

    def test_copies_are_named_and_do_not_show_how_churn_varies(self):
        votes = np.random.default_rng(0).integers(2, size=(5, 60))
        votes[3] = votes[1]
        assert "; the predictions of pilot 2, pilot 4 are identical, bit for bit" in plan(detect=0.1, pilot=votes).sentence
        with pytest.raises(
            BadInput, match=r"no row changes between replicas of the pilot; the predictions of pilot 1, .* that differ"
        ):
            plan(detect=0.1, pilot=votes[[0] * 5])

    @pytest.mark.parametrize("paired", [False, True])
    def test_two_recipes_give_the_parts_of_their_difference(self, draw, paired):
        (a, _), (b, _) = draw(5, 400, 3), draw(5, 400, 3, seed=1)
        b = 0.5 * b + 0.5 * a
        p = plan(pilot=a, against=b, paired=paired, detect=0.02).components
        va, vb = a.argmax(axis=2), b.argmax(axis=2)
        if paired:
            matrices, on_rows = [churn_matrix(vb) - churn_matrix(va)], [parts_of_rows(vb, less=va)]
        else:
            matrices, on_rows = [churn_matrix(v) for v in (va, vb)], [parts_of_rows(v) for v in (va, vb)]
        tau = np.sum([t[1:] for t in on_rows], axis=0)
        zetas = [
            np.maximum(np.array(components_of(m)) - np.array(t[1:]) / 400, 0) for m, t in zip(matrices, on_rows, strict=True)
        ]
        assert_allclose([p.zeta_1, p.zeta_2], np.sum(zetas, axis=0), atol=1e-15)
        assert_allclose([p.tau_1, p.tau_2], tau)
        pairs = list(combinations(range(5), 2))
        u = [np.mean([v[i] != v[j] for i, j in pairs], axis=0) for v in (va, vb)]
        beyond = (u[1] - u[0]).var(ddof=1) - 4 * tau[0] / 5 - 2 * tau[1] / 20
        assert_allclose(p.sigma_u**2, on_rows[0][0] if paired else max(beyond, 0), atol=1e-12)
        assert p.paired == paired

    def test_clusters_widen_the_part_of_rows(self, draw):
        probs, _ = draw(5, 60, 3)
        probs, clusters = probs.repeat(10, axis=1), np.arange(60).repeat(10)
        alone, clustered = plan(pilot=probs).components, plan(pilot=probs, cluster=clusters).components
        assert_allclose(clustered.tau_1 / alone.tau_1, 10 * 60 / 59 / (600 / 599), rtol=1e-6)


def latent(rng, replicas, rows, noise, own):
    """Votes of a recipe: a row flips with a probability of its own, and a replica has a level of its own."""
    level = noise * np.exp(own * rng.normal(size=(replicas, 1)))
    return (rng.random((replicas, rows)) < level).astype(int)


@pytest.mark.parametrize("gap", [0.0, 0.03])
def test_promised_power_is_what_the_comparison_has(gap):
    """Recipes are drawn and compared; the plan is made from pilots of the same recipes, of the same size."""
    rng = np.random.default_rng(1)
    levels, replicas, rows, own = (0.06, 0.06 + gap), 5, 1500, 0.15
    mean = [level * math.exp(own**2 / 2) for level in levels]
    truth = 2 * mean[1] * (1 - mean[1]) - 2 * mean[0] * (1 - mean[0])
    pilots = []
    for _ in range(20):
        pilot, against = (latent(rng, replicas, rows, level, own) for level in levels)
        pilots.append(plan(pilot=pilot, against=against, replicas=[replicas], rows=[rows]).components)
    promised = np.mean([power_of(parts, replicas, rows, truth, 0.95) for parts in pilots])
    found = 0.0
    for _ in range(100):
        first, second = (latent(rng, replicas, rows, level, own) for level in levels)
        found += compare_recipes(first, second, which=["churn"])["churn"].difference.significant / 100
    assert abs(found - promised) <= 0.05 + 2 * math.sqrt(found * (1 - found) / 100)


def test_power_grows_with_everything_that_helps():
    parts = plan(0.05).components
    base = power_of(parts, 5, 2000, 0.01, 0.95)
    assert power_of(parts, 10, 2000, 0.01, 0.95) > base
    assert power_of(parts, 5, 20_000, 0.01, 0.95) > base
    assert power_of(parts, 5, 2000, 0.02, 0.95) > base
    assert power_of(parts, 5, 2000, 0.01, 0.8) > base
    assert power_of(parts, 5, 2000, -0.01, 0.95) == pytest.approx(base)
    assert power_of(VarianceParts(0.1, 0, 0, 0, paired=False, source=""), 5, 100, 0.01, 0.95) == 1.0


def test_what_is_detected_has_the_power_asked_for():
    p = plan(0.05, power=0.7, replicas=[4, 9], rows=[1000, 50_000])
    for row in p.table:
        assert power_of(p.components, row.replicas, row.rows, row.detects, 0.95) == pytest.approx(0.7, abs=1e-3)
    assert math.isnan(plan(0.5, replicas=[3], rows=[1]).table[0].detects)
    assert "nan" not in plan(0.5, replicas=[3], rows=[1]).sentence


def test_the_smallest_plan_that_is_enough_is_named():
    p = plan(0.05, 0.01)
    assert p.smallest.enough
    assert all(r.replicas * r.rows >= p.smallest.replicas * p.smallest.rows for r in p.table if r.enough)
    assert f"takes {p.smallest.replicas} replicas of each recipe and {p.smallest.rows:,} rows" in p.sentence
    for row in (r for r in p.table if r.enough):
        fewer = [r for r in p.table if r.enough and r is not row and r.replicas <= row.replicas and r.rows <= row.rows]
        named = re.search(rf"(takes|, or) {row.replicas} (replicas of each recipe )?and {row.rows:,}\b", p.sentence)
        assert bool(named) == (not fewer)
    assert "takes more than 40 replicas" in plan(0.05, 0.0001).sentence
    reached = plan(0.05, standard_error=0.003)
    assert reached.smallest.standard_error <= 0.003
    assert plan(0.05).smallest is None
    assert plan(0.05, 0.01).to_dict()["smallest"]["rows"] == p.smallest.rows


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "plan: got no churn"),
        ({"churn": 5}, "churn: got 5"),
        ({"churn": 0.1, "detect": 2}, "detect: got 2"),
        ({"churn": 0.1, "detect": 0.1, "standard_error": 0.1}, "not both"),
        ({"churn": 0.1, "replicas": [1]}, "at least 3 replicas"),
        ({"churn": 0.1, "power": 80}, "power: got 0.95 and 80"),
        ({"pilot": np.zeros((3, 5), int)}, "pilot: got 3 replicas"),
        ({"pilot": np.zeros((4, 5), int), "against": np.zeros((3, 5), int)}, "against: got 3 replicas"),
        ({"pilot": np.zeros((4, 5), int), "against": np.zeros((5, 5), int), "paired": True}, "paired: got 4 replicas"),
        ({"churn": 0.1, "against": np.zeros((5, 5), int)}, "give pilot too"),
        ({"churn": 0.1, "paired": True}, "give against too"),
        ({"churn": 0.1, "regression": True}, "have no labels that change"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(BadInput, match=message):
        plan(**given)
