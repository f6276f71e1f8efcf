"""How much of the churn each source of randomness makes by itself, and how much of it is left without."""

from __future__ import annotations

import numpy as np

from traintwice import metrics
from traintwice.compare import interval
from traintwice.errors import Undefined
from traintwice.metrics import Measurement, Summary
from traintwice.metrics.definition import influence_variance
from traintwice.recipes import Recipe
from traintwice.study.results import Results
from traintwice.tables import Column, Row, Table
from traintwice.types import Estimate

NOTE = (
    "Churn over the churn of the row in which all of these sources are free. The shares do not add up to 1: one source free is "
    "often enough for nearly all of it."
)


def source_shares(results: Results, *, level: float = 0.95) -> Table | None:
    """Churn with one source of randomness free, and with one fixed, each over the churn with all free.

        only free(s) = churn(s free, others fixed) / churn(all free),   only fixed(s) = churn(s fixed, others free) / churn(all free)

    Args:
        results: of a study whose baseline leaves sources free, with rows that differ from it in what is fixed.
        level: nominal coverage of the intervals.
    Returns:
        One line for each source; 0.05 in "only this one free" means that it makes a twentieth of the baseline's churn by itself. None
        where no row of the study answers the question, or the baseline has no churn.
    Source:
        CH section 2.3, Tables 1 and 6. Ours: the shares, and their intervals by the jackknife of the ratio on shared replicas.
    """
    base = results.baseline.recipe
    together = set(base.free())
    rows = {
        frozenset(r.recipe.free()): name
        for name, r in results.rows.items()
        if _apart_from_sources(r.recipe) == _apart_from_sources(base)
    }
    sources = [*base.free(), *sorted({s for free in rows for s in free} - together)]
    lines = []
    for source in sources:
        cells: dict[str, Estimate | float | None] = {}
        for key, free in (("only_free", frozenset({source})), ("only_fixed", frozenset(together - {source}))):
            row = rows.get(free) if source in together or key == "only_free" else None
            cells[key] = _share(results, row, level=level) if row not in (None, results.baseline.name) else None
        if any(cell is not None for cell in cells.values()):
            lines.append(Row(source, cells))
    if not lines:
        return None
    columns = (Column("only_free", "only this one free"), Column("only_fixed", "only this one fixed"))
    return Table("Churn by source of randomness, relative to all free", columns, tuple(lines), (NOTE,))


def _apart_from_sources(recipe: Recipe) -> Recipe:
    return recipe.change(fixed=(), hardware="fixed")


def _share(results: Results, row: str | None, *, level: float) -> Estimate | None:
    if row is None or results[row].numbers != results.baseline.numbers:
        return None
    try:
        return interval(
            ratio(results.measure(metrics.churn, row), results.measure(metrics.churn, results.baseline.name)), level=level
        )
    except Undefined:
        return None


def ratio(above: Measurement, below: Measurement) -> Measurement:
    """The quotient of two measurements on the same replicas and examples.

    Args:
        above, below: of one metric on two recipes of one study.
    Returns:
        A `Measurement` of the quotient: leave-one-out values divided, influences by the first-order rule.
    Raises:
        Undefined: the denominator is 0, or is with one replica left out.
    """
    if below.value == 0 or (below.jackknife_values is not None and not np.all(below.jackknife_values)):
        raise Undefined("share of churn: the denominator has no churn")
    value = above.value / below.value
    parts = above.jackknife_values, below.jackknife_values
    jackknife_values = None if parts[0] is None or parts[1] is None else parts[0] / parts[1]
    influence = (above.influence - value * below.influence) / below.value
    variance, units = influence_variance(influence)
    summary = Summary(value, above.rows / below.value, jackknife_values, variance, above.examples, units=units, scale="log")
    return Measurement(summary, influence)
