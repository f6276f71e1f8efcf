"""Kept numbers of the studies of claims: rows, and the difference of each claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from traintwice import metrics
from traintwice.compare import compare_with_baseline
from traintwice.metrics import Metric
from traintwice.metrics._functions import mean_metric
from traintwice.predictions import Predictions
from traintwice.presets import PRESETS
from traintwice.study import Experiment, Results, component_table
from traintwice.types import Array
from traintwice_reproduction.kept import KEPT, read, rounded
from traintwice_reproduction.pages.claims import CLAIMS, TABLED
from traintwice_reproduction.studies import STUDIES
from traintwice_reproduction.tables.flags import flags_of

FOLDER = KEPT / "findings"
REPLICAS = 20
"""M of every study of the page."""
SHOWN = ("accuracy", "churn", "churn_to_error", "surrogate_churn", "delta_1")
SHOWN_OF_STREAMS = ("relative_pairwise", "log_loss")
DIGITS = 5
"""Significant digits of kept numbers."""
COMPONENTS = {"variance_within": "v", "covariance_between": "c", "correlation": "correlation", "logit_scale": "logit scale"}
"""Measures of the components of a row to their titles."""

RETRAINED = 2
"""Replicas of the baseline whose predicted classes are kept: a test retrains them and compares."""

NAMES = tuple(name for name in (*STUDIES, *PRESETS) if name.startswith(tuple(CLAIMS)))
"""Every study of claims."""


@mean_metric("confidence", "replica", unit="number", needs_probs=True)
def confidence(predictions: Predictions) -> Array:
    """Largest probability minus the second largest, mean over replicas and examples.

        confidence = mean over m and n of γ_mn,   γ = P of the predicted label − largest P of the others

    Source: CH eq. (5).
    """
    two = np.partition(np.asarray(predictions.by_class), -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def metric_of(name: str) -> Metric:
    """The metric of a claim, without "(T)"."""
    name = name.partition(" ")[0]
    return confidence if name == "confidence" else cast(Metric, getattr(metrics, name))


def study_of(name: str) -> Experiment:
    """A study with the replicas of the page."""
    return replace(experiment_of(name), replicas=REPLICAS)


def experiment_of(name: str) -> Experiment:
    """The study of a name, of traintwice or of this package."""
    made = {**STUDIES, **PRESETS}[name]()  # type: ignore[operator]  # no composite study has claims
    assert isinstance(made, Experiment)  # noqa: S101
    return made


def family_of(name: str) -> str:
    """Key in `CLAIMS` of a study."""
    return name if name in CLAIMS else next(f for f in CLAIMS if name.startswith(f"{f}-"))


def stage_of(name: str) -> str:
    """Name of a study's data set or network on the page."""
    family = family_of(name)
    return name.rpartition("-")[2] if name == family else name.removeprefix(f"{family}-")


def kept_studies() -> dict[str, dict[str, Any]]:
    """Name to kept numbers of every study of the page."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.json"))}


def summary(results: Results, family: str, date: str) -> dict[str, Any]:
    """A study as plain values: its rows, and the difference of each claim, Holm-adjusted over the claims of the study."""
    name, replicas = results.experiment.name, results.experiment.replicas
    claims = [c for c in CLAIMS[family] if {c.row, c.reference} <= set(results.rows)]
    found = _differences(results, [(c.row, c.reference, c.metric) for c in claims])
    of_stream = results.data.places is not None
    rows: dict[str, dict[str, Any]] = {}
    for row, result in results.rows.items():
        shown = (*SHOWN, *SHOWN_OF_STREAMS) if of_stream else SHOWN
        estimates = {name: results.estimate(getattr(metrics, name), row) for name in shown}
        rows[row] = {name: [e.value, e.low, e.high] for name, e in estimates.items() if e is not None}
        rows[row] |= {"train": result.cost.train, "serve": result.cost.serve}
    first, environment = results.baseline, results.environment()
    return {
        "schema": 1,
        "command": f"traintwice run {name}{'' if experiment_of(name).replicas == replicas else f' --replicas {replicas}'}",
        "date": date,
        "replicas": replicas,
        "data": results.data.name,
        "network": first.recipe.network.describe(results.data.shape, results.data.classes),
        "train_examples": len(results.data.train),
        "test_examples": len(results.data.test),
        "rows": rounded(rows, DIGITS),
        "claims": rounded(dict(zip([c.key for c in claims], found, strict=True)), DIGITS),
        **({"against_baseline": rounded(_against_baseline(results, TABLED[family]), DIGITS)} if family in TABLED else {}),
        "components": rounded(_components(results), DIGITS) if family == "claims.ad" else {},
        "diverged": {row: len(lost) for row, lost in results.diverged.items()},
        "flagged": flags_of(results),
        "votes": ["".join(map(str, v)) for v in first.test.probs.argmax(-1)[:RETRAINED].tolist()]
        if results.data.classes < 11 and not of_stream
        else [],
        "data_digest": results.data.digest,
        "versions": environment["versions"],
        "engine": sorted({str(n.get("engine", "loop")) for n in environment["numerics"]}),
        "processors": sorted({str(n["processor"]) for n in environment["numerics"]}),
    }


def _components(results: Results) -> dict[str, dict[str, Any]]:
    """Variance and covariance of the components of each row."""
    table = component_table(results)
    return {} if table is None else {row.name: {key: row.cells[key] for key in COMPONENTS} for row in table.rows if row.cells}


def _differences(results: Results, comparisons: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Differences of rows against references, Holm-adjusted over all of them."""
    pairs = [_pair(results, metric, row, reference) for row, reference, metric in comparisons]
    return [
        {
            "difference": [d.estimate.value, d.estimate.low, d.estimate.high],
            "reference": float(reference.value),
            "p_holm": d.adjusted,
            "significant": d.significant,
        }
        for d, (_, reference) in zip(compare_with_baseline(pairs), pairs, strict=True)
    ]


def _against_baseline(results: Results, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Every row minus the first; each metric Holm-adjusted over the rows."""
    first = results.baseline.name
    others = [row for row in results.rows if row != first]
    by_metric = {metric: _differences(results, [(row, first, metric) for row in others]) for metric in names}
    return {metric: dict(zip(others, found, strict=True)) for metric, found in by_metric.items()}


def _pair(results: Results, metric: str, row: str, reference: str) -> tuple[metrics.Measurement, metrics.Measurement]:
    return results.pair(metric_of(metric), row, reference, matched=metric.endswith("(T)"))
