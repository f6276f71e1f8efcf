"""Measures of replicas, two recipes, and a plan, as a person reads them."""

from __future__ import annotations

from dataclasses import replace

from traintwice.compare.measure import Measures
from traintwice.compare.plan_types import Plan
from traintwice.compare.recipe_types import RecipeComparison
from traintwice.sheets.words import left_out, sentence
from traintwice.tables.format import change, decimals_for, value_of
from traintwice.tables.sheet import Line, Sheet, sheet_of
from traintwice.tables.table import Cell, Column, Row, Table
from traintwice.tables.text import visible
from traintwice.types import TARGET_IN_WORDS


@sheet_of.register
def measures_sheet(measures: Measures) -> Sheet:
    """What was read, the churn in a sentence, and a row for each measure."""
    table = measures.table()
    read = [table.title]
    if measures.read is not None:  # that every row has a label is not worth a line
        lines = measures.read.describe().splitlines()
        read = [visible(line) for line in lines if not line.startswith("labels in") or "have none" in line]
    infinite = [note for note in table.notes if not note.startswith("left out: ")]
    verdict = ""
    if "churn" in measures:
        percent = f"{100 * measures['churn'].value:.3g}"
        verdict = f"Two of these {measures.replicas} models give {percent} of 100 rows another label on average."
    targets = {estimate.target for estimate in measures.values()}
    about = []
    if len(targets) == 1:
        table = replace(table, columns=tuple(c for c in table.columns if c.key != "target"))
        about = [f"intervals: {100 * next(iter(measures.values())).level:g} %, for {TARGET_IN_WORDS[targets.pop()]}"]
    notes = (*about, *map(visible, infinite), *left_out(measures.left_out))
    return Sheet(" · ".join(read), verdict, tables=(replace(table, title="", notes=()),), notes=notes)


@sheet_of.register
def recipes_sheet(comparison: RecipeComparison) -> Sheet:
    """A line for each measure: first, second, and the difference with its interval."""
    first, second = map(visible, comparison.names)
    lines = []
    for m in comparison.measures:
        digits = decimals_for([m.difference.estimate], m.unit)
        both = f"{value_of(m.first, m.unit, digits)} → {value_of(m.second, m.unit, digits)}"
        verdict = "significant" if m.difference.significant else "inconclusive"
        lines.append(Line(m.title, both, f"{change(m.difference.estimate, m.unit)}, {verdict}"))
    replicas = " and ".join(f"{count:,}" for count in comparison.replicas)
    how = "paired by replica" if comparison.paired else "replicas taken as independent"
    about = f"intervals: {100 * comparison.level:g} %, {how}"
    if comparison.measures:
        about += f", for {TARGET_IN_WORDS[comparison.measures[0].difference.estimate.target]}"
    headline = f"{first} → {second} · {replicas} replicas · {comparison.rows:,} rows"
    return Sheet(headline, sentence(comparison.sentence), tuple(lines), notes=(about, *left_out(comparison.left_out)))


@sheet_of.register
def plan_sheet(plan: Plan) -> Sheet:
    """A row for each number of replicas and rows: the difference that it would detect."""
    columns = [
        Column("rows", "rows", "text"),
        Column("error", "standard error of a churn", "text"),
        Column("detects", "detects", "text"),
    ]
    if plan.detect is not None:
        columns += [Column("power", "power", "text"), Column("enough", "", "text")]
    rows = []
    for option in plan.table:
        cells: dict[str, Cell] = {
            "rows": f"{option.rows:,}",
            "error": _pp(option.standard_error),
            "detects": _pp(option.detects),
            "power": None if option.power is None else f"{100 * option.power:.0f} %",
            "enough": "enough" if option.enough else "",
        }
        rows.append(Row(f"{option.replicas} replicas", cells))
    parts = plan.components
    about = (
        f"detects: the smallest difference between two recipes found with {100 * plan.wanted_power:.0f} % power in a test at "
        f"{100 * plan.level:g} %",
        f"variance components: ζ₁ {parts.zeta_1:.3g}, ζ₂ {parts.zeta_2:.3g}, σ_u {parts.sigma_u:.3g} ({visible(parts.source)})",
    )
    aim = "" if plan.detect is None else f" · a difference of {_pp(plan.detect)}"
    headline = f"churn of {value_of(parts.churn, 'fraction')}{aim} · replicas of each of two recipes"
    return Sheet(headline, plan.sentence, tables=(Table("", tuple(columns), tuple(rows)),), notes=about)


def _pp(value: float) -> str:
    return f"{value_of(value, 'fraction').removesuffix(' %')} pp"
