"""What a report prints around its findings: size of the study, how to read each measure, how to reproduce it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.metrics._definition import to_numpy
from traintwice.study import Results
from traintwice.tables import Table

BINS = 10
"""Bins of churn by confidence."""

READING: dict[str, str] = {
    "accuracy": "Right answers in 100 examples; mean over the replicas.",
    "churn": "Of 100 examples, how many get another label from a second run. Needs no true labels.",
    "churn_to_error": "Churn divided by the error rate. Compare it only with the baseline of the same table.",
    "churn_correct": "Of 100 right answers, how many a second run changes (and so makes wrong).",
    "churn_incorrect": "Of 100 wrong answers, how many a second run changes, to the right or to another wrong answer.",
    "log_loss": "Mean of −log of the probability of the true label, in nats; 0 means certain and right.",
    "surrogate_churn": "Surrogate churn: also counts changes of probability that leave the label as it is. Depends on confidence: see (T).",
    "pairwise_l1": "Distance between the probabilities of two runs, summed over classes, 0 to 2. Its expectation does not depend on M.",
    "delta_1": "Distance of one run from the mean of all runs, summed over classes. It grows with M: compare only at equal M.",
    "delta_2": "As Δ₁, with the Euclidean distance.",
    "delta_label": "True-label difference: relative deviation of the probability of the true label from its mean. Compare only at equal M.",
    "temperature": "Temperature of the lowest log loss on the validation examples; above 1 is over-confident, below 1 under-confident.",
    "train": "Cost of training, as a multiple of the baseline.",
    "serve": "Cost of a prediction, as a multiple of the baseline.",
}
"""How to read a column, by its key."""

MATCHED_READING = "The same measure with every recipe at its best temperature, which removes the effect of confidence."

COMPONENT_READING: dict[str, str] = {
    "variance_within": "v, variance of the probabilities of one component across replicas, summed over classes, mean over examples.",
    "covariance_between": "c, covariance of two components of a replica, in the same unit. At c = v a further component changes "
    "nothing; at c = 0 the variance of the mean falls as 1/J; below 0 it falls faster.",
    "variance_of_mean": "(v + (J − 1)·c) / J: variance of the mean of the components across replicas. It is the cause of churn.",
    "correlation": "Mean cosine, class by class, between the logits of two components of a replica over the examples.",
    "correlation_gauge_fixed": "The same after subtracting the mean over classes of each example, which does not change the softmax.",
    "correlation_pearson": "The same after also subtracting the mean over examples.",
    "confidence": "Largest minus second largest probability of a component, mean over the examples.",
    "logit_scale": "Root mean square of a component's logits without their mean over classes. A loss that shrinks logits lowers it.",
}
"""How to read a column of the table of components, by its key."""

GROUPS = {
    "labels": "Labels",
    "soft": "Probabilities",
    "matched": "Probabilities at matched temperature (T)",
    "cost": "Cost relative to the baseline",
}

_SOFT = {m.definition.name for m in metrics.ALL if m.definition.soft}


@dataclass(frozen=True)
class MeasureLine:
    """A measure: its title, and one printed cell for each recipe."""

    title: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class MeasureGroup:
    """Measures of one kind."""

    title: str
    lines: tuple[MeasureLine, ...]


def groups(table: Table) -> list[MeasureGroup]:
    """The columns of the table of a study as lines, in groups."""
    lines: dict[str, list[MeasureLine]] = {kind: [] for kind in GROUPS}
    for column, cells in zip(table.columns, zip(*table.strings(), strict=True), strict=True):
        lines[_kind(column.key, column.unit)].append(MeasureLine(column.title, cells))
    return [MeasureGroup(title, tuple(lines[kind])) for kind, title in GROUPS.items() if lines[kind]]


def reading(table: Table) -> list[tuple[str, str]]:
    """Title of each column and how to read it; matched measures share one line."""
    found = [(column.title, READING[column.key]) for column in table.columns if column.key in READING]
    return [*found, ("(T)", MATCHED_READING)]


def _kind(key: str, unit: str) -> str:
    if unit == "cost":
        return "cost"
    if key.endswith("_matched") or key == "temperature":
        return "matched"
    return "soft" if key in _SOFT else "labels"


def headline(results: Results) -> list[str]:
    """Size of the study, as short phrases."""
    experiment, data = results.experiment, results.data
    rows = len(results.rows)
    return [
        "1 recipe" if rows == 1 else f"{rows} recipes",
        f"{experiment.replicas} replicas of each",
        f"{data.name} data",
        f"{len(data.test):,} test examples",
        f"{data.classes} classes",
        f"seed {experiment.seed}",
    ]


def concentration(results: Results) -> str:
    """Share of the churn of the baseline among its least confident examples; "" if unknown."""
    name = results.baseline.name
    first = by_confidence(results, name)[0]
    if len(results.data.test) < BINS or first["flips"] == 0:
        return ""
    return f"The least confident tenth of the examples has {first['flips']:.0f} % of all flips of {name}."


def commands(results: Results) -> str:
    """Commands that reproduce the study, and that add replicas."""
    more = 2 * results.experiment.replicas
    return (
        "pip install 'traintwice[torch,report,demo]'\n"
        "traintwice run experiment.toml --report again\n"
        f"traintwice run experiment.toml --report again --replicas {more}   # trains only the missing replicas"
    )


def environment(results: Results) -> list[tuple[str, str]]:
    """Data, time, versions and numerics of the study, as pairs of name and value."""
    found = results.environment()
    data = results.data
    lines = [
        (
            "data",
            f"{data.name}: {len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test examples",
        ),
        ("data digest", data.digest),
        ("training", f"{found['training_seconds']:,.0f} process seconds"),
        ("randomness", _free_sources(results)),
    ]
    for title in ("versions", "numerics"):
        for number, values in enumerate(found[title], start=1):
            which = f" ({number} of {len(found[title])})" if len(found[title]) > 1 else ""
            lines.append((title + which, ", ".join(f"{name} {value}" for name, value in values.items())))
    return lines


def _free_sources(results: Results) -> str:
    """Sources of randomness that differ between the replicas of each row, rows with the same sources together."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, row in results.rows.items():
        rows.setdefault(row.recipe.free(), []).append(name)
    parts = [", ".join(free) or "none" for free in rows]
    if len(rows) == 1:
        return f"free in every row: {parts[0]}"
    return "free: " + "; ".join(f"{free} ({', '.join(names)})" for free, names in zip(parts, rows.values(), strict=True))


def by_confidence(results: Results, row: str, bins: int = BINS) -> list[dict[str, Any]]:
    """Churn in bins of equally many test examples, least confident first.

    Returns:
        For each bin: mean confidence; churn, share of the examples and share of all flips in percent.
    """
    test = results[row].test
    confidence = to_numpy(test.confidence).mean(axis=0)
    churn = to_numpy(metrics.churn.values(test)).mean(axis=0)
    total = churn.sum()
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(churn)))
    return [
        {
            "confidence": round(float(confidence[part].mean()), 4),
            "churn": round(100 * float(churn[part].mean()), 4),
            "examples": round(100 * len(part) / len(churn), 2),
            "flips": round(100 * float(churn[part].sum() / total), 2) if total > 0 else 0.0,
        }
        for part in parts
    ]
