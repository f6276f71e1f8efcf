"""How many replicas and rows are needed, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traintwice.tables.format import value_of
from traintwice.tables.sheet import Sheet
from traintwice.tables.table import Cell, Column, Row, Table
from traintwice.tables.width import visible

if TYPE_CHECKING:
    from traintwice.compare import Plan


def plan_sheet(plan: Plan) -> Sheet:
    """One line for each number of replicas and rows: what it would see."""
    columns = [
        Column("rows", "rows", "text"),
        Column("error", "± of a churn", "text"),
        Column("detects", "detects", "text"),
    ]
    if plan.detect is not None:
        columns += [Column("power", "chance", "text"), Column("enough", "", "text")]
    rows = []
    for option in plan.table:
        cells: dict[str, Cell] = {
            "rows": f"{option.rows:,}",
            "error": f"{value_of(option.standard_error, 'fraction').removesuffix(' %')} points",
            "detects": f"{value_of(option.detects, 'fraction').removesuffix(' %')} points",
            "power": None if option.power is None else f"{100 * option.power:.0f} %",
            "enough": "enough" if option.enough else "",
        }
        rows.append(Row(f"{option.replicas} replicas", cells))
    parts = plan.components
    about = (
        f"± is one standard error; detects: the smallest difference between two recipes seen with a chance of "
        f"{100 * plan.wanted_power:.0f} % in a test at {100 * plan.level:g} %",
        f"parts of the variance: ζ₁ {parts.zeta_1:.3g}, ζ₂ {parts.zeta_2:.3g}, σ_u {parts.sigma_u:.3g} ({visible(parts.source)})",
    )
    aim = "" if plan.detect is None else f" · a difference of {value_of(plan.detect, 'fraction').removesuffix(' %')} points"
    headline = f"churn of {value_of(parts.churn, 'fraction')}{aim} · replicas of each of two recipes"
    return Sheet(headline, plan.sentence, tables=(Table("", tuple(columns), tuple(rows)),), notes=about)
