"""Which recipes of a study differ significantly from the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice import metrics
from traintwice._typed import typed
from traintwice.compare import Difference
from traintwice.recipes import Cost
from traintwice.study._results import Results


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
