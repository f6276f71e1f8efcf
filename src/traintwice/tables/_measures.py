"""Sheets of replicas: their measures, recipes compared, plans, tokens, the model in service, and answers chosen from predictions."""

from __future__ import annotations

from collections.abc import Iterator

from traintwice._formatting import change, digits_of, number, times, value_of, visible
from traintwice.compare._comparison import FEW_EFFECTIVE_ROWS
from traintwice.compare._estimates import Difference
from traintwice.compare._measure import Measures
from traintwice.compare._plan import Plan
from traintwice.compare._quantised import TokenDiff
from traintwice.compare._recipes import Against, RecipeAgainst, RecipeComparison
from traintwice.compare._serving import PredictionUpdate, SelectiveAgreement, SelectiveEnsemble
from traintwice.metrics._identical import identical_in_words
from traintwice.tables._sheet import Cell, CellUnit, Column, Line, Row, Sheet, Table, text_columns
from traintwice.tables._words import left_out, plain_title, sentence, warned
from traintwice.types import TARGET_IN_WORDS, Estimate, Target

AGAINST = (
    Column("accuracy", "accuracy", "fraction"),
    Column("churn", "churn against served", "fraction"),
    Column("negative_flips", "negative flips", "fraction"),
    Column("floor", "floor", "fraction"),
    Column("ratio", "churn / floor", "number"),
)
"""Numbers of a recipe against the model in service."""


def measures_sheet(measures: Measures) -> Sheet:
    """Files read, churn in a sentence, one row for each measure, and multiplicity if requested."""
    lines = measures.read.describe().splitlines()
    read = [visible(line) for line in lines if not line.startswith("labels in") or "have none" in line]
    verdict = ""
    if "churn" in measures:
        percent = f"{100 * measures['churn'].value:.3g}"
        what = ("answers", "items") if measures.read.outcomes else ("labels", "rows")
        verdict = f"On average, two of these {measures.replicas} models give different {what[0]} to {percent} of 100 {what[1]}."
    warnings = identical_in_words(measures.identical)
    if measures.effective_rows is not None and measures.effective_rows < FEW_EFFECTIVE_ROWS:
        warnings.append(f"the weights leave {measures.effective_rows:.0f} effective rows, fewer than {FEW_EFFECTIVE_ROWS}")
    warnings += filter(None, [measures.few_clusters])
    tables = [_measures_table(measures), _multiplicity_table(measures)]
    made = tuple(t for t in tables if t)
    return Sheet(" · ".join(read), verdict, paragraphs=warned(warnings), tables=made, notes=tuple(_notes(measures)))


def recipes_sheet(comparison: RecipeComparison) -> Sheet:
    """One line for each measure: first, second, and the difference with its interval."""
    first, second = map(visible, comparison.names)
    lines = []
    for m in comparison.measures:
        digits = max(digits_of(e, m.unit) for e in (m.first, m.second, m.difference.estimate))
        both = f"{value_of(m.first, m.unit, digits)} → {value_of(m.second, m.unit, digits)}"
        lines.append(Line(plain_title(m.title), both, _significance(m.difference, m.unit)))
    replicas = " and ".join(f"{count:,}" for count in comparison.replicas)
    how = "paired by replica" if comparison.paired else "independent replicas"
    about = f"intervals: {100 * comparison.level:g} %, {how}"
    if comparison.measures:
        about += f", for {TARGET_IN_WORDS[comparison.measures[0].difference.estimate.target]}"
    headline = f"{first} → {second} · {replicas} replicas · {comparison.rows:,} rows"
    notes = (about, *left_out(comparison.left_out))
    copies = warned(identical_in_words(comparison.identical))
    return Sheet(headline, sentence(comparison.sentence), tuple(lines), copies, notes=notes)


def plan_sheet(plan: Plan) -> Sheet:
    """One row for each number of replicas and rows: the difference that it detects."""
    aimed = {} if plan.detect is None else {"power": "power", "enough": ""}
    columns = text_columns(rows="rows", error="standard error", detects="detects", **aimed)
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
    return Sheet(headline, plan.sentence, tables=(Table("", columns, tuple(rows)),), notes=about)


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


def against_sheet(found: Against) -> Sheet:
    """One row for each recipe, its verdict and its difference from the baseline in words."""
    known = AGAINST if found.accuracy is not None else [c for c in AGAINST if c.key not in ("accuracy", "negative_flips")]
    columns = (*known, *text_columns("replicas", "verdict"))
    rows = tuple(Row(visible(r.recipe), _cells_against(r)) for r in found.recipes)
    baseline = visible(found.recipes[0].recipe)
    quality = "" if found.accuracy is None else f" · its accuracy: {value_of(found.accuracy, 'fraction')}"
    paragraphs = [(visible(r.recipe), sentence(r.noise.reason)) for r in found.recipes if r.noise is not None]
    paragraphs += [
        (f"{visible(r.recipe)} − {baseline}", f"churn {_significance(r.change, 'fraction')}.")
        for r in found.recipes
        if r.change is not None
    ]
    notes = (
        f"Churn against served: share of rows that a replica answers otherwise than the model in service. Floor: churn between the "
        f"recipe's own replicas. Intervals: {100 * found.level:g} %, for new replicas and new rows, given this model in service.",
        "Differences are paired by replica; significance is Holm-adjusted over the recipes. A verdict needs 3 replicas.",
    )
    headline = f"Against the model in service: {visible(found.served)} · {found.rows:,} rows{quality}"
    return Sheet(headline, "", paragraphs=tuple(paragraphs), tables=(Table("", columns, rows),), notes=notes)


def selective_sheet(found: SelectiveEnsemble, agreement: SelectiveAgreement | None = None) -> Sheet:
    """Coverage, accuracy with and without abstention, and how often another ensemble answers otherwise."""
    rows = [("coverage", found.coverage), ("accuracy of answered rows", found.accuracy)]
    rows.append(("accuracy of the majority vote on all rows", found.majority_accuracy))
    notes = [
        f"intervals: {100 * found.coverage.level:g} %, for new rows and these models",
        f"bound: for each row, this ensemble and one of other retrains both answer and differ with probability at most "
        f"{100 * found.disagreement_bound:g} %",
    ]
    if agreement is not None:
        rows += [("both ensembles answer", agreement.both_answer), ("both answer, differently", agreement.disagreement)]
        if agreement.disagreement.low > agreement.bound:
            notes.append("the disagreement is above its bound: these are not retrains of one recipe")
    verdict = f"{value_of(found.coverage.value, 'fraction')} of the rows have a significant majority and are answered."
    headline = f"{found.replicas} models · {len(found.answers):,} rows · binomial test at α = {found.alpha:g}"
    return Sheet(headline, verdict, tables=(_fractions(rows),), notes=tuple(notes))


def update_sheet(found: PredictionUpdate) -> Sheet:
    """Churn, negative flips and accuracy with the new model and with the chosen answers."""
    rows = [
        ("answers that change with the new model", found.churn_new),
        ("answers that change here", found.churn_served),
        ("right → wrong with the new model", found.negative_flips_new),
        ("right → wrong here", found.negative_flips_served),
        ("accuracy of the old model", found.accuracy_old),
        ("accuracy of the new model", found.accuracy_new),
        ("accuracy here", found.accuracy_served),
    ]
    changed, taken = found.churn_new.value * len(found.answers), int(found.taken.sum())
    verdict = f"{taken:,} of {round(changed):,} new answers that differ are taken."
    note = f"intervals: {100 * found.churn_new.level:g} %, for new rows and these two models"
    return Sheet(f"old → new · {len(found.answers):,} rows", verdict, tables=(_fractions(rows),), notes=(note,))


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
    rows = [
        Row(f"self-consistency of at least {level}", {"value": f"{value_of(share, 'fraction')} of rows"})
        for level, share in found.self_consistency.items()
    ]
    rows += [
        Row(f"viable range of {100 * float(share):g} % of rows", {"value": f"at most {number(width, 'number', 3)}"})
        for share, width in found.viable_range.items()
    ]
    of_served = {
        "rows on which a replica differs from the served model": found.ambiguity_served,
        "largest churn of a replica against the served model": found.discrepancy_served,
    }
    rows += [Row(name, {"value": value_of(share, "fraction")}) for name, share in of_served.items() if share is not None]
    return Table("How far replicas disagree on single rows", text_columns(value=""), tuple(rows))


def _notes(measures: Measures) -> Iterator[str]:
    about: dict[Target, list[str]] = {}
    for name, estimate in measures.items():
        about.setdefault(estimate.target, []).append(measures.definitions[name].title)
    for target, titles in sorted(about.items(), key=lambda item: -len(item[1])):
        of = "" if len(titles) == max(map(len, about.values())) else f" of {', '.join(titles)}"
        yield f"intervals{of}: {100 * next(iter(measures.values())).level:g} %, for {TARGET_IN_WORDS[target]}"
    deviations = []
    for name, value in measures.spread.items():
        d = measures.definitions[name]
        deviations.append(f"{d.title} {_pp(value) if d.unit == 'fraction' else value_of(value, 'number')}")
    if deviations:
        yield f"standard deviation from one replica to another, on these rows: {', '.join(deviations)}"
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


def _significance(difference: Difference, unit: str) -> str:
    return f"{change(difference.estimate, unit)}, {'significant' if difference.significant else 'inconclusive'}"


def _pp(value: float) -> str:
    return f"{value_of(value, 'fraction').removesuffix(' %')} pp"


def _cells_against(r: RecipeAgainst) -> dict[str, Cell]:
    return {
        **{name: getattr(r, name) for name in ("accuracy", "churn", "negative_flips", "floor")},
        "ratio": None if r.noise is None else times(r.noise.ratio.value, word=False),
        "replicas": str(r.replicas),
        "verdict": "too few replicas" if r.noise is None else r.noise.verdict,
    }


def _fractions(rows: list[tuple[str, Estimate | None]]) -> Table:
    """One row for each estimate; those without labels are left out."""
    known = tuple(Row(name, {"value": estimate}) for name, estimate in rows if estimate is not None)
    return Table("", (Column("value", "value", "fraction"),), known)
