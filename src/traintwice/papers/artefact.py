"""A table or figure of a paper as something that can be run: studies, grids to choose from first, and the paper's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from traintwice.data import Source, is_here
from traintwice.errors import BadSpec, unknown
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Results

if TYPE_CHECKING:
    from traintwice.papers.beside import BesideTable
    from traintwice.report.style import Figure

Scale: TypeAlias = Literal["paper", "small"]
"""``paper``: the printed settings in full. ``small``: the same shape on data and networks that two cores train within an hour."""

SCALES: tuple[Scale, ...] = ("small", "paper")

Chosen: TypeAlias = Mapping[str, float]
"""Row to the value of its weight that was chosen."""

Printed: TypeAlias = Mapping[str, Mapping[str, str]]
"""Row to column to the number as the paper prints it."""


@dataclass(frozen=True)
class Grid:
    """Values of one row's weight to choose from.

    Args:
        row: which row of the part takes the value.
        symbol: of the weight: α or β.
        values: to try.
        make: recipe with a value, given what earlier stages chose.
    """

    row: str
    symbol: str
    values: tuple[float, ...]
    make: Callable[[float, Chosen], Recipe]


@dataclass(frozen=True)
class Part:
    """One data set of a table.

    Args:
        name: short, for the study's name and ``--part``.
        heading: what the table calls it: data and network.
        data: the data set.
        rows: recipe by the name of its row, given the chosen values; the first is the baseline.
        stages: grids to choose from before; those of one stage together, a later stage knows what the earlier ones chose.
        replicas: M of the table that is reported.
        printed: the paper's numbers.
        printed_for: whose numbers they are, where the data set is another: "CIFAR-10, ResNet-56".
        weights: of rows, where they are given and not chosen.
        optional: left out where its files are not on this machine, unless it is asked for by name.
    """

    name: str
    heading: str
    data: Source
    rows: Callable[[Chosen], dict[str, Recipe]]
    stages: tuple[tuple[Grid, ...], ...] = ()
    replicas: int = 10
    printed: Printed = field(default_factory=dict)
    printed_for: str = ""
    weights: Chosen = field(default_factory=dict)
    optional: bool = False

    @property
    def missing(self) -> bool:
        """Optional, and not on this machine."""
        return self.optional and not is_here(self.data)


@dataclass(frozen=True)
class PartResults:
    """A part that was run.

    Attributes:
        part, results, chosen: what, what came out, and the weights.
        costly: rows of whose grids no value keeps the accuracy.
    """

    part: Part
    results: Results
    chosen: Chosen
    costly: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artefact:
    """A table or figure.

    Args:
        name: on the command line, such as "churn.table2".
        title: what it shows.
        parts: the data sets at a scale.
        tables: its tables from what came out.
        figures: its charts from what came out.
    """

    name: str
    title: str
    parts: Callable[[Scale], tuple[Part, ...]]
    tables: Callable[[tuple[PartResults, ...]], tuple[BesideTable, ...]]
    figures: Callable[[tuple[PartResults, ...]], tuple[Figure, ...]] | None = None

    def chosen_parts(self, scale: Scale, names: tuple[str, ...] = ()) -> tuple[Part, ...]:
        """The parts of a scale, or those named. Left out of all: those that are optional and whose files are not on this machine.

        Raises:
            UnknownName: no part of that name. BadSpec: no such scale.
        """
        parts = self.parts(scale_of(scale))
        known = {part.name: part for part in parts}
        for name in names:
            if name not in known:
                raise unknown("part", name, known, hint=f"(of {self.name} at scale {scale})")
        if names:
            return tuple(known[name] for name in names)
        return tuple(part for part in parts if not part.missing)

    def left_out(self, scale: Scale, names: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A sentence for each part that is left out where these are named."""
        return tuple(
            f"{part.heading} is left out: its files are not on this machine (traintwice fetch {type(part.data).__name__})."
            for part in self.parts(scale)
            if part.missing and not names
        )


def scale_of(name: str) -> Scale:
    """The scale of a name.

    Raises:
        BadSpec: no such scale.
    """
    for scale in SCALES:
        if scale == name:
            return scale
    raise BadSpec(f"--scale: got {name!r}, expected one of {', '.join(map(repr, SCALES))}")


def study_of(
    artefact: Artefact, part: Part, scale: Scale, chosen: Chosen, *, replicas: int | None = None, seed: int = 0
) -> Experiment:
    """The study that a part reports."""
    name = f"{artefact.name}-{scale}-{part.name}"
    return Experiment(name, part.data, part.rows(chosen), replicas=replicas or part.replicas, seed=seed)
