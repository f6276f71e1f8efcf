"""Results of `traintwice run flights` in docs/guides/clicks.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from traintwice.errors import BadInput
from traintwice.presets import flights
from traintwice.study import Experiment, Results, progressive_findings
from traintwice_reproduction.kept import KEPT

REPLICAS = 10
"""M of the page; the study has fewer."""

RESULTS = KEPT / "flights.json"


def study() -> Experiment:
    """`flights` with the replicas of the page."""
    return replace(flights(), replicas=REPLICAS)


def summary(results: Results, date: str) -> dict[str, Any]:
    """What the page shows as plain values, without predictions and without the machine."""
    found = progressive_findings(results)
    if found is None:
        raise BadInput(f"{results.experiment.name}: expected a study on a stream")
    return {
        "schema": 1,
        "command": f"traintwice run {results.experiment.name} --replicas {REPLICAS}",
        "date": date,
        "seconds": round(results.environment()["training_seconds"]),
        "tables": [part.to_markdown().splitlines() for part in (found.table, found.baseline_over_time) if part is not None],
        "findings": list(found.sentences),
        "experiment": results.experiment.to_dict(),
    }


def section(kept: dict[str, Any]) -> str:
    """Command, tables and findings in Markdown."""
    experiment = kept["experiment"]
    head = (
        f"`{kept['command']}` on {kept['date']}: {experiment['replicas']} replicas of {len(experiment['rows'])} recipes, "
        f"{kept['seconds']:,} seconds of training in all. Intervals are 95 %, for new replicas and new examples."
    )
    tables = "\n".join("\n".join(lines) + "\n" for lines in kept["tables"])
    findings = "\n".join(f"- {sentence}" for sentence in kept["findings"])
    return f"{head}\n\n{tables}\n{findings}"
