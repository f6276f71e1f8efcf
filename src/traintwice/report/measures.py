"""The full table as a report shows it: measures in groups, each with a line on how to read it."""

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

COMPONENT_READING: dict[str, str] = {
    "variance_within": "How much the probabilities of one component vary across replicas: variance summed over classes, mean of examples.",
    "covariance_between": "How much of that two components of a replica share, in the same unit. At c = v another component changes "
    "nothing; at c = 0 the variance of the mean falls as 1/J; below 0 faster.",
    "variance_of_mean": "(v + (J − 1)·c) / J: how much the mean of the components varies across replicas. This is what churn comes from.",
    "correlation": "Mean cosine between the logits of two components of a replica over the examples, class by class, as they are.",
    "correlation_gauge_fixed": "The same after each example's mean over classes is taken away, which softmax does not see.",
    "correlation_pearson": "The same after the mean over examples is taken away too.",
    "confidence": "Largest minus second largest probability of a component, mean over the examples.",
    "logit_scale": "Root of the mean square of a component's logits without their mean over classes: a loss that shrinks logits lowers it.",
}
"""How to read a column of the table of components, by its key."""

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
