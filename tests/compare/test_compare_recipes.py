import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice import metrics
from traintwice.compare import compare_recipes, compare_with_baseline, interval, replica_variance
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.predictions import Predictions


def test_unpaired_adds_the_replica_parts(draw):
    (a, y), (b, _) = draw(5, 300, 3), draw(7, 300, 3, seed=1)
    c = compare_recipes(a, b, label=y, which=["churn", "accuracy", "churn_to_error", "surrogate_churn"])
    for name in ("churn", "accuracy", "churn_to_error", "surrogate_churn"):
        first, second = (getattr(metrics, name).measure(Predictions(p, y)) for p in (a, b))
        z = second.influence - first.influence
        parts = [(replica_variance(first), 4), (replica_variance(second), 6), (z.var(ddof=1) / 300, 299)]
        found = c[name].difference.estimate
        assert_allclose(found.value, second.value - first.value)
        assert_allclose(found.standard_error, math.sqrt(sum(v for v, _ in parts)))
        assert_allclose(found.degrees_of_freedom, sum(v for v, _ in parts) ** 2 / sum(v**2 / d for v, d in parts))
        assert_allclose(c[name].first.high, interval(first).high)
    assert c.sentence == c["churn"].sentence
    assert c.replicas == (5, 7)


def test_paired_is_what_the_study_does(draw):
    (a, y), (b, _) = draw(5, 300, 3), draw(5, 300, 3, seed=1)
    found = compare_recipes(a, b, label=y, paired=True)["churn"].difference
    (expected,) = compare_with_baseline([(metrics.churn.measure(b), metrics.churn.measure(a))])
    assert_allclose(
        [found.estimate.value, found.estimate.low, found.p_value],
        [expected.estimate.value, expected.estimate.low, expected.p_value],
    )
    assert found.more_replicas == expected.more_replicas


def test_sentences_say_which_way(draw):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 4000)

    def votes(noise):
        return np.where(rng.random((6, 4000)) < noise, rng.integers(0, 5, (6, 4000)), truth)

    noisy, steady = votes(0.1), votes(0.02)
    said = compare_recipes(noisy, steady).sentence
    assert said.startswith("recipe B churns ")
    assert "points less than A (95 % interval " in said
    assert said.endswith("; 6 replicas each, 4,000 rows)")
    assert "more than old (95 % interval" in compare_recipes(steady, noisy, names=("old", "new")).sentence
    assert "not settled" in compare_recipes(noisy[:3], noisy[3:]).sentence


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
    with pytest.raises(BadInput, match="needs all rows together"):
        compare_recipes(probs, probs, which=["fleiss_kappa"])
