"""The tables of AD, "Anti-Distillation: Improving Reproducibility of Deep Networks"."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias, cast

from traintwice import metrics
from traintwice.methods import anti_distillation, anti_distillation_difference, ensemble
from traintwice.metrics import Metric
from traintwice.nets import Towers
from traintwice.recipes import Recipe
from traintwice.study import relative_change
from traintwice_reproduction.tables import printed
from traintwice_reproduction.tables.artefact import Artefact, Part, PartResults, Scale
from traintwice_reproduction.tables.benchmarks import of_anti_distillation, of_clicks
from traintwice_reproduction.tables.layouts import PaperColumn, cells, measured, notes, rows_table
from traintwice_reproduction.tables.side_by_side import Pair, PaperTable

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

LOG_LOSS_NOTE = "The paper does not explain its log loss of .615 at 99.2 % accuracy; it is not comparable."
DELTA_NOTE = (
    "Δ is the deviation from the mean of the M replicas and grows with M: compare it only at the same M (the paper's M is 20)."
)


def _table_1_parts(scale: Scale) -> tuple[Part, ...]:
    """Ensembles of two with the second-moment loss on logits, λ from 0 to 1."""
    numbers = printed.read(printed.AD_TABLE_1, [column.key for column in COLUMNS_1])

    def rows(pair: Recipe) -> dict[str, Recipe]:
        return {"none": pair} | {f"{value:g}": pair.change(method=anti_distillation(2, value)) for value in LAMBDAS}

    benchmarks = of_anti_distillation(scale)
    return tuple(g.part(rows(g.base.change(method=ensemble(2))), numbers, replicas=REPLICAS[scale]) for g in benchmarks)


def _table_2_parts(scale: Scale) -> tuple[Part, ...]:
    """Ensembles of 2, 4, 6 and 8 with and without the loss."""
    numbers = printed.read(printed.AD_TABLE_2, [column.key for column in (ACCURACY, *SOFT)])

    def rows(base: Recipe) -> dict[str, Recipe]:
        return {f"{size}, no AD": base.change(method=ensemble(size)) for size in SIZES} | {
            f"{size}, AD": base.change(method=anti_distillation(size, TABLE_2_WEIGHT)) for size in SIZES
        }

    return tuple(g.part(rows(g.base), numbers, replicas=REPLICAS[scale]) for g in of_anti_distillation(scale))


def _table_2(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    """One table for each data set, because its two sides are wide."""
    return tuple(_sizes(p) for p in parts)


def _sizes(p: PartResults) -> PaperTable:
    columns = (ACCURACY, *SOFT, measured(metrics.churn, "Δᴴ"))
    sides = [cells(p, columns, [f"{size}, {kind}" for size in SIZES]) for kind in ("no AD", "AD")]
    lines: list[tuple[str | Pair, ...]] = [(str(size), *sides[0][i], *sides[1][i]) for i, size in enumerate(SIZES)]
    header = ("J", *[f"{kind}: {c.title}" for kind in ("no AD", f"AD, λ = {TABLE_2_WEIGHT:g}") for c in columns])
    added = "The column Δᴴ is ours: soft measures are shown with churn."
    title = f"AD Table 2: size of the ensemble, {p.part.heading}"
    return PaperTable(title, header, tuple(lines), (*notes((p,)), DELTA_NOTE, added))


def _table_1(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    table = rows_table("AD Table 1: strength of anti-distillation, J = 2", parts, COLUMNS_1, first="λ")
    return (PaperTable(table.title, table.header, table.rows, (*table.notes, DELTA_NOTE, LOG_LOSS_NOTE)),)


Kind: TypeAlias = Literal["second moment", "covariance", "difference"]
"""Loss between components: AD equations (2), (3) and (7)."""

LINES_3: tuple[tuple[Kind, float, float], ...] = (
    *[("second moment", weight, s) for s in (1.0, 5.0, 10.0) for weight in (0.5, 1.0, 5.0)],
    ("covariance", 1.0, 1.0),
    ("difference", 1.0, 1.0),
)
"""Loss, λ and s of AD Table 3, in the paper's order."""

NO_AD = "no AD"
SHARES_3 = {"paper": 1.0, "small": 0.002}
"""Factor of the paper's λ: the loss scales with the fourth power of the logits, and logits on flights differ from those of the paper."""


def _changed(metric: Metric, title: str) -> PaperColumn:
    """A column of relative changes against no anti-distillation."""
    return PaperColumn(
        f"{metric.definition.name}_change", title, "fraction", lambda p, row: relative_change(p.results, metric, row)
    )


COLUMNS_3 = (
    _changed(metrics.log_loss, "Log Loss change"),
    _changed(metrics.rank_loss, "Rank Loss change"),
    measured(metrics.relative_delta_positive, "Δʳ¹"),
)
OURS_3 = (
    measured(metrics.relative_pairwise, "relative PD"),
    PaperColumn(
        "relative_pairwise_matched",
        "relative PD (T)",
        "number",
        lambda p, row: p.results.estimate(metrics.relative_pairwise, row, matched=True),
    ),
    measured(metrics.churn, "Churn"),
    ACCURACY,
)
NOTES_3 = (
    "Changes are relative to no AD, paired by replica, in percent as in the paper. Signs in parentheses may be a ruled line in the text "
    "of the paper.",
    "Δʳ¹ deviates from the mean of the M replicas and grows with M; the paper does not give its M. The columns after Δʳ¹ are ours: "
    "relative PD is the mean over pairs of replicas; (T) is at matched temperature, the best temperature of each recipe.",
    f"On the flights λ is {SHARES_3['small']:g} of the paper's, because the loss scales with the fourth power of the logits and the "
    "paper's logits are unknown. Replicas share their initial weights and differ in the order of the rows inside a moving window.",
)


def _name_3(kind: Kind, weight: float, s: float) -> str:
    return f"{kind}, λ = {weight:g}, s = {s:g}"


def _recipe_3(base: Recipe, kind: Kind, weight: float, s: float) -> Recipe:
    """A row of AD Table 3; the difference loss is on logits: "improvements are obtained on logits, but not on probabilities"."""
    components = base.method.components
    if kind == "difference":
        method = anti_distillation_difference(components, weight, signal="logits")
    else:
        method = anti_distillation(components, weight, matrix="covariance" if kind == "covariance" else "second-moment")
    return base.change(method=method, network=replace(cast(Towers, base.network), embedding_scale=s))


def _table_3_parts(scale: Scale) -> tuple[Part, ...]:
    """Three components on a stream, by loss, λ and s."""
    benchmark, share = of_clicks(scale), SHARES_3[scale]
    as_printed = printed.read(printed.AD_TABLE_3, [column.key for column in COLUMNS_3])
    rows, numbers = {NO_AD: benchmark.base}, {NO_AD: as_printed[NO_AD]}
    for kind, weight, s in LINES_3:
        name = _name_3(kind, share * weight, s)
        rows[name] = _recipe_3(benchmark.base, kind, share * weight, s)
        numbers[name] = as_printed[f"{kind}, {weight:g}, {s:g}"]
    return (benchmark.part(rows, numbers),)


def _table_3(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    (p,) = parts
    settings = {
        _name_3(kind, share * weight, s): (kind, f"{share * weight:g}", f"{weight:g}", f"{s:g}")
        for share in SHARES_3.values()
        for kind, weight, s in LINES_3
    } | {NO_AD: (NO_AD, "0", "0", "1")}
    rows = list(p.results.rows)
    columns = (*COLUMNS_3, *OURS_3)
    lines: list[tuple[str | Pair, ...]] = [
        (*settings[row], *body) for row, body in zip(rows, cells(p, columns, rows), strict=True)
    ]
    header = ("AD type", "λ", "λ of the paper", "s", *[column.title for column in columns])
    return (PaperTable("AD Table 3: anti-distillation on a stream of clicks", header, tuple(lines), (*notes(parts), *NOTES_3)),)


TABLES = (
    Artefact("ad.table1", "AD Table 1: strength of anti-distillation on MNIST, J = 2", _table_1_parts, _table_1),
    Artefact("ad.table2", "AD Table 2: size of the ensemble with and without anti-distillation", _table_2_parts, _table_2),
    Artefact("ad.table3", "AD Table 3: anti-distillation of click rates by loss, λ and s, J = 3", _table_3_parts, _table_3),
)
"""In the paper's order."""
