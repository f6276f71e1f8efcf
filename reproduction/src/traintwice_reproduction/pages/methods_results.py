"""Kept results of a study of methods: input of `pages.methods`, and of the study `digits`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare import Difference, compare_with_baseline
from traintwice.report import sentences
from traintwice.study import Results, verdict
from traintwice_reproduction.kept import KEPT, rounded
from traintwice_reproduction.pages.methods import REFERENCES, rows_of_group

MEASURES = ("accuracy", "churn", "churn_to_error", "log_loss", "surrogate_churn", "surrogate_churn_matched")
IN_DIGITS = (metrics.accuracy, metrics.churn, metrics.churn_to_error, metrics.surrogate_churn)
COMPARED = {
    "accuracy": (metrics.accuracy, False),
    "churn": (metrics.churn, False),
    "surrogate_churn_matched": (metrics.surrogate_churn, True),
}
"""Name to metric, and whether it is at matched temperature."""

DIGITS = KEPT / "digits.json"
RETRAINED = 2
"""Replicas of the baseline whose predicted classes are kept: a test retrains them and compares."""


def of_digits(results: Results, date: str) -> dict[str, Any]:
    """Table and findings of the study `digits` as lines of Markdown."""
    table = results.table(IN_DIGITS).to_markdown().partition("\n\n")[2].strip()
    findings = "\n".join(f"- {sentence}" for sentence in sentences(verdict(results), results))
    command = f"traintwice run {results.experiment.name}"
    return {"schema": 1, "command": command, "date": date, "lines": f"{table}\n\n{findings}".splitlines()}


def digits(kept: dict[str, Any]) -> str:
    """The kept table and findings of the study `digits`."""
    return "\n".join([f"`{kept['command']}`, {kept['date']}:", "", *kept["lines"]])


def summary(results: Results, date: str) -> dict[str, Any]:
    """What the pages show of a study as plain values, without logits; of the machine only the versions of its software."""
    whole = results.to_dict()
    rows = {}
    for row in whole["table"]["rows"]:
        estimates = {m: [row[m][k] for k in ("value", "low", "high")] for m in MEASURES if row[m] is not None}
        rows[row["name"]] = {**estimates, **{k: row[k] for k in ("temperature", "train", "serve")}}
    plain = {
        "schema": 1,
        "command": f"traintwice run {results.experiment.name}",
        "date": date,
        "intervals": "[value, low, high], 95 %, for new replicas of the recipe and new examples",
        "test_examples": len(results.data.test),
        "rows": rows,
        "against_baseline": _against(results, results.baseline.name, [r for r in results.rows if r != results.baseline.name]),
        "against_equal_cost": {
            reference: _against(results, reference, [r for r in rows_of_group(rows, group) if r != reference])
            for group, reference in REFERENCES.items()
        },
        "components": whole["components"],
        "diverged": whole["diverged"],
        "identical": [list(pair) for pair in results.identical()],
        "accuracy_of_replicas": {
            row: metrics.accuracy.values(*_test(results, row)).mean(axis=1).tolist() for row in results.rows
        },
        "votes": {
            results.baseline.name: ["".join(map(str, v)) for v in _test(results, results.baseline.name)[0].argmax(-1)[:RETRAINED]]
        },
        "data_digest": whole["data_digest"],
        "environment": {
            "versions": whole["environment"]["versions"],
            "numerics": [{k: v for k, v in n.items() if k != "processor"} for n in whole["environment"]["numerics"]],
        },
    }
    return {**rounded(plain), "experiment": whole["experiment"]}


def _test(results: Results, row: str) -> tuple[np.ndarray, np.ndarray]:
    test = results[row].test
    return np.asarray(test.probs), np.asarray(test.labels)


def _against(results: Results, reference: str, rows: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows minus a reference, paired by replica; each measure Holm-adjusted over the rows."""
    rows = [row for row in rows if results[row].numbers == results[reference].numbers]
    found: dict[str, dict[str, Any]] = {row: {} for row in rows}
    for name, (metric, matched) in COMPARED.items():
        pairs = [
            (results.measure(metric, row, matched=matched), results.measure(metric, reference, matched=matched)) for row in rows
        ]
        for row, difference in zip(rows, compare_with_baseline(pairs), strict=True):
            found[row][name] = _plain(difference)
    return found


def _plain(difference: Difference) -> dict[str, Any]:
    e = difference.estimate
    return {"difference": [e.value, e.low, e.high], "p_holm": difference.adjusted, "significant": difference.significant}
