"""The replicas of several recipes against the model in service: churn and negative flips, and what retraining alone causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice._names import entry
from traintwice._typed import typed
from traintwice.compare._estimates import Difference, compare_with_baseline, interval
from traintwice.compare._floor import LEAST, MARGIN, Pairs, noise_floor
from traintwice.compare._inputs import check_level
from traintwice.compare._parts import NoiseFloor
from traintwice.compare._results import REPLICAS
from traintwice.compare._shown import Shown
from traintwice.errors import BadInput
from traintwice.metrics import Measurement
from traintwice.metrics._definition import leave_one_out, to_numpy
from traintwice.metrics._means import MeanOf
from traintwice.metrics._summaries import sums_of
from traintwice.predictions import Predictions
from traintwice.types import Estimate

CHURN = MeanOf("churn_against_served", "churn against served")
FLIPS = MeanOf("negative_flips", "negative flips", needs_labels=True)


@dataclass(frozen=True)
class RecipeAgainst:
    """A recipe against the model in service.

    Attributes:
        recipe: its name.
        replicas: M.
        accuracy: of its replicas; None without labels.
        churn: share of rows whose answer differs from the model in service, mean over replicas.
        negative_flips: share of rows that the model in service answers right and a replica wrong; None without labels.
        floor: churn between the recipe's own replicas; None for one replica.
        noise: churn against the model in service over that floor, with its verdict; None below three replicas.
        change: churn against the model in service minus that of the baseline; None for the baseline and for fewer than two
            replicas in common.
    """

    recipe: str
    replicas: int
    accuracy: Estimate | None
    churn: Estimate
    negative_flips: Estimate | None
    floor: Estimate | None
    noise: NoiseFloor | None
    change: Difference | None


@dataclass(frozen=True, repr=False)
class Against(Shown):
    """Every recipe against the model in service. Made by `Results.against` and `Replication.against`.

    Attributes:
        served: name of its predictions.
        rows: number of rows compared.
        accuracy: of the model in service; None without labels.
        recipes: in their order; the first is the baseline.
        level: of the intervals.
    """

    served: str
    rows: int
    accuracy: float | None
    recipes: tuple[RecipeAgainst, ...]
    level: float

    def __getitem__(self, recipe: str) -> RecipeAgainst:
        return entry("recipe", recipe, {one.recipe: one for one in self.recipes})


@typed
def compare_with_served(
    served: str,
    answers: np.ndarray,
    recipes: Mapping[str, tuple[Predictions, tuple[int, ...]]],
    *,
    level: float = 0.95,
    margin: float = MARGIN,
) -> Against:
    r"""Compare the replicas of every recipe with one model in service, on the same rows.

        churn = mean_n mean_m [ŷ_mn ≠ s_n];   negative flips = mean_n mean_m [s_n = y_n ≠ ŷ_mn];   ratio = churn / floor

    Args:
        served: name of the predictions of the model in service.
        answers: its answers s, classes ``N``.
        recipes: name to the predictions of its replicas, and the numbers of the replicas, by which recipes are paired.
        level: nominal coverage of the intervals; one minus it is the level of the comparisons, Holm-adjusted over the recipes.
        margin: the smallest ratio to the floor that matters.
    Returns:
        Fractions in [0, 1]; 0.05 means that one row in twenty is answered otherwise. Intervals are over new replicas and new rows, given
        this model in service.
    Raises:
        BadInput: no recipe, or options out of range.
    Source:
        docs/concepts/definitions.md, "Noise floor", with the roles exchanged. Ours: were the model in service one more replica of
        the recipe, its mean churn against the replicas, and that of each replica against the others, would be exchangeable.
    """
    check_level(level)
    if not recipes or margin <= 1:
        raise BadInput(
            f"against: got {len(recipes)} recipes and margin {margin}, expected at least one recipe and a ratio above 1"
        )
    (_, base), *others = recipes.items()
    common = {name: [m for m in base[1] if m in found[1]] for name, found in others}
    pairs = {
        name: (_churn(*recipes[name], answers, chosen), _churn(*base, answers, chosen))
        for name, chosen in common.items()
        if len(chosen) >= 2
    }
    changes = dict(zip(pairs, compare_with_baseline(list(pairs.values()), level=level), strict=True))
    rows = tuple(_one(name, p, answers, changes.get(name), level, margin) for name, (p, _) in recipes.items())
    accuracy = float(np.mean(to_numpy(base[0].known.labels) == answers)) if base[0].has_labels else None
    return Against(served, len(answers), accuracy, rows, level)


def mean_of(definition: MeanOf, contributions: np.ndarray, predictions: Predictions) -> Measurement:
    """The mean of contributions ``M N`` over replicas and examples."""
    rows, means = contributions.mean(axis=1), contributions.mean(axis=0)
    value = float(rows.mean())
    return definition.of_influence(value, rows, leave_one_out("replica", value, rows), means - value, predictions)


def _churn(p: Predictions, numbers: tuple[int, ...], answers: np.ndarray, chosen: Sequence[int]) -> Measurement:
    """Churn against the model in service of the replicas of these numbers."""
    return mean_of(CHURN, to_numpy(p.votes)[[numbers.index(m) for m in chosen]] != answers, p)


def _one(
    recipe: str, p: Predictions, answers: np.ndarray, change: Difference | None, level: float, margin: float
) -> RecipeAgainst:
    churn, accuracy, flips = mean_of(CHURN, to_numpy(p.votes) != answers, p), None, None
    if p.has_labels:
        labels = to_numpy(p.known.labels)
        accuracy = interval(metrics.accuracy.definition.measure(p), level=level)
        flips = interval(mean_of(FLIPS, (answers == labels) & (to_numpy(p.votes) != labels), p), level=level)
    floor = interval(metrics.churn.definition.measure(p), level=level) if p.replicas > 1 else None
    noise = _noise(p, answers, level, margin) if p.replicas >= LEAST else None
    return RecipeAgainst(recipe, p.replicas, accuracy, interval(churn, level=level), flips, floor, noise, change)


def _noise(p: Predictions, answers: np.ndarray, level: float, margin: float) -> NoiseFloor:
    """Churn against the model in service, over that of each replica against the others."""
    votes, m = to_numpy(p.votes), p.replicas
    parts = [(votes != answers).mean(axis=0)]
    parts += [(votes != own).sum(axis=0) / (m - 1) for own in votes]
    by_row = np.stack(parts, axis=1)
    n, clusters = len(by_row), None if p.clusters is None else to_numpy(p.clusters)
    sums = sums_of(by_row.T, None, clusters)

    def variance_of(gradient: np.ndarray) -> float:
        return float(sums.variance(np.array([-(by_row @ gradient).mean(), *gradient]))[0])

    copies = sum(bool((votes[:i] == own).all(axis=1).any()) for i, own in enumerate(votes))
    said = f"{copies} of {m} replicas repeat another" if copies else None
    return noise_floor(
        Pairs(m, 0), by_row.sum(axis=0), n, variance_of, name="churn", title="churn against the served model", unit="fraction",
        level=level, margin=margin, units=int(sums.units[0]), clustered=clusters is not None,
        identical=said, words=REPLICAS,
    )  # fmt: skip
