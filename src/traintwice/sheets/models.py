"""Measures of replicas, two recipes, and a plan, as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator

from traintwice.compare.measure import Measures
from traintwice.compare.plan import Plan
from traintwice.compare.recipes import RecipeComparison
from traintwice.sheets.words import left_out, sentence
from traintwice.tables.format import change, decimals_for, number, value_of
from traintwice.tables.sheet import Line, Sheet, sheet_of
from traintwice.tables.table import Cell, Column, Row, Table
from traintwice.tables.text import visible
from traintwice.types import TARGET_IN_WORDS


@sheet_of.register
def measures_sheet(measures: Measures) -> Sheet:
    """What was read, the churn in a sentence, a row for each measure, and distributions where asked for."""
    lines = measures.read.describe().splitlines()
    read = [visible(line) for line in lines if not line.startswith("labels in") or "have none" in line]
    verdict = ""
    if "churn" in measures:
        percent = f"{100 * measures['churn'].value:.3g}"
        verdict = f"Two of these {measures.replicas} models give {percent} of 100 rows another label on average."
    warnings = [("Warning", f"{', '.join(map(visible, group))} are identical, bit for bit.") for group in measures.identical]
    tables = [_measures_table(measures), _multiplicity_table(measures)]
    return Sheet(
        " · ".join(read), verdict, paragraphs=tuple(warnings), tables=tuple(t for t in tables if t), notes=tuple(_notes(measures))
    )


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
    warnings = [("Warning", f"{', '.join(map(visible, group))} are identical, bit for bit.") for group in comparison.identical]
    notes = (about, *left_out(comparison.left_out))
    return Sheet(headline, sentence(comparison.sentence), tuple(lines), tuple(warnings), notes=notes)


@sheet_of.register
def plan_sheet(plan: Plan) -> Sheet:
    """A row for each number of replicas and rows: the difference that it would detect."""
    columns = [
        Column("rows", "rows", "text"),
        Column("error", "standard error", "text"),
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
    how = "paired by replica" if parts.paired else "independent replicas"
    about = (
        f"standard error: of the difference in churn; detects: the smallest difference found with {100 * plan.wanted_power:.0f} % power "
        f"in a test at {100 * plan.level:g} %",
        f"variance components: ζ₁ {parts.zeta_1:.3g}, ζ₂ {parts.zeta_2:.3g}, σ_u {parts.sigma_u:.3g}, {how} ({visible(parts.source)})",
    )
    aim = "" if plan.detect is None else f" · a difference of {_pp(plan.detect)}"
    headline = f"churn of {value_of(parts.churn, 'fraction')}{aim} · replicas of each of two recipes"
    return Sheet(headline, plan.sentence, tables=(Table("", tuple(columns), tuple(rows)),), notes=about)


def _measures_table(measures: Measures) -> Table:
    columns = [Column("estimate", "estimate", "mixed")]
    matched = measures.matched
    if matched is not None:
        columns.append(Column("matched", f"at temperature {matched.temperatures[0]:.3g}", "mixed"))
    if len({estimate.target for estimate in measures.values()}) > 1:
        columns.append(Column("target", "interval is about", "text"))
    rows = tuple(
        Row(
            measures.definitions[name].title,
            {
                "estimate": estimate,
                "target": TARGET_IN_WORDS[estimate.target],
                "matched": None if matched is None else matched.estimates.get(name),
            },
            measures.definitions[name].unit,
        )
        for name, estimate in measures.items()
    )
    return Table("", tuple(columns), rows)


def _multiplicity_table(measures: Measures) -> Table | None:
    found = measures.multiplicity
    if found is None:
        return None
    cells = [
        (f"self-consistency of at least {level}", value_of(share, "fraction")) for level, share in found.self_consistency.items()
    ]
    rows = [Row(name, {"value": f"{share} of rows"}) for name, share in cells]
    rows += [
        Row(f"viable range of {100 * float(share):g} % of rows", {"value": f"at most {number(width, 'number', 3)}"})
        for share, width in found.viable_range.items()
    ]
    return Table("How far replicas disagree on single rows", (Column("value", "", "text"),), tuple(rows))


def _notes(measures: Measures) -> Iterator[str]:
    targets = {estimate.target for estimate in measures.values()}
    level = f"intervals: {100 * next(iter(measures.values())).level:g} %" if measures else ""
    if len(targets) == 1:
        yield f"{level}, for {TARGET_IN_WORDS[targets.pop()]}"
    elif targets:
        yield level
    if measures.calibration is not None:
        chance, debiased = (value_of(share, "fraction") for share in measures.calibration)
        yield f"calibration error: {chance} if perfectly calibrated; {debiased} less what chance adds"
    yield from (f"{measures.definitions[name].title} is infinite: {visible(where)}" for name, where in measures.infinite.items())
    if measures.matched is not None:
        held = measures.matched.held_out
        yield f"temperature: one for all replicas, fitted to log loss on {held:,} rows that its column leaves out"
    yield from left_out(measures.left_out)


def _pp(value: float) -> str:
    return f"{value_of(value, 'fraction').removesuffix(' %')} pp"
