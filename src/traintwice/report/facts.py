"""What a report says of the study itself: its size, where its flips are, how to make it again, what it was made with."""

from __future__ import annotations

from traintwice.report.charts.confidence import BINS, by_confidence
from traintwice.study import Results


def headline(results: Results) -> list[str]:
    """The size of the study, in a few words each."""
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
    """How much of the baseline's churn lies where it is least confident."""
    name = results.baseline.name
    first = by_confidence(results, name)[0]
    if len(results.data.test) < BINS or first["flips"] == 0:
        return ""
    return f"The least confident tenth of the examples carries {first['flips']:.0f} % of all flips of {name}."


def commands(results: Results) -> str:
    """What to type to train it again, and to add replicas."""
    more = 2 * results.experiment.replicas
    return (
        "pip install 'traintwice[torch,report,demo]'\n"
        "traintwice run experiment.toml --report again\n"
        f"traintwice run experiment.toml --report again --replicas {more}   # trains only those that are missing"
    )


def environment(results: Results) -> list[tuple[str, str]]:
    """Names and values of all that the numbers hang on besides the experiment."""
    found = results.environment()
    data = results.data
    lines = [
        (
            "data",
            f"{data.name}: {len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test examples",
        ),
        ("digest of the data", data.digest),
        ("training", f"{found['training_seconds']:,.0f} seconds of one process in all"),
    ]
    for title in ("versions", "numerics"):
        for number, values in enumerate(found[title], start=1):
            which = f" ({number} of {len(found[title])})" if len(found[title]) > 1 else ""
            lines.append((title + which, ", ".join(f"{name} {value}" for name, value in values.items())))
    return lines
