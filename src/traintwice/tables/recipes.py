"""Two recipes against each other, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traintwice.tables.diff import left_out, sentence
from traintwice.tables.format import change, decimals_for, value_of
from traintwice.tables.sheet import Line, Sheet
from traintwice.tables.width import visible
from traintwice.types import TARGET_IN_WORDS

if TYPE_CHECKING:
    from traintwice.compare import RecipeComparison


def recipes_sheet(comparison: RecipeComparison) -> Sheet:
    """A line for each measure: first, second, and the difference with its interval."""
    first, second = map(visible, comparison.names)
    lines = []
    for m in comparison.measures:
        digits = decimals_for([m.difference.estimate], m.unit)
        both = f"{value_of(m.first, m.unit, digits)} → {value_of(m.second, m.unit, digits)}"
        settled = "" if m.difference.settled else " not settled"
        lines.append(Line(m.title, both, change(m.difference.estimate, m.unit) + settled))
    replicas = " and ".join(f"{count:,}" for count in comparison.replicas)
    how = "paired by replica" if comparison.paired else "replicas taken as independent"
    notes = [f"intervals: {100 * comparison.level:g} %, {how}"]
    if comparison.measures:
        notes[0] += f", about {TARGET_IN_WORDS[comparison.measures[0].difference.estimate.target]}"
    notes += left_out(comparison.left_out)
    headline = f"{first} → {second} · {replicas} replicas · {comparison.rows:,} rows"
    return Sheet(headline, sentence(comparison.sentence), tuple(lines), notes=tuple(notes))
