import math
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import diff
from traintwice.compare._floor import Pairs, advice, noise_floor
from traintwice.errors import BadInput

Z = stats.norm.ppf(0.975)


def votes_of(rng, models, rows=800, noise=0.1):
    """Predicted labels of models that flip each of ``rows`` binary labels with probability ``noise``, independently."""
    return ((rng.random((models, rows)) < noise) ^ (np.arange(rows) % 2).astype(bool)).astype(int)


def floor_of(votes, k=None, **options):
    k = len(votes) - 2 if k is None else k
    new = {"new_floor": list(votes[2 + k :])} if len(votes) > 2 + k else {}
    return diff(votes[0], votes[1], floor=list(votes[2 : 2 + k]), listed=0, **new, **options).floor


def log_ratio_half(d, of_rows, level=0.95):
    """The half-width of docs/concepts/definitions.md: retrains of the old recipe alone."""
    k = len(d) - 1
    spread = np.log(d[1:]).std(ddof=1)
    return max(
        stats.t.ppf(0.5 + level / 2, k - 1) * spread * math.sqrt(1 + 1 / k),
        stats.norm.ppf(0.5 + level / 2) * math.sqrt(of_rows),
    )


def log_ratio_of_rows(votes, d):
    """Variance of the log ratio over rows: the influence of each row."""
    changes = np.array([votes[0] != v for v in votes[1:]], dtype=float)
    z = changes[0] / d[0] - changes[1:].mean(axis=0) / d[1:].mean()
    return z.var(ddof=1) / votes.shape[1]


@pytest.mark.parametrize("level", [0.95, 0.8])
@pytest.mark.parametrize("noise", [0.1, 0.02])
def test_ratio_and_excess_by_their_definition(level, noise):
    votes = votes_of(np.random.default_rng(0), 6, noise=noise)
    found = floor_of(votes, level=level)
    d = np.array([(votes[0] != v).mean() for v in votes[1:]])
    ratio, half = d[0] / d[1:].mean(), log_ratio_half(d, log_ratio_of_rows(votes, d), level)
    assert_allclose([found.value, found.floor, found.ratio.value], [d[0], d[1:].mean(), ratio])
    assert_allclose([found.ratio.low, found.ratio.high], [ratio * math.exp(-half), ratio * math.exp(half)])
    assert_allclose(found.each, d[1:])
    assert_allclose(found.excess.value, d[0] - d[1:].mean())
    assert_allclose([found.excess.low, found.excess.high], d[1:].mean() * (ratio * np.exp([-half, half]) - 1))
    assert (found.retrains, found.new_retrains, found.within_old, found.name) == (4, 0, None, "churn")


def test_the_spread_of_rows_counts_where_it_is_larger():
    counts = np.array([12.0, 10.0, 10.0, 10.0, 11.0])
    found = noise_floor(Pairs(4, 0), counts, 100, None, name="x", title="x", unit="fraction", level=0.95, margin=1.5, units=100)
    spread = stats.t.ppf(0.975, 3) * np.log(counts[1:]).std(ddof=1) * math.sqrt(1.25)
    poisson = Z * math.sqrt(1 / 12 + 41 / 41**2)
    assert poisson > spread
    assert_allclose(found.ratio.high, 12 / 10.25 * math.exp(poisson))


def test_retrains_of_both_by_their_definition():
    votes = votes_of(np.random.default_rng(1), 9)
    olds, news = [0, 2, 3, 4, 5], [1, 6, 7, 8]
    found = floor_of(votes, 4)

    def parts(olds, news):
        def mean(pairs):
            return np.mean([votes[a] != votes[b] for a, b in pairs], axis=0)

        within = [mean(list(combinations(group, 2))) for group in (olds, news)]
        return mean([(a, b) for a in olds for b in news]), (within[0] + within[1]) / 2

    def log_ratio(olds, news):
        cross, floor = parts(olds, news)
        return math.log(cross.mean() / floor.mean())

    drops = [
        np.array([log_ratio([m for m in olds if m != a], news) for a in olds]),
        np.array([log_ratio(olds, [m for m in news if m != b]) for b in news]),
    ]
    of_models = sum(stats.t.ppf(0.975, len(d) - 1) ** 2 * (len(d) - 1) / len(d) * np.sum((d - d.mean()) ** 2) for d in drops)
    cross, floor = parts(olds, news)
    of_rows = (cross / cross.mean() - floor / floor.mean()).var(ddof=1) / 800
    half = math.sqrt(of_models + Z**2 * of_rows)
    assert_allclose([found.value, found.floor], [cross.mean(), floor.mean()])
    assert_allclose([found.ratio.low, found.ratio.high], found.ratio.value * np.exp([-half, half]))
    assert_allclose(found.floor, (found.within_old + found.within_new) / 2)
    assert_allclose(found.within_new, np.mean([(votes[a] != votes[b]).mean() for a, b in combinations(news, 2)]))
    assert (found.retrains, found.new_retrains) == (4, 3)


def test_clusters_take_their_variance_and_t():
    rng = np.random.default_rng(0)
    votes = votes_of(rng, 6, rows=40).repeat(20, axis=1)
    clusters = np.arange(40).repeat(20)
    found = floor_of(votes, cluster=clusters)
    d = np.array([(votes[0] != v).mean() for v in votes[1:]])
    of_rows = log_ratio_of_rows(votes[:, ::20], d)  # one row of each cluster: the others say the same
    k_part = stats.t.ppf(0.975, 3) * np.log(d[1:]).std(ddof=1) * math.sqrt(1.25)
    half = max(k_part, stats.t.ppf(0.975, 39) * math.sqrt(of_rows))
    assert_allclose(found.ratio.high, found.ratio.value * math.exp(half))
    assert found.ratio.units == 40


def test_weights_are_importance_weights():
    votes = votes_of(np.random.default_rng(0), 6)
    w = np.random.default_rng(1).random(800) + 0.2
    found = floor_of(votes, weight=w)
    d = np.array([np.average(votes[0] != v, weights=w) for v in votes[1:]])
    changes = np.array([votes[0] != v for v in votes[1:]], dtype=float)
    z = w * (changes[0] / d[0] - changes[1:].mean(axis=0) / d[1:].mean()) / w.mean()
    half = log_ratio_half(d, z.var(ddof=1) / 800)
    assert_allclose([found.value, found.floor], [d[0], d[1:].mean()])
    assert_allclose(found.ratio.high, found.ratio.value * math.exp(half), rtol=1e-6)
    thousandfold = floor_of(votes, weight=1000 * w)
    assert_allclose(thousandfold.ratio.high, found.ratio.high)


def test_where_a_count_is_zero_one_half_is_added_to_each():
    counts = np.array([6.0, 0.0, 3.0, 2.0, 4.0])
    found = noise_floor(Pairs(4, 0), counts, 1000, None, name="x", title="x", unit="fraction", level=0.95, margin=1.5, units=1000)
    half_added = counts + 0.5
    half = log_ratio_half(half_added, 1 / half_added[0] + 1 / half_added[1:].sum())
    middle = half_added[0] / half_added[1:].mean()
    assert_allclose([found.ratio.low, found.ratio.high], middle * np.exp([-half, half]))
    assert_allclose(found.excess.value, (6 - 9 / 4) / 1000)
    assert_allclose(found.excess.low, half_added[1:].mean() / 1000 * (middle * math.exp(-half) - 1))


@pytest.mark.parametrize("counts", [[0, 2, 3, 4, 5], [7, 0, 0, 0, 1], [7, 0, 0, 0, 0]])
def test_bounds_contain_what_they_are_bounds_of(counts):
    found = noise_floor(
        Pairs(4, 0), np.array(counts, float), 500, None, name="x", title="x", unit="fraction", level=0.95, margin=1.5, units=500
    )
    for e in (found.ratio, found.excess):
        assert e.low <= e.value <= e.high
    assert "nan" not in found.reason


def test_no_flips_at_all_is_not_certainty():
    found = noise_floor(
        Pairs(4, 0), np.zeros(5), 40, None, name="x", title="x", unit="fraction", level=0.95, margin=1.5, units=40
    )
    assert found.verdict == "inconclusive"
    assert found.excess.high > 0.01


def test_copies_leave_no_bounds():
    found = floor_of(np.zeros((7, 40), int))
    assert found.verdict == "inconclusive"
    assert np.isnan([found.ratio.high, found.excess.high]).all()
    assert "identical, bit for bit" in found.reason


def test_equal_counts_are_taken_for_copies():
    found = noise_floor(
        Pairs(4, 0), np.array([40.0, 9, 9, 9, 9]), 500, None,
        name="x", title="x", unit="fraction", level=0.95, margin=1.5, units=500,
    )  # fmt: skip
    assert found.verdict == "inconclusive"
    assert found.reason == (
        "inconclusive: all retrains differ from the old model on the same number of rows, as copies do; no verdict rests on them"
    )


@pytest.mark.parametrize("copy_of", [0, 2])
def test_retrains_that_are_copies_decide_nothing(copy_of):
    votes = votes_of(np.random.default_rng(0), 7)
    votes[5] = votes[copy_of]
    found = floor_of(votes)
    assert found.verdict == "inconclusive"
    assert "retrain 4 of old are identical, bit for bit; no verdict rests on them" in found.reason


class TestVerdict:
    @pytest.mark.parametrize("retrains", [1, 2])
    def test_fewer_than_three_retrains_decide_nothing(self, retrains):
        votes = votes_of(np.random.default_rng(2), 2 + retrains)
        votes[1] ^= 1  # as different as can be
        found = floor_of(votes)
        assert (found.verdict, found.more_retrains) == ("inconclusive", 4 - retrains)
        many = "1 retrain is" if retrains == 1 else "2 retrains are"
        assert found.reason.endswith(f"{many} too few to estimate the variance of a retrain; give 4 or more")
        assert math.isnan(found.ratio.low) == (retrains == 1)

    def test_two_of_each_recipe_decide_nothing(self):
        votes = votes_of(np.random.default_rng(2), 6)
        found = floor_of(votes, 2)
        assert found.verdict == "inconclusive"
        votes[[1, 4, 5]] ^= 1
        assert floor_of(votes, 2).verdict == "inconclusive"

    def test_three_may_decide(self):
        votes = votes_of(np.random.default_rng(2), 5, rows=5000)
        votes[1] ^= np.random.default_rng(3).random(5000) < 0.4
        assert floor_of(votes).verdict == "beyond noise"

    def test_a_new_recipe_is_beyond_noise_and_a_retrain_is_not(self):
        rng = np.random.default_rng(3)
        votes = votes_of(rng, 7, rows=20_000, noise=0.03)
        changed = votes.copy()
        changed[1] ^= rng.random(20_000) < 0.1
        beyond = floor_of(changed)
        assert (beyond.verdict, beyond.more_retrains) == ("beyond noise", 0)
        assert beyond.reason.startswith("more than retraining causes: churn is ")
        assert "given this old model" in beyond.reason
        within = floor_of(votes)
        assert (within.verdict, within.margin) == ("within noise", 1.5)
        assert within.ratio.high < 1.5
        assert within.reason.endswith("below 1.5 times")
        assert advice(within) == advice(beyond) == ""

    def test_the_margin_decides_what_is_within(self):
        votes = votes_of(np.random.default_rng(3), 7, rows=20_000, noise=0.03)
        ratio = floor_of(votes).ratio
        assert floor_of(votes, margin=ratio.high * 1.001).verdict == "within noise"
        assert floor_of(votes, margin=ratio.high * 0.999).verdict == "inconclusive"

    def test_how_many_more_retrains_would_decide_is_the_least_that_would(self):
        rng = np.random.default_rng(4)
        votes = np.concatenate([votes_of(rng, 1, rows=4000, noise=noise) for noise in (0.1, 0.13, 0.09, 0.1, 0.11)])
        found = floor_of(votes, margin=1.4)
        assert found.verdict == "inconclusive"
        d = np.array([(votes[0] != v).mean() for v in votes[1:]])
        spread, of_rows = np.log(d[1:]).std(ddof=1), log_ratio_of_rows(votes, d)
        log_ratio = math.log(d[0] / d[1:].mean())

        def decides(k):
            half = max(stats.t.ppf(0.975, k - 1) * spread * math.sqrt(1 + 1 / k), Z * math.sqrt(of_rows))
            return log_ratio - half > 0 or log_ratio + half < math.log(1.4)

        assert 3 + found.more_retrains == next(k for k in range(3, 2000) if decides(k))
        assert f"about {found.more_retrains} more retrain" in found.reason
        assert advice(found) in found.reason

    def test_where_no_number_of_retrains_would_decide_others_are_asked_for(self):
        votes = votes_of(np.random.default_rng(4), 6)
        hopeless = floor_of(votes, margin=1.0001)
        assert (hopeless.verdict, hopeless.more_retrains) == ("inconclusive", None)
        assert hopeless.reason.endswith("cannot resolve this, retrains of the new recipe, or more rows, may")


@pytest.mark.parametrize("retrains", [4, 8])
def test_a_retrain_is_rarely_beyond_noise(retrains):
    rng = np.random.default_rng(5)
    beyond = within = 0
    for _ in range(300):
        votes = votes_of(rng, 2 + retrains, rows=200)
        changes = (votes[0] != votes[1:]).astype(float)
        found = noise_floor(
            Pairs(retrains, 0), changes.sum(axis=1), 200, lambda form, rows=changes: 200 * np.var(form @ rows, ddof=1),
            name="x", title="x", unit="fraction", level=0.95, margin=1.5, units=200,
        )  # fmt: skip
        beyond += found.verdict == "beyond noise"
        within += found.ratio.low <= 1 <= found.ratio.high
    assert beyond / 300 <= 0.05
    assert within / 300 >= 0.92


def test_negative_flips_have_a_floor_of_their_own():
    rng = np.random.default_rng(6)
    votes, y = votes_of(rng, 7), (np.arange(800) % 2)
    d = diff(votes[0], votes[1], floor=list(votes[2:]), label=y)
    floor = d.floors[1]
    lost = [((votes[0] == y) & (v != y)).mean() for v in votes[1:]]
    assert floor.name == "negative_flips"
    assert_allclose([floor.value, *floor.each], lost)
    both = diff(votes[0], votes[1], floor=list(votes[2:4]), new_floor=list(votes[4:]), label=y).floors[1]
    olds, news = [0, 2, 3], [1, 4, 5, 6]
    right = votes == y
    assert_allclose(both.value, np.mean([(right[a] & ~right[b]).mean() for a in olds for b in news]))
    assert_allclose(both.within_old, np.mean([(right[a] != right[b]).mean() / 2 for a, b in combinations(olds, 2)]))


def test_partly_labelled_rows_count_for_the_floor_of_negative_flips(write):
    votes = votes_of(np.random.default_rng(6), 6, rows=200)
    y = np.where(np.arange(200) % 2, np.arange(200) % 4 // 2, np.nan)
    paths = write(votes, y)
    d = diff(paths[0], paths[1], floor=paths[2:])
    known = ~np.isnan(y)
    lost = ((votes[0] == y) & (votes[1] != y))[known].mean()
    assert_allclose(d.floors[1].value, lost)
    assert d.floors[1].ratio.examples == 100


def test_regression_has_a_floor_of_differences():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 300))
    found = diff(x[0], x[1], floor=list(x[2:]), regression=True).floor
    d = np.abs(x[0] - x[1:]).mean(axis=1)
    rows = np.abs(x[0] - x[1:])
    z = rows[0] / d[0] - rows[1:].mean(axis=0) / d[1:].mean()
    half = log_ratio_half(d, z.var(ddof=1) / 300)
    assert found.unit == "number"
    assert_allclose([found.value, found.floor, found.ratio.high], [d[0], d[1:].mean(), d[0] / d[1:].mean() * math.exp(half)])


@pytest.mark.parametrize("kind", ["decisions", "swapped"])
def test_operating_points_have_a_floor(draw, kind):
    probs, _ = draw(7, 500, 2)
    scores = probs[:, :, 1]
    d = diff(probs[0], probs[1], floor=list(probs[2:]), thresholds=[0.6], top_k=[50])
    if kind == "decisions":
        floor, said = d.decisions[0].floor, scores >= 0.6
        changes = [(said[0] != s).mean() for s in said[1:]]
    else:
        floor = d.swap_sets[0].floor
        tops = [set(np.argsort(-s, kind="stable")[:50].tolist()) for s in scores]
        changes = [len(t - tops[0]) / 50 for t in tops[1:]]
    assert_allclose([floor.value, *floor.each], changes)
    assert math.isfinite(floor.ratio.high)


def test_pairs_name_what_is_summed():
    one = Pairs(2, 0)
    assert one.pairs == [(0, 1), (0, 2), (0, 3)]
    both = Pairs(1, 1)
    assert (both.olds, both.news) == ([0, 2], [1, 3])
    assert both.pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert both.within(0, 2)
    assert not both.within(1, 2)
    assert_allclose(both.cross(both.olds, both.news), [0.25, 0, 0.25, 0.25, 0, 0.25])
    assert_allclose(both.floor(both.olds, both.news), [0, 0.5, 0, 0, 0.5, 0])


def test_new_floor_without_floor_is_refused():
    votes = votes_of(np.random.default_rng(0), 3)
    with pytest.raises(BadInput, match="new_floor needs floor"):
        diff(votes[0], votes[1], new_floor=[votes[2]])
