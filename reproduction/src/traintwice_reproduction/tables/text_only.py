"""Comparisons that the papers report in their text, without a table."""

from __future__ import annotations

from traintwice.controls import shared_initialisation
from traintwice.methods import anti_distillation, co_distillation, ensemble
from traintwice.recipes import Recipe
from traintwice.schedules import Jump
from traintwice_reproduction.tables import printed
from traintwice_reproduction.tables.ad_tables import COLUMNS_1, DELTA_NOTE, REPLICAS
from traintwice_reproduction.tables.artefact import Artefact, Part, PartResults, Scale
from traintwice_reproduction.tables.benchmarks import Benchmark, of_anti_distillation, of_churn
from traintwice_reproduction.tables.churn_rows import BASELINE, CE, CO, TYPICAL, ramp_epochs, stale_co_distillation
from traintwice_reproduction.tables.churn_tables import ACCURACY, CHURN, SCHURN
from traintwice_reproduction.tables.guards import guards
from traintwice_reproduction.tables.layouts import TRAIN, rows_table
from traintwice_reproduction.tables.side_by_side import PaperTable

FIXED = "fixed initialisation"
STRENGTHS = {"covariance": (0.02, 0.05, 0.1, 0.5), "probabilities": (0.05, 5.0, 20.0, 100.0)}
"""λ of each form of AD. Ours: the paper gives none."""


def _churn_rows(benchmark: Benchmark, weight: float) -> dict[str, Recipe]:
    """Baseline and co-distillation, with each choice of the design changed alone; one weight β for all."""
    base, ramp = benchmark.base, ramp_epochs(benchmark.base)
    skl = base.change(method=co_distillation(weight, ramp_epochs=ramp))
    independent = co_distillation(weight, kind="ce", lag_steps=benchmark.lag, ramp_epochs=ramp)
    return {
        BASELINE: base,
        f"{BASELINE}, {FIXED}": shared_initialisation(base),
        CO: skl,
        f"{CO}, {FIXED}": shared_initialisation(skl),
        f"{CO}, step": base.change(method=co_distillation(Jump(weight, epochs=ramp))),
        "Co-distill L1": base.change(method=co_distillation(weight, kind="l1", ramp_epochs=ramp)),
        "Co-distill CE, independent updates, linear ramp": base.change(method=independent),
        CE: base.change(method=stale_co_distillation(benchmark, weight)),
    }


def _churn_parts(scale: Scale) -> tuple[Part, ...]:
    parts = []
    for benchmark in of_churn(scale)[: 2 if scale == "small" else 1]:
        weight = TYPICAL[CO] if scale == "small" else float(printed.weights_of(benchmark.printed_for)[CO]["beta"])
        known = printed.read(printed.CH_TEXT, ("accuracy", "churn")) if benchmark.printed_for == "CIFAR-10, ResNet-56" else {}
        parts.append(benchmark.part(_churn_rows(benchmark, weight), known))
    return tuple(parts)


def _churn(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    return (rows_table("CH, text: design of the co-distillation", parts, (TRAIN, ACCURACY, CHURN, SCHURN)),)


def _ad_parts(scale: Scale) -> tuple[Part, ...]:
    """Ensembles of two with the covariance loss, and with the second moment of probabilities."""
    known = printed.read(printed.AD_TABLE_1, [column.key for column in COLUMNS_1])

    def rows(pair: Recipe) -> dict[str, Recipe]:
        forms: dict[str, dict[str, str]] = {"covariance": {"matrix": "covariance"}, "probabilities": {"signal": "probabilities"}}
        made = {"none": pair, "0.05": pair.change(method=anti_distillation(2, 0.05))}
        return made | {
            f"{form}, λ = {weight:g}": pair.change(method=anti_distillation(2, weight, **options))  # type: ignore[arg-type]
            for form, options in forms.items()
            for weight in STRENGTHS[form]
        }

    numbers = {row: known[row] for row in ("none", "0.05")}
    return tuple(
        g.part(rows(g.base.change(method=ensemble(2))), numbers, replicas=REPLICAS[scale]) for g in of_anti_distillation(scale)
    )


def _ad(parts: tuple[PartResults, ...]) -> tuple[PaperTable, ...]:
    table = rows_table("AD, text: covariance and probabilities, J = 2", parts, COLUMNS_1, first="λ")
    warned = [f"{p.part.heading}, {sentence}" for p in parts for sentence in guards(p)]
    return (PaperTable(table.title, table.header, table.rows, (*table.notes, DELTA_NOTE, *warned)),)


TEXTS = (
    Artefact("ad.text", "AD section 5, in the text: covariance and probabilities in place of the second moment", _ad_parts, _ad),
    Artefact(
        "churn.text",
        "CH sections 3.2, 4 and appendix C, in the text: joint or independent, step or linear, L1 or SKL, fixed initialisation",
        _churn_parts,
        _churn,
    ),
)
"""Of AD, then of CH."""
