"""Sheets of the measures of replicas, of two recipes compared, and of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from traintwice._formatting import change, digits_of, number, value_of, visible
from traintwice.compare._comparison import FEW_EFFECTIVE_ROWS
from traintwice.compare._measure import Measures
from traintwice.compare._plan import Plan
from traintwice.compare._quantised import TokenDiff
from traintwice.compare._recipes import RecipeComparison
from traintwice.metrics._identical import identical_in_words
from traintwice.tables._sheet import Line, Sheet
from traintwice.tables._table import Cell, CellUnit, Column, Row, Table
from traintwice.tables._words import left_out, plain_title, sentence
from traintwice.types import TARGET_IN_WORDS, Target


def measures_sheet(measures: Measures) -> Sheet:
    """Files read, churn in a sentence, one row for each measure, and multiplicity if requested."""
    lines = measures.read.describe().splitlines()
    read = [visible(line) for line in lines if not line.startswith("labels in") or "have none" in line]
    verdict = ""
    if "churn" in measures:
        percent = f"{100 * measures['churn'].value:.3g}"
        verdict = f"On average, two of these {measures.replicas} models give different labels to {percent} of 100 rows."
    warnings = list(_copies(measures.identical))
    if measures.effective_rows is not None and measures.effective_rows < FEW_EFFECTIVE_ROWS:
        few = f"The weights leave {measures.effective_rows:.0f} effective rows, fewer than {FEW_EFFECTIVE_ROWS}."
        warnings.append(("Warning", few))
    tables = [_measures_table(measures), _multiplicity_table(measures)]
    return Sheet(
        " · ".join(read), verdict, paragraphs=tuple(warnings), tables=tuple(t for t in tables if t), notes=tuple(_notes(measures))
    )


def recipes_sheet(comparison: RecipeComparison) -> Sheet:
    """One line for each measure: first, second, and the difference with its interval."""
    first, second = map(visible, comparison.names)
    lines = []
    for m in comparison.measures:
        digits = max(digits_of(e, m.unit) for e in (m.first, m.second, m.difference.estimate))
        both = f"{value_of(m.first, m.unit, digits)} → {value_of(m.second, m.unit, digits)}"
        verdict = "significant" if m.difference.significant else "inconclusive"
        lines.append(Line(plain_title(m.title), both, f"{change(m.difference.estimate, m.unit)}, {verdict}"))
    replicas = " and ".join(f"{count:,}" for count in comparison.replicas)
    how = "paired by replica" if comparison.paired else "independent replicas"
    about = f"intervals: {100 * comparison.level:g} %, {how}"
    if comparison.measures:
        about += f", for {TARGET_IN_WORDS[comparison.measures[0].difference.estimate.target]}"
    headline = f"{first} → {second} · {replicas} replicas · {comparison.rows:,} rows"
    notes = (about, *left_out(comparison.left_out))
    return Sheet(headline, sentence(comparison.sentence), tuple(lines), tuple(_copies(comparison.identical)), notes=notes)


def plan_sheet(plan: Plan) -> Sheet:
    """One row for each number of replicas and rows: the difference that it detects."""
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
        f"standard error: of the difference in churn; detects: the smallest difference that is significant with "
        f"{100 * plan.wanted_power:.0f} % power at {100 * plan.level:g} % confidence",
        f"variance components: ζ₁ {parts.zeta_1:.3g}, ζ₂ {parts.zeta_2:.3g}, σ_u {parts.sigma_u:.3g}, {how} ({visible(parts.source)})",
    )
    aim = "" if plan.detect is None else f" · a difference of {_pp(plan.detect)}"
    headline = f"churn of {value_of(parts.churn, 'fraction')}{aim} · replicas of each of two recipes"
    return Sheet(headline, plan.sentence, tables=(Table("", tuple(columns), tuple(rows)),), notes=about)


def tokens_sheet(found: TokenDiff) -> Sheet:
    """One row for each measure of the tokens, or its lower and its upper bound."""
    exact = all(m.exact for m in found.measures)
    columns = [
        Column("value", "value" if exact else "at least", "mixed"),
        *([] if exact else [Column("most", "at most", "mixed")]),
    ]
    rows = []
    for m in found.measures:
        unit: CellUnit = "fraction" if m.name == "same_top" else "number"
        rows.append(Row(m.title, {"value": m.at_least, "most": m.at_most}, unit))
    same = value_of(found["same_top"].at_least, "fraction")
    notes = ["KL divergence of the other model from the base, in nats; Δp: change of the probability of the base's token"]
    notes.append(f"intervals: {100 * found.level:g} %, for these two models on new documents")
    if found.left_out:
        notes.append(f"{found.left_out:,} tokens were left out, because the texts differ before them")
    if found.assumed:
        notes.append(f"upper bounds assume that {found.assumed}")
    headline = f"{visible(found.base)} → {visible(found.other)} · {found.tokens:,} tokens in {found.documents:,} documents"
    verdict = f"Both models find the same token most likely at {same} of the tokens."
    return Sheet(headline, verdict, tables=(Table("", tuple(columns), tuple(rows)),), notes=tuple(notes))


def _copies(groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    for clause in identical_in_words(groups):
        yield "Warning", sentence(visible(clause))


def _measures_table(measures: Measures) -> Table:
    columns = [Column("estimate", "estimate", "mixed")]
    matched = measures.matched
    if matched is not None:
        columns.append(Column("matched", f"at temperature {matched.temperatures[0]:.3g}", "mixed"))
    rows = []
    for name, estimate in measures.items():
        cells = {"estimate": estimate, "matched": None if matched is None else matched.estimates.get(name)}
        rows.append(Row(plain_title(measures.definitions[name].title), cells, measures.definitions[name].unit))
    return Table("", tuple(columns), tuple(rows))


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
    of_served = {
        "rows on which a replica differs from the served model": found.ambiguity_served,
        "largest churn of a replica against the served model": found.discrepancy_served,
    }
    rows += [Row(name, {"value": value_of(share, "fraction")}) for name, share in of_served.items() if share is not None]
    return Table("How far replicas disagree on single rows", (Column("value", "", "text"),), tuple(rows))


def _notes(measures: Measures) -> Iterator[str]:
    about: dict[Target, list[str]] = {}
    for name, estimate in measures.items():
        about.setdefault(estimate.target, []).append(measures.definitions[name].title)
    for target, titles in sorted(about.items(), key=lambda item: -len(item[1])):
        of = "" if len(titles) == max(map(len, about.values())) else f" of {', '.join(titles)}"
        yield f"intervals{of}: {100 * next(iter(measures.values())).level:g} %, for {TARGET_IN_WORDS[target]}"
    if measures.effective_rows is not None:
        yield f"{measures.effective_rows:,.0f} effective rows by weight"
    if measures.kept is not None:
        yield f"{measures.replicas} replicas were kept by their loss: {', '.join(map(visible, measures.kept))}"
    if measures.calibration is not None:
        chance, debiased = (value_of(share, "fraction") for share in measures.calibration)
        yield f"calibration error: expected {chance} if perfectly calibrated; {debiased} after subtracting that"
    yield from (f"{measures.definitions[name].title} is infinite: {visible(where)}" for name, where in measures.infinite.items())
    if measures.matched is not None:
        held = measures.matched.held_out
        yield f"temperature: one for all replicas, fitted to log loss on {held:,} held-out rows"
    yield from left_out(measures.left_out)


def _pp(value: float) -> str:
    return f"{value_of(value, 'fraction').removesuffix(' %')} pp"
