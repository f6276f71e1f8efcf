"""Results of several data sets as one table with a paper's columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from traintwice._formatting import decimals_for, format_cell
from traintwice.metrics import Metric
from traintwice_reproduction.tables.artefact import PartResults
from traintwice_reproduction.tables.flags import flag_notes, marked
from traintwice_reproduction.tables.side_by_side import Pair, PaperTable

Value: TypeAlias = Any
"""An `Estimate`, a number, a text, or None for no value."""


@dataclass(frozen=True)
class PaperColumn:
    """A column of a paper's table.

    Args:
        key: name of the metric or value, under which the paper's numbers are kept.
        title: as the paper prints it.
        unit: as in `traintwice.tables.Column`.
        of: results and row to value.
    """

    key: str
    title: str
    unit: str
    of: Callable[[PartResults, str], Value]


def measured(metric: Metric, title: str) -> PaperColumn:
    """A column of a metric with its interval."""
    return PaperColumn(metric.definition.name, title, metric.definition.unit, lambda p, row: p.results.estimate(metric, row))


TRAIN = PaperColumn("train", "Training cost", "cost", lambda p, row: p.results[row].cost.train)
SERVE = PaperColumn("serve", "Inference cost", "cost", lambda p, row: p.results[row].cost.serve)


def rows_table(title: str, parts: Sequence[PartResults], columns: Sequence[PaperColumn], *, first: str = "Method") -> PaperTable:
    """One line for every row of every part.

    Args:
        title: one line.
        parts: results.
        columns: in the paper's order.
        first: title of the column of row names.
    """
    several = len(parts) > 1
    header = (*(("Data",) if several else ()), first, *[column.title for column in columns])
    lines: list[tuple[str | Pair, ...]] = []
    for p in parts:
        body = cells(p, columns, list(p.results.rows))
        for place, row in enumerate(p.results.rows):
            heading = (p.part.heading if place == 0 else "",) if several else ()
            lines.append((*heading, marked(p, row), *body[place]))
    return PaperTable(title, header, tuple(lines), notes(parts))


def cells(p: PartResults, columns: Sequence[PaperColumn], rows: Sequence[str]) -> list[list[Pair]]:
    """Cells of some rows, with as many decimals as the intervals of a column support."""
    by_column = []
    for column in columns:
        values = [column.of(p, row) for row in rows]
        decimals = decimals_for(values, column.unit)
        printed = [p.part.printed.get(row, {}).get(column.key, "") for row in rows]
        by_column.append([Pair(format_cell(v, column.unit, decimals), paper) for v, paper in zip(values, printed, strict=True)])
    return [list(row) for row in zip(*by_column, strict=True)]


def notes(parts: Sequence[PartResults]) -> tuple[str, ...]:
    """Notes below a table: data, replicas, source of the grey numbers, choice of weights, intervals."""
    found = []
    for p in parts:
        e, data = p.results.experiment, p.results.data
        network = p.results.baseline.recipe.network.describe(data.shape, data.classes)
        size = f"{len(data.train):,} training and {len(data.test):,} test examples, {p.results.baseline.recipe.epochs} epochs"
        if data.places is not None:
            size = f"{len(data.train):,} examples in one pass, each predicted before it is trained on, {len(data.test):,} of them reported"
        grey = f" In grey: the paper's numbers for {p.part.printed_for}." if p.part.printed_for else ""
        chosen = ", ".join(f"{row} {value:g}" for row, value in p.chosen.items())
        where = "the test examples" if data.validation is data.test else "the validation split"
        how = f" Weights chosen on other replicas and {where}: {chosen}." if chosen else ""
        if p.part.weights:
            how = f" Weights: {', '.join(f'{row} {value:g}' for row, value in p.part.weights.items())}."
        found.append(f"{p.part.heading}: {network}, {size}, M = {e.replicas}.{grey}{how}")
        found += [
            f"{p.part.heading}, {row}: every value of its grid costs more than a point of accuracy or diverged; the smallest is shown."
            for row in p.costly
        ]
        found += flag_notes(p)
        found += [
            f"{row}: {len(lost)} of {e.replicas} replicas diverged and are left out." for row, lost in p.results.diverged.items()
        ]
    deviations = any("±" in number for p in parts for row in p.part.printed.values() for number in row.values())
    theirs = "; the paper's ± is a standard deviation" if deviations else ""
    found.append(f"Intervals are 95 %, for new replicas and new examples{theirs}.")
    return tuple(found)
