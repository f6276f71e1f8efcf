"""What may be said of a study in plain words, and what may not."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice import metrics
from traintwice.compare import Difference
from traintwice.recipes import Cost
from traintwice.study.results import Results


@dataclass(frozen=True)
class Finding:
    """One row against the baseline.

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
        """Churn is lower beyond doubt."""
        return self.churn.significant and self.churn.estimate.value < 0

    @property
    def raises_churn(self) -> bool:
        """Churn is higher beyond doubt."""
        return self.churn.significant and self.churn.estimate.value > 0

    @property
    def loses_accuracy(self) -> bool:
        """Accuracy is lower beyond doubt: a constant classifier has no churn, so this must be said with any gain."""
        return self.accuracy.significant and self.accuracy.estimate.value < 0


@dataclass(frozen=True)
class Verdict:
    """Rows by what can be said of their churn against the baseline's.

    Attributes:
        baseline: the row compared with.
        level: of the intervals and of the Holm-adjusted test.
        lower: churn lower beyond doubt and accuracy not lower beyond doubt, largest change first.
        lower_at_a_price: churn lower beyond doubt, but accuracy too.
        higher: churn higher beyond doubt.
        unsettled: the rest.
    """

    baseline: str
    level: float
    lower: tuple[Finding, ...]
    lower_at_a_price: tuple[Finding, ...]
    higher: tuple[Finding, ...]
    unsettled: tuple[Finding, ...]

    @property
    def comparisons(self) -> int:
        """How many rows were compared."""
        return len(self.lower) + len(self.lower_at_a_price) + len(self.higher) + len(self.unsettled)


def verdict(results: Results, *, level: float = 0.95) -> Verdict:
    """Sort the rows of a study by what its intervals support: paired by replica, Holm-adjusted over the rows.

    Args:
        results: of a study with at least two replicas of each row.
        level: one minus the chance of one false claim among all rows.
    Returns:
        A `Verdict`; `traintwice.report` puts it into words.
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
