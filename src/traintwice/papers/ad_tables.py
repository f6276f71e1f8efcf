"""The tables of AD, "Anti-Distillation: Improving Reproducibility of Deep Networks"."""

from __future__ import annotations

from traintwice import metrics
from traintwice.methods import anti_distillation, ensemble
from traintwice.papers import printed
from traintwice.papers.artefact import Artefact, Part, PartResults, Scale
from traintwice.papers.grounds import of_anti_distillation
from traintwice.papers.layouts import cells, measured, notes, rows_table
from traintwice.tables import BesideTable, Pair

LAMBDAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SIZES = (2, 4, 6, 8)
TABLE_2_WEIGHT = 0.5
REPLICAS = {"paper": 20, "small": 10}

ACCURACY = measured(metrics.accuracy, "Acc")
SOFT = (
    measured(metrics.delta_1, "Δ₁"),
    measured(metrics.delta_2, "Δ₂"),
    measured(metrics.delta_label, "Δᴸ"),
)
COLUMNS_1 = (measured(metrics.log_loss, "Log Loss"), ACCURACY, *SOFT, measured(metrics.churn, "Δᴴ"))

LOG_LOSS_NOTE = "The paper's log loss of .615 at 99.2 % accuracy is unexplained and not comparable."
DELTA_NOTE = "Δ deviates from the mean of the M replicas and grows with M: compare it at the same M only (the paper's M is 20)."


def _table_1_parts(scale: Scale) -> tuple[Part, ...]:
    """Ensembles of two with the second-moment loss on logits, λ from none to 1."""
    ground = of_anti_distillation(scale)
    numbers = printed.read(printed.AD_TABLE_1, [column.key for column in COLUMNS_1])
    pair = ground.base.change(method=ensemble(2))
    rows = {"none": pair} | {f"{value:g}": pair.change(method=anti_distillation(2, value)) for value in LAMBDAS}
    return (
        Part(ground.name, ground.heading, ground.data, lambda chosen: rows, (), REPLICAS[scale], numbers, ground.printed_for),
    )


def _table_2_parts(scale: Scale) -> tuple[Part, ...]:
    """Ensembles of 2, 4, 6 and 8 with and without the loss."""
    ground = of_anti_distillation(scale)
    numbers = printed.read(printed.AD_TABLE_2, [column.key for column in (ACCURACY, *SOFT)])
    rows = {f"{size}, no AD": ground.base.change(method=ensemble(size)) for size in SIZES}
    rows |= {f"{size}, AD": ground.base.change(method=anti_distillation(size, TABLE_2_WEIGHT)) for size in SIZES}
    return (
        Part(ground.name, ground.heading, ground.data, lambda chosen: rows, (), REPLICAS[scale], numbers, ground.printed_for),
    )


def _table_2(parts: tuple[PartResults, ...]) -> tuple[BesideTable, ...]:
    (p,) = parts
    columns = (ACCURACY, *SOFT, measured(metrics.churn, "Δᴴ"))
    sides = [cells(p, columns, [f"{size}, {kind}" for size in SIZES]) for kind in ("no AD", "AD")]
    lines: list[tuple[str | Pair, ...]] = [(str(size), *sides[0][i], *sides[1][i]) for i, size in enumerate(SIZES)]
    header = ("J", *[f"{kind}: {c.title}" for kind in ("no AD", f"AD, λ = {TABLE_2_WEIGHT:g}") for c in columns])
    added = "The column Δᴴ is ours: a soft measure is never shown without churn."
    return (BesideTable("AD Table 2: size of the ensemble", header, tuple(lines), (*notes(parts), DELTA_NOTE, added)),)


def _table_1(parts: tuple[PartResults, ...]) -> tuple[BesideTable, ...]:
    table = rows_table("AD Table 1: strength of anti-distillation, J = 2", parts, COLUMNS_1, first="λ")
    return (BesideTable(table.title, table.header, table.rows, (*table.notes, DELTA_NOTE, LOG_LOSS_NOTE)),)


TABLES = (
    Artefact("ad.table1", "AD Table 1: strength of anti-distillation on MNIST, J = 2", _table_1_parts, _table_1),
    Artefact("ad.table2", "AD Table 2: size of the ensemble with and without anti-distillation", _table_2_parts, _table_2),
)
"""In the paper's order."""
