"""Sheets of answers chosen from predictions alone: selective ensembles and updates of predictions."""

from __future__ import annotations

from traintwice._formatting import value_of
from traintwice.compare._answering import PredictionUpdate, SelectiveAgreement, SelectiveEnsemble
from traintwice.tables._sheet import Sheet
from traintwice.tables._table import Column, Row, Table
from traintwice.types import Estimate


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
    return Sheet(headline, verdict, tables=(_table(rows),), notes=tuple(notes))


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
    return Sheet(f"old → new · {len(found.answers):,} rows", verdict, tables=(_table(rows),), notes=(note,))


def _table(rows: list[tuple[str, Estimate | None]]) -> Table:
    """One row for each estimate; those without labels are left out."""
    known = tuple(Row(name, {"value": estimate}) for name, estimate in rows if estimate is not None)
    return Table("", (Column("value", "value", "fraction"),), known)
