"""Run a table or figure: choose weights where the paper did, train what is reported, put the paper's numbers beside ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from traintwice.papers.artefact import Artefact, Part, PartResults, Scale, study_of
from traintwice.papers.beside import BesideTable
from traintwice.papers.choosing import choose, study_to_choose
from traintwice.study import Experiment, Results, Store, run

Train: TypeAlias = Callable[[Experiment], Results]


@dataclass(frozen=True)
class Reproduced:
    """A table or figure that was run.

    Attributes:
        artefact, scale: which.
        parts: what came out of each data set.
        left_out: sentences about those whose files are not on this machine.
    """

    artefact: Artefact
    scale: Scale
    parts: tuple[PartResults, ...]
    left_out: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[BesideTable, ...]:
        """Ours with the paper's numbers beside."""
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
        artefact: which.
        scale: "small" or "paper".
        parts: data sets by name; empty for all, but for optional ones whose files are not on this machine.
        replicas: M, instead of the table's own.
        seed: of the studies; weights are chosen on another.
        store: directory of finished replicas.
        train: how a study is run; left out, by `traintwice.study.run`.
    Returns:
        What came out.
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
    """All studies of a part, with typical weights where one is still to be chosen: what to count before anything starts."""
    choices = [study_to_choose(artefact, part, scale, i, {}, replicas=replicas, seed=seed) for i in range(len(part.stages))]
    return [*choices, study_of(artefact, part, scale, {}, replicas=replicas, seed=seed)]
