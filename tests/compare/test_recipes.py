import math
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice import metrics
from traintwice.compare import compare_recipes, compare_with_baseline, compare_with_served, interval, replica_variance
from traintwice.compare._recipes import holm_adjusted
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.predictions import Predictions


def t_of(freedom):
    return stats.t.ppf(0.975, freedom)


@pytest.mark.parametrize("kind", ["plain", "weighted", "clustered"])
def test_unpaired_adds_the_replica_parts(draw, kind):
    (a, y), (b, _) = draw(5, 300, 3), draw(7, 300, 3, seed=1)
    rng = np.random.default_rng(0)
    w = rng.random(300) + 0.5 if kind == "weighted" else None
    clusters = rng.integers(0, 40, 300) if kind == "clustered" else None
    names = ["churn", "accuracy", "churn_to_error", "surrogate_churn"]
    c = compare_recipes(a, b, label=y, weight=w, cluster=clusters, which=names)
    for name in names:
        first, second = (getattr(metrics, name).measure(Predictions(p, y, w, clusters=clusters)) for p in (a, b))
        z = second.influence - first.influence
        exactly = 300 if clusters is None else len(np.unique(clusters))
        exactly = exactly if w is None else w.sum() ** 2 / np.sum(w**2)
        units, totals = int(exactly), z if clusters is None else np.bincount(clusters, z)
        of_examples = exactly / (exactly - 1) * np.sum(totals**2) / 300**2
        parts = [(replica_variance(first), 4), (replica_variance(second), 6), (of_examples, units - 1)]
        found = c[name].difference
        half = math.sqrt(sum(t_of(df) ** 2 * v for v, df in parts))
        value = second.value - first.value
        assert_allclose([found.estimate.value, found.estimate.low, found.estimate.high], [value, value - half, value + half])
        assert_allclose(found.estimate.standard_error, math.sqrt(sum(v for v, _ in parts)))
        of_each = [
            2 * stats.t.sf(abs(value) / math.sqrt(parts[0][0] + parts[1][0]), 4),
            2 * stats.t.sf(abs(value) / math.sqrt(of_examples), units - 1),
        ]
        assert_allclose(found.p_value, max(of_each))
        assert_allclose(c[name].first.high, interval(first).high, rtol=1e-6)
    assert c.sentence == c["churn"].sentence
    assert c.replicas == (5, 7)


def test_no_bound_leaves_the_range_of_a_measure(draw):
    (a, y), (b, _) = draw(3, 2, 2), draw(3, 2, 2, seed=1)
    most = {"pairwise_l1": 2, "squared_l2": 2, "brier": 2, "delta_1": 2, "relative_pairwise": 2, "jensen_shannon": math.log(2)}
    most |= {"viable_range": 1, "percentile_width": 1}
    c = compare_recipes(a, b, label=y, which=list(most))
    for name, largest in most.items():
        found = c[name]
        assert 0 <= found.first.low <= found.first.high <= largest
        assert -largest <= found.difference.estimate.low <= found.difference.estimate.high <= largest
    assert c["pairwise_l1"].difference.estimate.low == -2  # of two rows


def test_paired_is_what_the_study_does(draw):
    (a, y), (b, _) = draw(5, 300, 3), draw(5, 300, 3, seed=1)
    for name in ("churn", "log_loss", "churn_to_error"):
        metric = getattr(metrics, name)
        found = compare_recipes(a, b, label=y, paired=True, which=[name])[name].difference
        (expected,) = compare_with_baseline([(metric.measure(Predictions(b, y)), metric.measure(Predictions(a, y)))])
        assert_allclose(
            [found.estimate.value, found.estimate.low, found.p_value],
            [expected.estimate.value, expected.estimate.low, expected.p_value],
        )
        assert found.more_replicas == expected.more_replicas


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("replicas", [2, 3])
def test_two_replicas_of_equal_accuracy_make_no_difference_significant(replicas, paired):
    """Their accuracy shows no variance from one replica to another."""
    few, many = (np.stack([np.roll(np.arange(40) < k, m) for m in range(replicas)]).astype(int) for k in (1, 20))
    found = compare_recipes(few, many, label=np.zeros(40, int), paired=paired)["accuracy"].difference
    assert (found.significant, found.more_replicas) == (replicas > 2, 3 - replicas)


def test_sentences_say_which_way(draw):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 4000)

    def votes(noise):
        return np.where(rng.random((6, 4000)) < noise, rng.integers(0, 5, (6, 4000)), truth)

    noisy, steady = votes(0.1), votes(0.02)
    found = compare_recipes(noisy, steady, label=truth)
    said = found.sentence
    assert found["accuracy"].sentence.startswith("accuracy of recipe B is ")
    assert " pp higher than of A (" in found["accuracy"].sentence
    assert said.startswith("recipe B churns ")
    assert " pp less than A (95 % interval " in said
    assert said.endswith("; 6 replicas each, 4,000 rows)")
    assert "more than old (95 % interval" in compare_recipes(steady, noisy, names=("old", "new")).sentence
    assert "inconclusive" in compare_recipes(noisy[:3], noisy[3:]).sentence


def test_files_give_what_arrays_give(draw, write):
    (a, y), (b, _) = draw(3, 200, 3), draw(4, 200, 3, seed=1)
    paths = write([*a, *b], y)
    of_files, of_arrays = compare_recipes(paths[:3], paths[3:]), compare_recipes(a, b, label=y)
    for name in ("churn", "log_loss"):
        x, z = of_files[name].difference.estimate, of_arrays[name].difference.estimate
        assert_allclose([x.value, x.low], [z.value, z.low])


def test_two_replicas_have_an_interval_over_rows_only(draw):
    (a, _), (b, _) = draw(2, 100, 3), draw(2, 100, 3, seed=1)
    found = compare_recipes(a, b)
    assert found["churn"].difference.estimate.target == "examples"
    assert found.left_out["accuracy"] == "needs labels"


def test_refusals(draw):
    probs, _ = draw(4, 50, 3)
    with pytest.raises(TooFewReplicas, match="recipe A: got 1 replica"):
        compare_recipes(probs[:1], probs)
    with pytest.raises(BadInput, match="paired: got 3 replicas of A and 4 of B"):
        compare_recipes(probs[:3], probs, paired=True)
    with pytest.raises(BadInput, match="needs all examples together"):
        compare_recipes(probs, probs, which=["fleiss_kappa"])


def test_copies_are_named_and_blocks_add(draw, monkeypatch):
    (a, y), (b, _) = draw(4, 300, 3), draw(4, 300, 3, seed=1)
    b[2] = b[0]
    whole = compare_recipes(a, b, label=y, names=("old", "new"))
    assert whole.identical == (("new 1", "new 3"),)
    monkeypatch.setattr("traintwice.predictions._predictions.BLOCK_ELEMENTS", 97)
    parts = compare_recipes(a, b, label=y, names=("old", "new"))
    for x, z in zip(whole.measures, parts.measures, strict=True):
        assert_allclose([x.difference.estimate.high, x.difference.p_value], [z.difference.estimate.high, z.difference.p_value])


def test_what_has_no_value_is_a_key_error_with_its_reason(draw):
    found = compare_recipes(draw(3, 50, 3)[0], draw(3, 50, 3, seed=1)[0])
    with pytest.raises(KeyError, match="accuracy: needs labels"):
        found["accuracy"]
    with pytest.raises(KeyError, match=r"no measure named 'chrun'\. Did you mean 'churn'"):
        found["chrun"]


def test_the_same_recipe_twice_is_rarely_significant():
    rng = np.random.default_rng(0)
    claims = 0
    for _ in range(80):
        votes = (rng.random((8, 300)) < 0.2).astype(int)
        claims += compare_recipes(votes[:4], votes[4:], which=["churn"])["churn"].difference.significant
    assert claims / 80 <= 0.05


def test_p_values_of_several_recipes_are_holm_adjusted(draw):
    base, y = draw(5, 300, 3)
    comparisons = [compare_recipes(base, draw(5, 300, 3, seed=seed)[0], label=y, paired=True) for seed in (1, 2, 3)]
    adjusted = holm_adjusted(comparisons)
    for name in ("churn", "accuracy"):
        p = np.array([c[name].difference.p_value for c in comparisons])
        order = np.argsort(p)
        expected = np.empty(3)
        expected[order] = np.minimum(np.maximum.accumulate(p[order] * [3, 2, 1]), 1)
        assert_allclose([c[name].difference.adjusted for c in adjusted], expected)
        assert [c[name].difference.estimate for c in adjusted] == [c[name].difference.estimate for c in comparisons]
    (alone,) = holm_adjusted(comparisons[:1])
    assert alone == comparisons[0]


N, M = 400, 6


def votes_of(rng, flip, truth):
    """Replicas that answer a share of the rows with another class."""
    wrong = rng.random((M, N)) < flip
    return np.where(wrong, (truth + rng.integers(1, 3, size=(M, N))) % 3, truth)


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=N)
    plain, calm = votes_of(rng, 0.2, truth), votes_of(rng, 0.05, truth)
    served = np.where(rng.random(N) < 0.2, (truth + 1) % 3, truth)
    numbers = tuple(range(M))
    recipes = {
        "base": (Predictions(plain, truth), numbers),
        "calm": (Predictions(calm, truth), numbers),
        "few": (Predictions(plain[:2], truth), (0, 1)),
    }
    return truth, served, recipes, compare_with_served("served.parquet", served, recipes)


@pytest.mark.parametrize("name", ["base", "calm", "few"])
def test_values_are_those_of_loops(world, name):
    truth, served, recipes, found = world
    votes = recipes[name][0].votes
    changed = [float(np.mean([v != s for v, s in zip(own, served, strict=True)])) for own in votes]
    flips = [np.mean([s == y != v for v, s, y in zip(own, served, truth, strict=True)]) for own in votes]
    apart = [np.mean(a != b) for a, b in combinations(votes, 2)]
    row = found[name]
    assert row.churn.value == pytest.approx(np.mean(changed))
    assert row.negative_flips.value == pytest.approx(np.mean(flips))
    assert row.floor.value == pytest.approx(np.mean(apart))
    assert row.accuracy.value == pytest.approx(np.mean(votes == truth))
    assert row.churn.low < row.churn.value < row.churn.high
    if name != "few":
        assert row.noise.ratio.value == pytest.approx(np.mean(changed) / np.mean(apart))
        of_each = [np.mean([np.mean(votes[i] != votes[j]) for j in range(M) if j != i]) for i in range(M)]
        assert row.noise.each == pytest.approx((*of_each,))
    else:
        assert row.noise is None


def test_verdicts_and_differences(world):
    *_, found = world
    assert found["base"].noise.verdict == "within noise"  # served is like one more replica
    assert found["calm"].noise.verdict == "beyond noise"
    assert found["calm"].change.significant
    assert found["calm"].change.estimate.value == pytest.approx(found["calm"].churn.value - found["base"].churn.value)
    assert found["few"].change.estimate.value == 0
    text = " ".join(str(found).split())
    assert "More than retraining causes" in text
    assert "calm − base" in text
    assert found.to_dict()["recipes"][1]["noise"]["verdict"] == "beyond noise"


def test_a_model_like_one_more_replica_is_rarely_beyond_noise():
    rng, beyond = np.random.default_rng(1), 0
    for _ in range(100):
        hard = rng.beta(0.3, 1.5, size=200)
        votes = (rng.random((6, 200)) < hard).astype(int)
        found = compare_with_served("served", votes[0], {"base": (Predictions(votes[1:]), tuple(range(5)))})
        beyond += found["base"].noise.verdict == "beyond noise"
    assert beyond <= 6


def test_copies_get_no_verdict():
    votes = np.random.default_rng(0).integers(2, size=(1, 50)).repeat(3, axis=0)
    found = compare_with_served("served", 1 - votes[0], {"base": (Predictions(votes), (0, 1, 2))})
    assert found["base"].noise.verdict == "inconclusive"
    assert "replicas repeat another" in found["base"].noise.reason


def test_options_are_checked(world):
    _, served, recipes, _ = world
    with pytest.raises(BadInput, match="margin 1"):
        compare_with_served("served", served, recipes, margin=1.0)
