"""How alike the components of each row are, and how much of them varies from replica to replica together: one table."""

from __future__ import annotations

from traintwice.study.results import Results
from traintwice.tables import Column, Row, Table

COLUMNS: tuple[Column, ...] = (
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

NOTE = (
    "v: variance of a component's probabilities across replicas; c: covariance of two components' across replicas. The mean of J "
    "components varies by (v + (J − 1)·c) / J, and that is what churn comes from: components that merely differ in one replica buy nothing "
    "unless c falls. Numbers without intervals."
)


def component_table(results: Results) -> Table | None:
    """Diagnostics of the rows that train several components, without intervals.

    Args:
        results: of a study.
    Returns:
        One line for each row with two components or more, see `traintwice.metrics.components.ComponentDiagnostics`; None where no row
        has any. A row whose logits are all 0 has empty cells.
    Source:
        docs/definitions.md, "Calibration".
    """
    rows = []
    for name, result in results.rows.items():
        if result.recipe.method.components > 1:
            found = results.diagnostics(name)
            rows.append(Row(name, {} if found is None else {c.key: getattr(found, c.key) for c in COLUMNS}))
    return Table("Components", COLUMNS, tuple(rows), (NOTE,)) if rows else None
