"""The methods of CH Table 2 as rows on any benchmark, and the grids that their weights are chosen from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from traintwice.methods import (
    Method,
    co_distillation,
    ensemble,
    ensemble_distillation,
    entropy_regulariser,
    regularised_co_distillation,
    symmetric_kl_regulariser,
)
from traintwice.recipes import Earlier, Recipe
from traintwice_reproduction.tables.artefact import Chosen, Grid, Part, Printed, Scale
from traintwice_reproduction.tables.benchmarks import Benchmark

ENTROPY, SKL, CE, CO, BOTH = "Entropy", "SKL", "Co-distill CE", "Co-distill SKL", "Co-distill SKL + entropy"
BASELINE, ENSEMBLE, DISTILLED = "Baseline", "2-ensemble", "2-ensemble distillation"
TABLE_2 = (BASELINE, ENTROPY, SKL, DISTILLED, CE, CO, BOTH)

ALPHAS: Mapping[Scale, tuple[float, ...]] = {
    "paper": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5),
    "small": (0.05, 0.1, 0.2, 0.4),
}
BETAS: Mapping[Scale, tuple[float, ...]] = {
    "paper": (0.003, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.3, 1.0, 3.0),
    "small": (0.02, 0.08, 0.3, 1.0),
}
"""The paper's values, 0.01 to 0.08, and larger ones: eq. (9) as printed is a mean over examples, where the paper's weights are small."""

RAMP_SHARE = 0.2
"""Share of the epochs over which the weight of a coupling rises. Ours: the paper gives the form of the ramp but not its length."""


def ramp_epochs(base: Recipe) -> float:
    """Epochs over which the weight of a coupling rises."""
    return max(RAMP_SHARE * base.epochs, 1.0)


TYPICAL: Chosen = {ENTROPY: 0.1, SKL: 0.1, CE: 0.3, CO: 1.0, BOTH: 0.1}
"""Weights before anything is chosen."""


def recipe(benchmark: Benchmark, row: str, chosen: Chosen) -> Recipe:
    """One row of the table; weights that are not chosen yet are `TYPICAL`.

    Source: CH eqs. (6), (7), (9), (17), (19). Ours: top-k variants use three classes where there are ten or fewer.
    """
    base, weight, k = benchmark.base, {**TYPICAL, **chosen}, benchmark.top_k
    ramp = ramp_epochs(base)
    if row == BASELINE:
        return base
    if row == ENSEMBLE:
        return base.change(method=ensemble(2))
    if row == DISTILLED:
        teacher = Earlier(base.change(method=ensemble(2)))
        return base.change(method=ensemble_distillation(temperature=benchmark.temperature), teacher=teacher)
    made: dict[str, Callable[[], Method]] = {
        ENTROPY: lambda: entropy_regulariser(weight[ENTROPY], top_k=k),
        SKL: lambda: symmetric_kl_regulariser(weight[SKL], top_k=k),
        CE: lambda: co_distillation(weight[CE], kind="ce", ramp_epochs=ramp),
        CO: lambda: co_distillation(weight[CO], ramp_epochs=ramp),
        BOTH: lambda: regularised_co_distillation(weight[CO], weight[BOTH], top_k=k, ramp_epochs=ramp),
    }
    return base.change(method=made[row]())


def part_of(
    benchmark: Benchmark,
    rows: Sequence[str],
    scale: Scale,
    printed: Printed,
) -> Part:
    """A benchmark with some rows of the table.

    Args:
        benchmark, rows, scale, printed: of the part. Weights are chosen first; the weight of the regulariser in the combined method is
            chosen last, with the best β only (CH appendix A).
    """

    def grid(row: str, symbol: str, values: tuple[float, ...]) -> Grid:
        return Grid(row, symbol, values, lambda value, chosen: recipe(benchmark, row, {**chosen, row: value}))

    first = [grid(row, "α", ALPHAS[scale]) for row in (ENTROPY, SKL) if row in rows]
    first += [grid(row, "β", BETAS[scale]) for row in (CE, CO) if row in rows]
    second = [grid(BOTH, "α", ALPHAS[scale])] if BOTH in rows else []
    stages = tuple(tuple(stage) for stage in (first, second) if stage)
    return benchmark.part(lambda chosen: {row: recipe(benchmark, row, chosen) for row in rows}, printed, stages=stages)
