"""Running a table or figure: choose weights where the paper does, train what is reported, and tabulate it with the paper's numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from traintwice import metrics
from traintwice.study import Experiment, Results, Store, run
from traintwice_reproduction.tables.artefact import Artefact, Chosen, Grid, Part, PartResults, Scale
from traintwice_reproduction.tables.side_by_side import PaperTable

Train: TypeAlias = Callable[[Experiment], Results]

OTHER_SEED = 1_000_003
"""Added to the seed of a study for choices: replicas that choose a weight share no random stream with the reported replicas."""

CHOICE_REPLICAS = 5
"""M of a choice."""

ALLOWED_LOSS = 0.01
"""Accuracy below the baseline's that a chosen value may have: a constant classifier has no churn."""


@dataclass(frozen=True)
class Reproduced:
    """A table or figure that was run.

    Attributes:
        artefact, scale: what was run.
        parts: results of each data set.
        left_out: a sentence for each part whose files are missing on this machine.
    """

    artefact: Artefact
    scale: Scale
    parts: tuple[PartResults, ...]
    left_out: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[PaperTable, ...]:
        """Our numbers with the paper's."""
        return tuple(replace(table, notes=(*table.notes, *self.left_out)) for table in self.artefact.tables(self.parts))


def reproduce(
    artefact: Artefact,
    *,
    scale: Scale = "small",
    parts: Sequence[str] = (),
    replicas: int | None = None,
    seed: int = 0,
    store: str | os.PathLike[str] | Store = "traintwice-runs",
    train: Train | None = None,
) -> Reproduced:
    """Train what a table or figure needs and the store does not have.

    Args:
        artefact: table or figure.
        scale: "small" or "paper".
        parts: data sets by name; empty for all except optional ones whose files are missing on this machine.
        replicas: M in place of the table's own.
        seed: of the reported studies; weights are chosen on another seed.
        store: directory of finished replicas.
        train: runs a study; `traintwice.study.run` by default.
    Returns:
        The results of all parts.
    """
    train = train or (lambda experiment: run(experiment, store=store))
    found = []
    for part in artefact.chosen_parts(scale, tuple(parts)):
        chosen: dict[str, float] = {}
        costly: tuple[str, ...] = ()
        for stage, grids in enumerate(part.stages):
            study = study_to_choose(artefact, part, scale, stage, chosen, replicas=replicas, seed=seed)
            values, without = choose(grids, train(study))
            chosen, costly = chosen | values, (*costly, *without)
        results = train(study_of(artefact, part, scale, chosen, replicas=replicas, seed=seed))
        found.append(PartResults(part, results, chosen, costly))
    return Reproduced(artefact, scale, tuple(found), artefact.left_out(scale, tuple(parts)))


def studies(artefact: Artefact, part: Part, scale: Scale, *, replicas: int | None = None, seed: int = 0) -> list[Experiment]:
    """All studies of a part, in order, with typical weights where a weight is chosen later."""
    choices = [study_to_choose(artefact, part, scale, i, {}, replicas=replicas, seed=seed) for i in range(len(part.stages))]
    return [*choices, study_of(artefact, part, scale, {}, replicas=replicas, seed=seed)]


def study_of(
    artefact: Artefact, part: Part, scale: Scale, chosen: Chosen, *, replicas: int | None = None, seed: int = 0
) -> Experiment:
    """The study that a part reports."""
    name = f"{artefact.name}-{scale}-{part.name}"
    return Experiment(name, part.data, part.rows(chosen), replicas=replicas or part.replicas, seed=seed)


def study_to_choose(
    artefact: Artefact, part: Part, scale: Scale, stage: int, chosen: Chosen, *, replicas: int | None = None, seed: int = 0
) -> Experiment:
    """The study that the weights of one stage are chosen from: the baseline and every value of every grid.

    Source: CH appendix A tries the same values and reports the smallest churn on the same runs. Ours: five other runs.
    """
    base, recipe = next(iter(part.rows(chosen).items()))
    rows = {base: recipe}
    for grid in part.stages[stage]:
        rows |= {row_of(grid, value): grid.make(value, chosen) for value in grid.values}
    name = f"{artefact.name}-{scale}-{part.name}-choice{stage + 1}"
    return Experiment(name, part.data, rows, replicas=min(replicas or CHOICE_REPLICAS, CHOICE_REPLICAS), seed=seed + OTHER_SEED)


def choose(grids: tuple[Grid, ...], results: Results) -> tuple[dict[str, float], tuple[str, ...]]:
    """The value of each grid with the least churn on the validation split, among values that cost at most one point of accuracy.

    Args:
        grids: of one stage.
        results: of `study_to_choose`.
    Returns:
        Row to value, and the rows where every value costs more accuracy or diverged. Their value is the smallest that was trained.
    Source:
        CH appendix A takes the smallest churn alone. Ours: the limit on accuracy, and the validation split.
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
    """Name of a value's row in `study_to_choose`."""
    return f"{grid.row}, {grid.symbol} = {value:g}"
