"""The sheet of recipes against the model in service."""

from __future__ import annotations

from traintwice._formatting import change, times, value_of, visible
from traintwice.compare._against import Against, RecipeAgainst
from traintwice.tables._sheet import Sheet
from traintwice.tables._table import Cell, Column, Row, Table
from traintwice.tables._words import sentence

COLUMNS = (
    Column("accuracy", "accuracy", "fraction"),
    Column("churn", "churn against served", "fraction"),
    Column("negative_flips", "negative flips", "fraction"),
    Column("floor", "floor", "fraction"),
    Column("ratio", "churn / floor", "number"),
    Column("replicas", "replicas", "text"),
    Column("verdict", "verdict", "text"),
)


def against_sheet(found: Against) -> Sheet:
    """One row for each recipe, its verdict and its difference from the baseline in words."""
    columns = COLUMNS if found.accuracy is not None else tuple(c for c in COLUMNS if c.key not in ("accuracy", "negative_flips"))
    rows = tuple(Row(visible(r.recipe), _cells(r)) for r in found.recipes)
    baseline = visible(found.recipes[0].recipe)
    quality = "" if found.accuracy is None else f" · its accuracy: {value_of(found.accuracy, 'fraction')}"
    paragraphs = [(visible(r.recipe), sentence(r.noise.reason)) for r in found.recipes if r.noise is not None]
    for r in found.recipes:
        if r.change is not None:
            significant = "significant" if r.change.significant else "inconclusive"
            paragraphs.append(
                (f"{visible(r.recipe)} − {baseline}", f"churn {change(r.change.estimate, 'fraction')}, {significant}.")
            )
    notes = (
        f"Churn against served: share of rows that a replica answers otherwise than the model in service. Floor: churn between the "
        f"recipe's own replicas. Intervals: {100 * found.level:g} %, for new replicas and new rows, given this model in service.",
        "Differences are paired by replica; significance is Holm-adjusted over the recipes. A verdict needs 3 replicas.",
    )
    headline = f"Against the model in service: {visible(found.served)} · {found.rows:,} rows{quality}"
    return Sheet(headline, "", paragraphs=tuple(paragraphs), tables=(Table("", columns, rows),), notes=notes)


def _cells(r: RecipeAgainst) -> dict[str, Cell]:
    cells: dict[str, Cell] = {"accuracy": r.accuracy, "churn": r.churn, "negative_flips": r.negative_flips, "floor": r.floor}
    cells["replicas"] = str(r.replicas)
    cells["verdict"] = "too few replicas" if r.noise is None else r.noise.verdict
    if r.noise is not None:
        cells["ratio"] = times(r.noise.ratio.value, word=False)
    return cells
