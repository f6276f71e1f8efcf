"""Recipes against the model in service, against the definitions as loops."""

from itertools import combinations

import numpy as np
import pytest

from traintwice.compare import compare_with_served
from traintwice.errors import BadInput
from traintwice.predictions import Predictions

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
