"""Choosing a weight from a grid, on other replicas and other examples than those that are reported."""

from __future__ import annotations

from traintwice import metrics
from traintwice.papers.artefact import Artefact, Chosen, Grid, Part, Scale
from traintwice.study import Experiment, Results

OTHER_SEED = 1_000_003
"""Added to the seed of a study: the replicas that a weight is chosen on share no stream with those that are reported."""

REPLICAS = 5
"""M of a choice."""

ALLOWED_LOSS = 0.01
"""Accuracy that a value may cost against the baseline and still be chosen: a constant classifier has no churn."""


def study_to_choose(
    artefact: Artefact, part: Part, scale: Scale, stage: int, chosen: Chosen, *, replicas: int | None = None, seed: int = 0
) -> Experiment:
    """The study that a stage of a part's grids is chosen from: the baseline and every value of every grid.

    Source: CH appendix A tries the same values and reports the smallest churn on the same runs. Ours: other runs, five of them.
    """
    base, recipe = next(iter(part.rows(chosen).items()))
    rows = {base: recipe}
    for grid in part.stages[stage]:
        rows |= {row_of(grid, value): grid.make(value, chosen) for value in grid.values}
    name = f"{artefact.name}-{scale}-{part.name}-choice{stage + 1}"
    return Experiment(name, part.data, rows, replicas=min(replicas or REPLICAS, REPLICAS), seed=seed + OTHER_SEED)


def choose(grids: tuple[Grid, ...], results: Results) -> tuple[dict[str, float], tuple[str, ...]]:
    """The value of each grid with the least churn on the validation split among those that cost at most a point of accuracy.

    Args:
        grids: of one stage.
        results: of `study_to_choose`.
    Returns:
        Row to value, and the rows all of whose values cost more accuracy, or diverged: theirs is the smallest value that was trained.
    Source:
        CH appendix A picks the smallest churn alone. Ours: the limit on accuracy, and the validation split.
    """

    def of(row: str, metric: metrics.Metric) -> float:
        return metric.definition.measure(results[row].validation).value

    floor = of(results.baseline.name, metrics.accuracy) - ALLOWED_LOSS
    found, costly = {}, []
    for grid in grids:
        trained = [v for v in grid.values if row_of(grid, v) in results.rows]
        good = [v for v in trained if of(row_of(grid, v), metrics.accuracy) >= floor]
        if good:
            found[grid.row] = min(good, key=lambda v, grid=grid: (of(row_of(grid, v), metrics.churn), v))  # type: ignore[misc]
        else:
            found[grid.row] = min(trained or grid.values)
            costly.append(grid.row)
    return found, tuple(costly)


def row_of(grid: Grid, value: float) -> str:
    """Name of a value's row in the study to choose from."""
    return f"{grid.row}, {grid.symbol} = {value:g}"
