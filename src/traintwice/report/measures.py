"""The full table as a report shows it: measures down, recipes across, in groups, each with a line on how to read it."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice import metrics
from traintwice.tables import Table

READING: dict[str, str] = {
    "accuracy": "Right answers of 100; mean over the replicas.",
    "churn": "Train twice: of 100 examples, how many get another label. Needs no true labels.",
    "churn_to_error": "Churn in units of the error rate. Compare it with the baseline of the same table only.",
    "churn_correct": "Of 100 right answers, how many a second training changes, and so makes wrong.",
    "churn_incorrect": "Of 100 wrong answers, how many a second training changes, to the right one or another wrong one.",
    "log_loss": "Mean of −log of the probability given to the true label, in nats: 0 is certain and right.",
    "surrogate_churn": "Churn that also sees probabilities move without changing the label. Confidence sways it: see (T).",
    "pairwise_l1": "Distance between two trainings' probabilities, summed over classes, 0 to 2. Its expectation does not depend on M.",
    "delta_1": "Distance of one training from the average of all, summed over classes. It grows with M: compare equal M only.",
    "delta_2": "As Δ₁, with the root of summed squares for the distance.",
    "delta_label": "By what share the probability of the true label moves about its average. Compare equal M only.",
    "temperature": "The temperature that suits a recipe best on the validation examples: above 1 over-confident, below 1 too timid.",
    "train": "Cost of training, in trainings of the baseline.",
    "serve": "Cost of a prediction, in predictions of the baseline.",
}
"""How to read a column, by its key."""

MATCHED_READING = "The same measure with every recipe at its best temperature, so that none looks calm only for being timid."

GROUPS = {
    "labels": "Labels: right, and the same again",
    "soft": "Probabilities: how far they move",
    "matched": "Probabilities, at matched temperature (T)",
    "cost": "Cost, against the baseline",
}

_SOFT = {m.definition.name for m in metrics.ALL if m.definition.soft}


@dataclass(frozen=True)
class Line:
    """A measure: its title, and its cells as printed, one for each recipe."""

    title: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Measures of a kind."""

    title: str
    lines: tuple[Line, ...]


def groups(table: Table) -> list[Group]:
    """The columns of a study's table as lines, in groups; the printed cells are the table's own."""
    lines: dict[str, list[Line]] = {kind: [] for kind in GROUPS}
    for column, cells in zip(table.columns, zip(*table.strings(), strict=True), strict=True):
        lines[_kind(column.key, column.unit)].append(Line(column.title, cells))
    return [Group(title, tuple(lines[kind])) for kind, title in GROUPS.items() if lines[kind]]


def reading(table: Table) -> list[tuple[str, str]]:
    """Title of a column, and how to read it; the matched ones share one line."""
    found = [(column.title, READING[column.key]) for column in table.columns if column.key in READING]
    return [*found, ("(T)", MATCHED_READING)]


def _kind(key: str, unit: str) -> str:
    if unit == "cost":
        return "cost"
    if key.endswith("_matched") or key == "temperature":
        return "matched"
    return "soft" if key in _SOFT else "labels"
