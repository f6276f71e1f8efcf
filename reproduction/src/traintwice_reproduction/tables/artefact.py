"""A table or figure of a paper that can be run: its studies, grids of weights to choose from, and the paper's numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from traintwice.data import Source, is_here
from traintwice.errors import BadSpec, unknown
from traintwice.recipes import Recipe
from traintwice.study import Results

if TYPE_CHECKING:
    from traintwice.report._style import Figure
    from traintwice_reproduction.tables.side_by_side import PaperTable

Scale: TypeAlias = Literal["small", "paper", "extended"]
"""``small``: the same rows on data and networks that two cores train within an hour. ``paper``: the printed settings and grids.
``extended``: the printed settings with grids that have larger and smaller weights too."""

SCALES: tuple[Scale, ...] = ("small", "paper", "extended")

Chosen: TypeAlias = Mapping[str, float]
"""Row to the chosen value of its weight."""

Printed: TypeAlias = Mapping[str, Mapping[str, str]]
"""Row to column to number, as the paper prints it."""


@dataclass(frozen=True)
class Grid:
    """Values to choose the weight of one row from.

    Args:
        row: row of the part that takes the value.
        symbol: of the weight: α or β.
        values: that are tried.
        make: recipe of a value and the choices of earlier stages.
    """

    row: str
    symbol: str
    values: tuple[float, ...]
    make: Callable[[float, Chosen], Recipe]


@dataclass(frozen=True)
class Part:
    """One data set of a table.

    Args:
        name: short, for the name of the study and ``--part``.
        heading: in the table: data and network.
        data: the data set.
        rows: chosen values to recipe by the name of its row; the first row is the baseline.
        stages: grids to choose from first. The grids of one stage share a study; a later stage receives the choices of earlier ones.
        replicas: M of the reported table.
        printed: the paper's numbers.
        printed_for: data set and network of the paper's numbers, such as "CIFAR-10, ResNet-56".
        weights: of rows whose weight is fixed and not chosen.
        optional: left out where its files are missing on this machine, unless it is named.
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
        """Whether the part is optional and its files are missing on this machine."""
        return self.optional and not is_here(self.data)


@dataclass(frozen=True)
class PartResults:
    """Results of a part.

    Attributes:
        part, results, chosen: the part, its results, and the chosen weights.
        costly: rows where no value of the grid keeps the accuracy.
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
        parts: data sets of a scale.
        tables: tables made from the results.
        figures: charts made from the results.
        version: raised where rows or recipes change, so that a kept run of another version is recognised.
    """

    name: str
    title: str
    parts: Callable[[Scale], tuple[Part, ...]]
    tables: Callable[[tuple[PartResults, ...]], tuple[PaperTable, ...]]
    figures: Callable[[tuple[PartResults, ...]], tuple[Figure, ...]] | None = None
    version: int = 1

    def chosen_parts(self, scale: Scale, names: tuple[str, ...] = ()) -> tuple[Part, ...]:
        """The named parts of a scale; without names, all except optional parts whose files are missing on this machine.

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
        """A sentence for each part that `chosen_parts` leaves out."""
        return tuple(
            f"{part.heading} is left out: its files are not on this machine (traintwice fetch {type(part.data).__name__})."
            for part in self.parts(scale)
            if part.missing and not names
        )


def scale_of(name: str) -> Scale:
    """Check the name of a scale.

    Raises:
        BadSpec: no such scale.
    """
    for scale in SCALES:
        if scale == name:
            return scale
    raise BadSpec(f"--scale: got {name!r}, expected one of {', '.join(map(repr, SCALES))}")
