import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import diff
from traintwice.errors import BadInput


def votes_of(rng, models, rows=800, noise=0.1):
    """Predicted labels of models that flip each of ``rows`` binary labels with probability ``noise``, independently."""
    return ((rng.random((models, rows)) < noise) ^ (np.arange(rows) % 2).astype(bool)).astype(int)


def test_excess_by_its_definition():
    votes = votes_of(np.random.default_rng(0), 6)
    floor = diff(votes[0], votes[1], floor=list(votes[2:])).floor
    d = np.array([(votes[0] != v).mean() for v in votes[1:]])
    rows = (votes[0] != votes[1]) - np.mean([votes[0] != v for v in votes[2:]], axis=0)
    of_models = d[1:].var(ddof=1) * (1 + 1 / 4)
    of_rows = rows.var(ddof=1) / 800
    freedom = (of_models + of_rows) ** 2 / (of_models**2 / 3 + of_rows**2 / 799)
    assert_allclose([floor.churn, floor.floor, floor.excess.value], [d[0], d[1:].mean(), d[0] - d[1:].mean()])
    assert_allclose(floor.each, d[1:])
    assert_allclose(floor.excess.standard_error, math.sqrt(of_models + of_rows))
    assert_allclose(floor.excess.high, floor.excess.value + stats.t.ppf(0.975, freedom) * math.sqrt(of_models + of_rows))


def test_excess_with_retrains_of_both_by_its_definition():
    votes = votes_of(np.random.default_rng(1), 7)
    olds, news = [0, 2, 3, 4], [1, 5, 6]
    floor = diff(votes[0], votes[1], floor=list(votes[2:5]), new_floor=list(votes[5:])).floor

    def rows(olds, news):
        def mean(pairs):
            return np.mean([votes[a] != votes[b] for a, b in pairs], axis=0)

        within = [mean([(a, b) for a in group for b in group if a < b]) for group in (olds, news)]
        return mean([(a, b) for a in olds for b in news]) - (within[0] + within[1]) / 2

    drops = [
        [rows([m for m in olds if m != a], news).mean() for a in olds],
        [rows(olds, [m for m in news if m != b]).mean() for b in news],
    ]
    of_models = sum((len(d) - 1) / len(d) * np.sum((np.array(d) - np.mean(d)) ** 2) for d in drops)
    of_rows = rows(olds, news).var(ddof=1) / 800
    assert_allclose(floor.excess.value, rows(olds, news).mean())
    assert_allclose(floor.excess.standard_error, math.sqrt(of_models + of_rows))
    assert_allclose(floor.churn - floor.floor, floor.excess.value)
    assert_allclose(floor.floor, (floor.within_old + floor.within_new) / 2)


def test_few_retrains_cannot_tell_and_say_how_many_would():
    votes = votes_of(np.random.default_rng(2), 4)
    one = diff(votes[0], votes[1], floor=[votes[2]]).floor
    assert (one.verdict, one.more_retrains) == ("cannot tell", 3)
    assert math.isnan(one.excess.low)
    assert "1 retrain shows no spread" in one.reason
    two = diff(votes[0], votes[1], floor=list(votes[2:]), margin=1e-6).floor
    assert two.verdict == "cannot tell"
    assert two.excess.degrees_of_freedom < 30
    pair = diff(votes[0], votes[1], floor=[votes[2]], new_floor=[votes[3]]).floor
    assert (pair.verdict, pair.more_retrains) == ("cannot tell", 3)


def test_a_new_recipe_is_beyond_noise_and_a_retrain_is_not():
    rng = np.random.default_rng(3)
    votes = votes_of(rng, 7, rows=20_000, noise=0.03)
    changed = votes[1] ^ (rng.random(20_000) < 0.1)
    beyond = diff(votes[0], changed, floor=list(votes[2:])).floor
    assert beyond.verdict == "beyond noise"
    assert beyond.reason.startswith("beyond noise: churn is ")
    assert beyond.more_retrains == 0
    within = diff(votes[0], votes[1], floor=list(votes[2:])).floor
    assert within.verdict == "within noise"
    assert within.excess.high <= within.margin == within.floor / 2


def test_how_many_more_retrains_would_tell_is_the_least_that_would():
    rng = np.random.default_rng(4)
    votes = np.concatenate([votes_of(rng, 1, noise=noise) for noise in (0.1, 0.1, 0.05, 0.1, 0.2)])
    e = diff(votes[0], votes[1], floor=list(votes[2:])).floor.excess
    margin = e.value + 0.7 * e.half_width
    few = diff(votes[0], votes[1], floor=list(votes[2:]), margin=margin).floor
    assert few.verdict == "cannot tell"
    assert f"about {few.more_retrains} more retrain" in few.reason
    spread = np.var([(votes[0] != v).mean() for v in votes[2:]], ddof=1)
    rows = (votes[0] != votes[1]) - np.mean([votes[0] != v for v in votes[2:]], axis=0)
    of_rows = rows.var(ddof=1) / 800

    def upper(k):
        of_models = spread * (1 + 1 / k)
        freedom = (of_models + of_rows) ** 2 / (of_models**2 / (k - 1) + of_rows**2 / 799)
        return e.value + stats.t.ppf(0.975, freedom) * math.sqrt(of_models + of_rows)

    assert upper(3 + few.more_retrains) <= margin < upper(3 + few.more_retrains - 1)


def test_where_no_number_of_retrains_would_tell_others_are_asked_for():
    votes = votes_of(np.random.default_rng(4), 6)
    hopeless = diff(votes[0], votes[1], floor=list(votes[2:]), margin=0.0).floor
    assert (hopeless.verdict, hopeless.more_retrains) == ("cannot tell", None)
    assert "retrains of the new recipe might" in hopeless.reason


@pytest.mark.parametrize("retrains", [4, 8])
def test_covers_no_excess_about_as_often_as_it_says(retrains):
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(300):
        votes = votes_of(rng, 2 + retrains, rows=300)
        e = diff(votes[0], votes[1], floor=list(votes[2:]), moved=0).floor.excess
        hits += e.low <= 0 <= e.high
    assert 0.92 <= hits / 300 <= 1.0


def test_new_floor_without_floor_is_refused():
    votes = votes_of(np.random.default_rng(0), 3)
    with pytest.raises(BadInput, match="new_floor needs floor"):
        diff(votes[0], votes[1], new_floor=[votes[2]])
