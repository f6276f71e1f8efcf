import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from traintwice.compare import (
    compare_with_baseline,
    diff,
    example_variance,
    holm,
    interval,
    paired,
    replica_variance,
)
from traintwice.compare._estimates import Gap, gap
from traintwice.errors import BadInput
from traintwice.metrics import (
    Accumulator,
    Summary,
    accuracy,
    calibration_error,
    churn,
    churn_correct,
    churn_to_error,
    discrepancy,
    log_loss,
    negative_flips,
    surrogate_churn,
    total_variation,
    win_loss_ratio,
)
from traintwice.predictions import Predictions
from traintwice.statistics._inference import Part, wilson


def pair_churn(v):
    return np.mean([v[a] != v[b] for a, b in combinations(range(len(v)), 2)], axis=0)


def votes(seed, M=5, N=60, wrong=0.2):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((M, N)) < wrong, 1, 0)


def t_of(freedom, level=0.95):
    return stats.t.ppf(0.5 + level / 2, freedom)


class TestParts:
    def test_replica_variance_is_the_jackknife(self, draw):
        probs, y = draw(6)
        v = probs.argmax(axis=2)
        theta = np.array([pair_churn(np.delete(v, m, axis=0)).mean() for m in range(6)])
        assert_allclose(replica_variance(churn.measure(v)), 5 / 6 * np.sum((theta - theta.mean()) ** 2), rtol=1e-12)
        for metric in (churn_correct, churn_to_error):
            theta = np.array([metric(np.delete(v, m, axis=0), y) for m in range(6)])
            assert_allclose(replica_variance(metric.measure(v, y)), 5 / 6 * np.sum((theta - theta.mean()) ** 2), rtol=1e-11)

    def test_example_variance_of_a_mean_and_of_a_ratio(self, draw):
        probs, y = draw(4)
        v = probs.argmax(axis=2)
        u = pair_churn(v)
        assert_allclose(example_variance(churn.measure(v)), np.var(u, ddof=1) / 40, rtol=1e-12)
        wrong = (v != y).mean(axis=0)
        z = (u - u.mean() / wrong.mean() * wrong) / wrong.mean()
        assert_allclose(example_variance(churn_to_error.measure(v, y)), np.var(z, ddof=1) / 40, rtol=1e-12)

    def test_example_variance_of_clusters_sums_influences_in_them(self, draw):
        probs, _ = draw(4)
        clusters = np.random.default_rng(0).integers(0, 7, 40)
        u = pair_churn(probs.argmax(axis=2))
        totals = [sum(u[n] - u.mean() for n in range(40) if clusters[n] == g) for g in range(7)]
        expected = 7 / 6 * sum(t**2 for t in totals) / 40**2
        assert_allclose(example_variance(churn.measure(Predictions(probs, clusters=clusters))), expected, rtol=1e-12)

    def test_a_replica_mean_has_the_textbook_variance(self, draw):
        probs, y = draw(5)
        per_replica = (probs.argmax(axis=2) == y).mean(axis=1)
        assert_allclose(replica_variance(accuracy.measure(probs, y)), per_replica.var(ddof=1) / 5, rtol=1e-12)


class TestInterval:
    def test_of_a_measure_at_least_zero_is_formed_on_the_log_scale(self, draw):
        measured = churn.measure(draw(5)[0])
        of_replicas, of_examples = replica_variance(measured), example_variance(measured)
        for target, parts in (
            ("both", ((of_replicas, 4), (of_examples, 39))),
            ("replicas", ((of_replicas, 4),)),
            ("examples", ((of_examples, 39),)),
        ):
            e = interval(measured, level=0.9, target=target)
            r = math.sqrt(sum(t_of(df, 0.9) ** 2 * v for v, df in parts)) / measured.value
            assert_allclose([e.low, e.high], [measured.value * math.exp(-r), min(measured.value * math.exp(r + r**2 / 2), 1)])
            assert_allclose(e.standard_error, math.sqrt(sum(v for v, _ in parts)))
            assert (e.target, e.level, e.replicas, e.examples) == (target, 0.9, 5, 40)

    def test_of_a_fraction_that_may_be_near_one_on_the_logit_scale(self, draw):
        measured = accuracy.measure(*draw(5))
        p = measured.value
        half = math.sqrt(t_of(4) ** 2 * replica_variance(measured) + t_of(39) ** 2 * example_variance(measured))
        e = interval(measured)
        r = half / (p * (1 - p))
        ends = [-r - max(2 * p - 1, 0) * r**2 / 2, r + max(1 - 2 * p, 0) * r**2 / 2]  # the end towards the middle is further away
        assert_allclose([e.low, e.high], special.expit(special.logit(p) + np.array(ends)))

    def test_of_a_share_between_two_models_is_wilsons(self, draw):
        v = draw(2, 200)[0].argmax(axis=2)
        count = int((v[0] != v[1]).sum())
        expected = stats.binomtest(count, 200).proportion_ci(0.95, method="wilson")
        e = interval(churn.measure(v))
        assert_allclose([e.low, e.high], [expected.low, expected.high])
        assert e.target == "examples"

    def test_of_a_share_of_labelled_rows_has_as_many_units(self, draw):
        probs, y = draw(2, 200)
        right = probs.argmax(axis=2) == y
        both = right[0] & ~right[1]
        expected = stats.binomtest(int(both.sum()), 200).proportion_ci(0.95, method="wilson")
        e = interval(negative_flips.measure(probs, y))
        assert_allclose([e.low, e.high], [expected.low, expected.high])

    def test_of_a_share_of_clusters_is_wilsons_at_the_effective_number(self):
        rng = np.random.default_rng(0)
        clusters = np.arange(400) // 20
        flips = (rng.random(20) < 0.3).repeat(20) & (rng.random(400) < 0.8)
        p, of_clusters = flips.mean(), flips.reshape(20, 20).sum(axis=1)
        carriers = of_clusters.sum() ** 2 / np.sum(of_clusters**2)
        variance = np.sum((of_clusters - 20 * p) ** 2) / 400**2
        n = p * (1 - p) / variance * (stats.norm.ppf(0.975) / t_of(carriers - 1)) ** 2
        e = interval(churn.measure(Predictions(np.stack([np.zeros(400, int), flips.astype(int)]), clusters=clusters)))
        assert_allclose([e.low, e.high], wilson(p, max(n, 20), 0.95))
        assert e.units == 20
        assert carriers < 8
        assert n < 30

    def test_of_clusters_of_one_row_is_that_of_rows(self):
        v = np.zeros((2, 500), int)
        v[1, :3] = 1
        rows, clusters = (interval(churn.measure(Predictions(v, clusters=c))) for c in (None, np.arange(500)))
        assert_allclose([clusters.low, clusters.high], [rows.low, rows.high])

    def test_of_a_share_in_one_cluster_is_that_of_so_many_clusters(self):
        v = np.zeros((2, 2000), int)
        v[1, :5] = 1
        e = interval(churn.measure(Predictions(v, clusters=np.arange(2000) // 20)))
        assert_allclose([e.low, e.high], wilson(5 / 2000, 100, 0.95))

    def test_of_a_ratio_whose_denominator_is_in_one_cluster_is_the_whole_range(self):
        y, v = np.zeros(100, int), np.zeros((4, 100), int)
        v[:2, :3] = 1
        e = interval(churn_to_error.measure(Predictions(v, y, clusters=np.arange(100) // 10)))
        assert (e.low, e.high) == (0, 2)
        rows = interval(churn_to_error.measure(v, y))
        assert 0 < rows.low < rows.high < 2

    def test_degrees_of_freedom_are_of_the_clusters_that_carry_the_measure(self):
        rng = np.random.default_rng(2)
        probs = rng.dirichlet([0.05, 0.05], (2, 600))
        probs[:, 100:] = 0.5
        clusters = np.arange(600) // 10
        measured = surrogate_churn.measure(Predictions(probs, clusters=clusters))
        of_clusters = (measured.influence + measured.value).reshape(60, 10).sum(axis=1)
        carriers = of_clusters.sum() ** 2 / np.sum(of_clusters**2)
        assert 5 < carriers < 12
        e, r = interval(measured), t_of(carriers - 1) * math.sqrt(example_variance(measured)) / measured.value
        assert_allclose([e.low, e.high], [e.value * math.exp(-r), min(e.value * math.exp(r + r**2 / 2), 1)])
        summed = Accumulator(surrogate_churn, clustered=True)
        summed.add(Predictions(probs, clusters=clusters))
        of_sums = interval(summed.compute())
        assert_allclose([of_sums.low, of_sums.high], [e.low, e.high])

    def test_of_weighted_rows_has_at_most_the_effective_number(self):
        flips = np.zeros((2, 100), int)
        weights = np.r_[np.full(90, 0.01), np.full(10, 5.0)]
        e = interval(churn.measure(Predictions(flips, weights=weights)))
        effective = weights.sum() ** 2 / (weights**2).sum()
        assert (e.value, e.low) == (0, 0)
        assert e.high == pytest.approx(1 - 0.025 ** (1 / effective))

    @pytest.mark.parametrize(("same", "clustered"), [(True, False), (True, True), (False, False)])
    def test_nothing_seen_is_not_certainty(self, same, clustered):
        v = np.zeros((2, 90), int) if same else np.stack([np.zeros(90, int), np.ones(90, int)])
        units = 30 if clustered else 90
        e = interval(churn.measure(Predictions(v, clusters=np.arange(90) // 3 if clustered else None)))
        missing = 1 - 0.025 ** (1 / units)
        assert_allclose([e.low, e.high], [0, missing] if same else [1 - missing, 1])

    def test_zero_of_more_replicas_has_the_exact_bound_of_so_many_units(self):
        e = interval(churn.measure(np.zeros((4, 50), int)))
        assert (e.value, e.low, e.standard_error) == (0, 0, 0)
        assert e.high == pytest.approx(1 - 0.025 ** (1 / 50))
        assert interval(accuracy.measure(np.zeros((4, 50), int), np.zeros(50, int))).low == pytest.approx(0.025 ** (1 / 50))
        assert interval(churn.measure(np.zeros((4, 2), int))).high == pytest.approx(1 - 0.025 ** (1 / 2))

    def test_a_ratio_at_its_largest_value_is_bounded_by_its_denominator(self):
        v = np.zeros((2, 100), int)
        v[0, :10] = v[1, 10:20] = 1  # each errs on 10 rows, never on the same
        e = interval(churn_to_error.measure(v, np.zeros(100, int)))
        assert (e.value, e.high) == (2, 2)
        assert e.low == pytest.approx(2 * 0.025 ** (1 / 10))

    def test_a_quotient_of_counts_without_numerator_is_bounded_by_its_denominator(self):
        v = np.zeros((2, 100), int)
        v[1, :8] = 1
        e = interval(win_loss_ratio.measure(v, np.zeros(100, int)))
        missing = 1 - 0.025 ** (1 / 8)
        assert (e.value, e.low) == (0, 0)
        assert e.high == pytest.approx(missing / (1 - missing))

    def test_clustered_rows_may_be_worth_as_many_as_there_are(self):
        flips = np.zeros((2, 400), int)
        flips[1, ::20] = 1  # one in each cluster
        e = interval(churn.measure(Predictions(flips, clusters=np.arange(400) // 20)))
        assert e.high < 0.09

    def test_no_width_of_a_number_without_bound(self):
        probs = np.full((3, 5, 2), 0.5)
        e = interval(total_variation.measure(probs))
        assert (e.value, e.low) == (0, 0)

    def test_two_models_get_an_interval_over_examples_that_says_so(self, draw):
        measured = churn.measure(draw(2)[0])
        assert interval(measured).target == "examples"
        with pytest.raises(BadInput, match="needs at least 3 replicas, got 2"):
            interval(measured, target="replicas")
        assert interval(accuracy.measure(*draw(2))).target == "both"

    def test_a_measure_without_an_example_part_has_the_replica_part_alone(self, draw):
        e = interval(discrepancy.measure(draw(6)[0]))
        assert e.target == "replicas"

    def test_calibration_has_no_interval(self, draw):
        e = interval(calibration_error.measure(*draw(4)))
        assert math.isnan(e.low)
        assert math.isnan(e.standard_error)

    @pytest.mark.parametrize("level", [0.0, 0.05, 1.0, 95, -1])
    def test_level_must_be_a_probability(self, draw, level):
        with pytest.raises(BadInput, match=r"expected a number from 0\.5 to below 1"):
            interval(churn.measure(draw()[0]), level=level)

    @pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 40)])
    def test_an_infinite_number_has_no_interval(self, draw, weights):
        probs, y = draw(3)
        probs[1, 7] = np.eye(3)[(y[7] + 1) % 3]
        e = interval(log_loss.measure(Predictions(probs, y, weights)))
        assert e.value == math.inf
        assert all(math.isnan(x) for x in (e.low, e.high, e.standard_error))

    def test_a_row_of_weight_zero_does_not_make_a_number_infinite(self, draw):
        probs, y = draw(3)
        weights = np.ones(40)
        weights[7] = 0
        expected = interval(log_loss.measure(Predictions(probs, y, weights)))
        probs[1, 7] = np.eye(3)[(y[7] + 1) % 3]
        assert interval(log_loss.measure(Predictions(probs, y, weights))).value == expected.value
        assert math.isfinite(expected.half_width)

    def test_a_ratio_undefined_without_one_replica_has_no_replica_part(self):
        v = np.array([[0, 1], [0, 1], [1, 1]])
        measured = churn_to_error.measure(v, np.array([0, 1]))
        assert math.isnan(replica_variance(measured))
        with pytest.raises(BadInput, match="without one of the 3 replicas the measure has no finite value"):
            interval(measured, target="replicas")
        hidden = interval(measured)
        assert hidden.target == "both"
        assert math.isnan(hidden.half_width)  # an interval over examples alone would hide how little is known
        assert math.isfinite(interval(measured, target="examples").half_width)

    def test_one_example(self):
        assert interval(churn.measure(np.array([[0], [1], [1]]))).target == "replicas"
        e = interval(accuracy.measure(np.array([[1]]), np.array([1])))
        assert e.value == 1
        assert_allclose([e.low, e.high], [0.025, 1])


def simulated_votes(rng, M, N, shared=0.0):
    """Votes of one recipe: examples of varying difficulty; ``shared`` correlates the errors of a replica over examples."""
    difficulty = rng.normal(-1.3, 0.9, N)
    latent = np.sqrt(shared) * rng.normal(size=(M, 1)) + np.sqrt(1 - shared) * rng.normal(size=(M, N))
    return (latent < difficulty).astype(int)


def test_product_weight_bootstrap_agrees_at_twenty_replicas():
    rng = np.random.default_rng(11)
    v = simulated_votes(rng, 20, 800, shared=0.2)
    e = interval(churn.measure(v))
    ones = v == 1
    draws = []
    for _ in range(1000):
        w, q = rng.exponential(size=20), rng.exponential(size=800)
        total, first = w.sum(), w @ ones
        differ = total**2 - first**2 - (total - first) ** 2
        draws.append(q @ differ / (q.sum() * (total**2 - w @ w)))
    assert e.standard_error == pytest.approx(np.std(draws), rel=0.15)


@pytest.mark.parametrize("shared", [0.0, 0.2])
@pytest.mark.parametrize("M", [4, 10])
def test_coverage_of_new_replicas_and_new_examples(shared, M):
    truth = np.mean([churn(simulated_votes(np.random.default_rng(i), 2, 100_000, shared)) for i in range(60)])
    rng = np.random.default_rng(100 + M)
    covered = over = 0
    for _ in range(200):
        e = interval(churn.measure(simulated_votes(rng, M, 300, shared)))
        covered += e.low <= truth <= e.high
        over += e.high < truth
    assert 0.92 <= covered / 200 <= 1.0
    assert over / 200 <= 0.06


class TestGap:
    def test_paired_drops_the_same_replica_from_both(self):
        a, b = votes(1), votes(2)
        found = paired(churn.measure(a), churn.measure(b))
        theta = np.array([churn(np.delete(a, m, 0)) - churn(np.delete(b, m, 0)) for m in range(5)])
        assert_allclose(found.value, churn(a) - churn(b))
        (part,) = found.of_replicas
        assert_allclose([part.variance, part.freedom], [4 / 5 * np.sum((theta - theta.mean()) ** 2), 4], rtol=1e-12)
        z = pair_churn(a) - pair_churn(b)
        assert_allclose([found.of_examples.variance, found.of_examples.freedom], [z.var(ddof=1) / 60, 59])

    def test_not_paired_the_replica_parts_add(self):
        a, b = churn.measure(votes(1)).summary, churn.measure(votes(2, M=7)).summary
        found = gap(a, b, 0.001, 60, is_paired=False)
        assert [p.variance for p in found.of_replicas] == [a.replica_variance, b.replica_variance]
        assert [p.freedom for p in found.of_replicas] == [4, 6]
        assert (found.value, found.replicas) == (b.value - a.value, 5)

    def test_the_interval_is_that_of_the_parts(self):
        found = Gap(0.3, (Part(0.004, 4), Part(0.002, 6)), Part(0.001, 59), 5, 60, 60)
        half = math.sqrt(t_of(4) ** 2 * 0.004 + t_of(6) ** 2 * 0.002 + t_of(59) ** 2 * 0.001)
        e = found.estimate(0.95)
        assert_allclose([e.low, e.high, e.standard_error], [0.3 - half, 0.3 + half, math.sqrt(0.007)])

    @pytest.mark.parametrize(("of_replicas", "of_examples"), [(0.04, 0.0001), (0.0001, 0.04)])
    def test_the_p_value_is_the_larger_of_the_two_parts(self, of_replicas, of_examples):
        found = Gap(0.3, (Part(of_replicas, 4),), Part(of_examples, 59), 5, 60, 60)
        of_each = [2 * stats.t.sf(0.3 / math.sqrt(v), df) for v, df in ((of_replicas, 4), (of_examples, 59))]
        assert found.p_value() == pytest.approx(max(of_each))

    def test_two_replica_parts_are_tested_by_their_sum_with_the_smaller_freedom(self):
        found = Gap(0.3, (Part(0.01, 4), Part(0.02, 9)), Part(1e-9, 59), 5, 60, 60)
        assert found.p_value() == pytest.approx(2 * stats.t.sf(0.3 / math.sqrt(0.03), 4))

    def test_a_sure_difference_without_spread_is_significant(self):
        y = np.zeros(9, int)
        right, wrong = accuracy.measure(np.zeros((3, 9), int), y), accuracy.measure(np.ones((3, 9), int), y)
        [d] = compare_with_baseline([(right, wrong)])
        assert (d.estimate.value, d.p_value, d.significant, d.more_replicas) == (1.0, 2**-8, True, 0)  # a sign test of 9 rows

    def test_a_difference_of_rounding_is_none(self):
        y, w, none = np.zeros(40, int), np.full(40, 0.1), np.full(3, 0.3)
        of = accuracy.measure(Predictions(np.zeros((3, 40), int), y, w))
        one, other = (replace(of, value=v, jackknife_values=none) for v in (0.3, 0.1 + 0.2))
        assert other.value != one.value
        found = gap(one, other, 0.0, 40, is_paired=False).difference(0.95)
        missing = 1 - 0.025 ** (1 / 40)
        assert (found.p_value, found.significant, found.more_replicas) == (1.0, False, None)
        assert_allclose([found.estimate.value, found.estimate.low, found.estimate.high], [0, -missing, missing])

    def test_paired_sums_the_influences_of_a_cluster(self, draw):
        (a, y), (b, _) = draw(4, 90, 3), draw(4, 90, 3, seed=1)
        clusters = np.arange(90) // 6
        one, other = (accuracy.measure(Predictions(p, y, clusters=clusters)) for p in (a, b))
        right = [(p.argmax(axis=2) == y).mean(axis=0) for p in (a, b)]
        z = right[0] - right[1] - (right[0].mean() - right[1].mean())
        variance = 15 / 14 * np.sum(np.bincount(clusters, z) ** 2) / 90**2
        found = paired(one, other)
        assert found.units == 15
        assert_allclose([found.of_examples.variance, found.of_examples.freedom], [variance, 14])

    def test_two_replicas_make_nothing_significant(self):
        """However large the difference: it holds for these models alone."""
        right, wrong = np.zeros((2, 400), int), np.array([[0] * 400, [1] * 400])
        [d] = compare_with_baseline([(churn.measure(right), churn.measure(wrong))])
        assert (d.estimate.value, d.estimate.target, d.significant, d.more_replicas) == (-1.0, "examples", False, None)

    def test_against_itself_nothing_differs(self):
        a = churn.measure(votes(1))
        [d] = compare_with_baseline([(a, a)])
        assert (d.estimate.value, d.p_value, d.significant, d.more_replicas) == (0, 1, False, None)

    def test_the_projected_number_is_the_first_that_would_do(self):
        found = Gap(0.02, (Part(1.2e-4, 4),), Part(2e-6, 499), 5, 500, 500)
        more = found.difference(0.95).more_replicas

        def significant(m):
            return 2 * stats.t.sf(0.02 / math.sqrt(1.2e-4 * 5 / m), m - 1) <= 0.05

        assert more == next(m for m in range(5, 200) if significant(m)) - 5 > 1
        stricter = found.difference(0.95, adjusted=1.0, tests=3).more_replicas
        assert stricter > more

    def test_too_few_examples_are_not_made_up_for_by_replicas(self):
        found = Gap(0.02, (Part(1e-4, 4),), Part(1.0, 49), 5, 50, 50)
        assert found.difference(0.95).more_replicas is None

    def test_an_infinite_measure_has_no_difference(self):
        infinite = Summary(math.inf, np.full(3, math.inf), np.full(3, math.inf), math.nan, 10)
        finite = Summary(1.0, np.ones(3), np.ones(3), 0.1, 10)
        found = gap(finite, infinite, math.nan, 10, is_paired=False).difference(0.95)
        assert not found.significant
        assert math.isnan(found.estimate.low)

    def test_unequal_numbers_are_refused(self):
        with pytest.raises(BadInput, match="got 5 replicas x 60 examples against 4 x 60"):
            paired(churn.measure(votes(1)), churn.measure(votes(2, M=4)))


class TestBaseline:
    def test_p_values_are_holm_adjusted_over_the_comparisons(self):
        base = votes(0, M=8, N=400)
        recipes = [votes(1, M=8, N=400, wrong=0.02), votes(2, M=8, N=400), votes(3, M=8, N=400, wrong=0.17)]
        pairs = [(churn.measure(r), churn.measure(base)) for r in recipes]
        found = compare_with_baseline(pairs)
        raw = [paired(*p).p_value() for p in pairs]
        assert [d.p_value for d in found] == raw
        assert_allclose([d.adjusted for d in found], holm(raw))
        assert [d.significant for d in found] == [p <= 0.05 for p in holm(raw)]
        assert found[0].significant
        assert not found[1].significant

    def test_the_projection_uses_holms_step_even_where_the_adjusted_p_value_is_cut_off_at_one(self):
        base = churn.measure(votes(0, M=6, N=3000))
        pairs = [(churn.measure(votes(s, M=6, N=3000, wrong=w)), base) for s, w in ((1, 0.2), (2, 0.202), (3, 0.198))]
        found = compare_with_baseline(pairs)
        order = np.argsort([d.p_value for d in found])
        for step, i in enumerate(order):
            assert found[i].more_replicas == paired(*pairs[i]).difference(0.95, tests=3 - step).more_replicas

    def test_under_no_difference_few_claims_are_made(self):
        claims = 0
        for seed in range(200):
            a, b = votes(2 * seed, M=5, N=100), votes(2 * seed + 1, M=5, N=100)
            claims += paired(churn.measure(a), churn.measure(b)).p_value() <= 0.05
        assert claims / 200 <= 0.05


def test_a_difference_is_significant_only_if_its_interval_excludes_zero():
    both = Gap(0.021, (Part(1e-4, 19),), Part(1e-4, 999), 20, 1000, 1000, 1.0)
    found = both.difference(0.95)
    assert found.p_value == found.adjusted < 0.05  # of each part alone
    assert found.estimate.low < 0 < found.estimate.high  # of both
    assert not found.significant
    more = both.with_replicas((20 + found.more_replicas) / 20)
    assert more.difference(0.95).significant
    assert not both.with_replicas((19 + found.more_replicas) / 20).difference(0.95).significant


@pytest.mark.parametrize("rows", [2, 5, 6, 40])
@pytest.mark.parametrize("clustered", [False, True])
def test_a_change_that_all_rows_share_is_bounded_as_the_sign_test_says(rows, clustered):
    """0 is inside exactly where rows of random sign are as often all alike."""
    options = {"label": np.zeros(rows, int)} | ({"cluster": np.arange(rows)} if clustered else {})
    d = diff(np.full(rows, 0.2), np.full(rows, 0.4), **options)
    change, n = math.log(0.8 / 0.6), rows
    rest = 1 - 0.025 ** (1 / n)
    loss = next(q for q in d.quality if q.name == "log_loss")
    assert_allclose([loss.change.low, loss.change.high], [change * (1 - 2 * rest), change * (1 + 2 * rest)])
    assert (loss.change.low > 0) == (2 ** (1 - n) < 0.05)
    assert_allclose(loss.p_value, 2 ** (1 - n))
