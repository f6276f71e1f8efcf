"""What a study finds next to its main table: a verdict on each recipe, diagnostics of components, churn by source of randomness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice._typed import typed
from traintwice.compare import Difference, interval
from traintwice.errors import Undefined
from traintwice.metrics import Measurement, Summary
from traintwice.recipes import Cost, Recipe
from traintwice.study._results import Results
from traintwice.tables import Column, Row, Table
from traintwice.types import Estimate

COMPONENT_COLUMNS: tuple[Column, ...] = (
    Column("variance_within", "v"),
    Column("covariance_between", "c"),
    Column("variance_of_mean", "variance of mean"),
    Column("correlation", "correlation"),
    Column("correlation_gauge_fixed", "gauge-fixed"),
    Column("correlation_pearson", "Pearson"),
    Column("confidence", "confidence"),
    Column("logit_scale", "logit scale"),
)
"""Fields of `ComponentDiagnostics` in the order of the table."""

CURVE_COLUMNS = (
    Column("start", "start"),
    Column("half", "half-way"),
    Column("end", "end"),
    Column("least", "end, smallest replica"),
    Column("most", "end, largest replica"),
)

COMPONENTS_NOTE = (
    "v: variance of a component's probabilities across replicas; c: covariance of two components' across replicas. The mean of J "
    "components varies by (v + (J − 1)·c) / J, and churn follows this variance: different components in one replica do not lower churn "
    "unless c falls. Numbers have no intervals."
)


CURVES_NOTE = (
    "Training loss, mean over the replicas: the weighted sum of all terms of the method. Compare it within a recipe, not between recipes "
    "with other terms."
)

SOURCES_NOTE = (
    "Churn divided by the churn of the row in which all of these sources are free. The shares do not sum to 1: one free source "
    "often causes nearly all of the churn."
)


@dataclass(frozen=True)
class Finding:
    """A recipe compared with the baseline.

    Attributes:
        row: its name.
        churn, accuracy: differences from the baseline.
        cost: of the row.
    """

    row: str
    churn: Difference
    accuracy: Difference
    cost: Cost

    @property
    def lowers_churn(self) -> bool:
        """Whether churn is significantly lower."""
        return self.churn.significant and self.churn.estimate.value < 0

    @property
    def raises_churn(self) -> bool:
        """Whether churn is significantly higher."""
        return self.churn.significant and self.churn.estimate.value > 0

    @property
    def loses_accuracy(self) -> bool:
        """Whether accuracy is significantly lower. A constant classifier has no churn, so a gain in churn alone is not enough."""
        return self.accuracy.significant and self.accuracy.estimate.value < 0


@dataclass(frozen=True)
class Verdict:
    """Recipes by the significance (Holm-adjusted) of their differences from the baseline.

    Attributes:
        baseline: the row compared with.
        level: of the intervals and of the Holm-adjusted test.
        lower: churn significantly lower and accuracy not significantly lower, largest change first.
        lower_at_a_price: churn and accuracy significantly lower.
        higher: churn significantly higher.
        inconclusive: the others.
    """

    baseline: str
    level: float
    lower: tuple[Finding, ...]
    lower_at_a_price: tuple[Finding, ...]
    higher: tuple[Finding, ...]
    inconclusive: tuple[Finding, ...]

    @property
    def comparisons(self) -> int:
        """Number of recipes compared."""
        return len(self.lower) + len(self.lower_at_a_price) + len(self.higher) + len(self.inconclusive)


@typed
def verdict(results: Results, *, level: float = 0.95) -> Verdict:
    """Sort the recipes of a study by significance: paired by replica, Holm-adjusted over the recipes.

    Args:
        results: of a study with at least two replicas of each row.
        level: one minus the probability of one or more false claims among all recipes.
    Returns:
        A `Verdict`; `traintwice.report.sentences` puts it into words.
    """
    churn = results.compare(metrics.churn, level=level)
    accuracy = results.compare(metrics.accuracy, level=level)
    findings = sorted(
        (Finding(row, churn[row], accuracy[row], results[row].cost) for row in churn), key=lambda f: f.churn.estimate.value
    )
    return Verdict(
        results.baseline.name,
        level,
        tuple(f for f in findings if f.lowers_churn and not f.loses_accuracy),
        tuple(f for f in findings if f.lowers_churn and f.loses_accuracy),
        tuple(f for f in findings if f.raises_churn),
        tuple(f for f in findings if not f.churn.significant),
    )


@typed
def component_table(results: Results) -> Table | None:
    """Diagnostics of the rows with several components, without intervals.

    Args:
        results: of a study.
    Returns:
        One line for each row with two components or more, see `traintwice.metrics._components.ComponentDiagnostics`; None where no row
        has several. A row whose logits are all 0 has empty cells.
    Source:
        docs/concepts/definitions.md, "Calibration".
    """
    rows = []
    for name, result in results.rows.items():
        if result.recipe.method.components > 1:
            found = results.diagnostics(name)
            rows.append(Row(name, {} if found is None else {c.key: getattr(found, c.key) for c in COMPONENT_COLUMNS}))
    return Table("Components", COMPONENT_COLUMNS, tuple(rows), (COMPONENTS_NOTE,)) if rows else None


@typed
def curve_table(results: Results) -> Table | None:
    """Training loss of every row at the start, half-way and at the end of the training.

    Args:
        results: of a study.
    Returns:
        One line for each row: the mean over the replicas, and the smallest and the largest replica at the end. None where no row has
        curves, see `Results.curves`.
    Source:
        Ours.
    """
    lines = []
    for row, found in results.curves().items():
        losses = np.array(list(found["loss"].values()), dtype=np.float64)
        mean = losses.mean(axis=0)
        cells = {"start": mean[0], "half": mean[len(mean) // 2], "end": mean[-1]}
        cells |= {"least": losses[:, -1].min(), "most": losses[:, -1].max()}
        lines.append(Row(row, {key: None if np.isnan(value) else float(value) for key, value in cells.items()}))
    return Table("Training loss", CURVE_COLUMNS, tuple(lines), (CURVES_NOTE,)) if lines else None


@typed
def source_shares(results: Results, *, level: float = 0.95) -> Table | None:
    """Churn with one source of randomness free, and with one fixed, each divided by the churn with all sources free.

        only free(s) = churn(s free, others fixed) / churn(all free),   only fixed(s) = churn(s fixed, others free) / churn(all free)

    Args:
        results: of a study whose rows differ from the baseline in the fixed sources of randomness.
        level: nominal coverage of the intervals.
    Returns:
        One line for each source; 0.05 in "only this one free" means that the source alone causes a twentieth of the baseline's churn. None
        where no row differs in one source, or the baseline has no churn.
    Source:
        CH section 2.3, Tables 1 and 6. Ours: the shares, and their intervals by the jackknife of the ratio on shared replicas.
    """
    base = results.baseline.recipe
    together = set(base.free())
    rows = {
        frozenset(r.recipe.free()): name
        for name, r in results.rows.items()
        if _apart_from_sources(r.recipe) == _apart_from_sources(base)
    }
    sources = [*base.free(), *sorted({s for free in rows for s in free} - together)]
    lines = []
    for source in sources:
        cells: dict[str, Estimate | float | None] = {}
        for key, free in (("only_free", frozenset({source})), ("only_fixed", frozenset(together - {source}))):
            row = rows.get(free) if source in together or key == "only_free" else None
            cells[key] = _share(results, row, level=level) if row not in (None, results.baseline.name) else None
        if any(cell is not None for cell in cells.values()):
            lines.append(Row(source, cells))
    if not lines:
        return None
    columns = (Column("only_free", "only this one free"), Column("only_fixed", "only this one fixed"))
    return Table("Churn by source of randomness, relative to all free", columns, tuple(lines), (SOURCES_NOTE,))


def _apart_from_sources(recipe: Recipe) -> Recipe:
    return recipe.change(fixed=(), hardware="fixed")


def _share(results: Results, row: str | None, *, level: float) -> Estimate | None:
    if row is None or results[row].numbers != results.baseline.numbers:
        return None
    try:
        return interval(
            ratio(results.measure(metrics.churn, row), results.measure(metrics.churn, results.baseline.name)), level=level
        )
    except Undefined:
        return None


def ratio(above: Measurement, below: Measurement) -> Measurement:
    """The quotient of a metric on two recipes of one study: leave-one-out values divided, influences by the first-order rule."""
    if below.value == 0 or (below.jackknife_values is not None and not np.all(below.jackknife_values)):
        raise Undefined("share of churn: the churn of the denominator is 0")
    value = above.value / below.value
    parts = above.jackknife_values, below.jackknife_values
    jackknife_values = None if parts[0] is None or parts[1] is None else parts[0] / parts[1]
    influence = (above.influence - value * below.influence) / below.value
    variance, units = above.variance_of(influence)
    summary = Summary(
        value,
        above.rows / below.value,
        jackknife_values,
        variance,
        above.examples,
        units,
        above.effective,
        above.clustered,
        scale="log",
    )
    return Measurement.of(summary, influence, above.clusters)
