"""What came out: predictions of every row, their measures, the rows compared with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare import Difference, at_temperature, compare_with_baseline, fit_temperature, interval
from traintwice.data import Dataset
from traintwice.errors import BadInput, StoreError, TrainingFailed, Undefined, unknown
from traintwice.metrics import Measurement, Metric
from traintwice.metrics.components import ComponentDiagnostics, component_diagnostics
from traintwice.predictions import Predictions
from traintwice.recipes import Cost, Recipe
from traintwice.study.cautions import Caution, cautions
from traintwice.study.experiment import Experiment
from traintwice.study.kept import kept_probs
from traintwice.study.store import Store
from traintwice.tables import Column, Row, Table
from traintwice.types import TARGET_IN_WORDS, Estimate

MEASURES: tuple[Metric, ...] = (
    metrics.accuracy,
    metrics.churn,
    metrics.churn_to_error,
    metrics.churn_correct,
    metrics.churn_incorrect,
    metrics.log_loss,
    metrics.surrogate_churn,
    metrics.pairwise_l1,
    metrics.delta_1,
    metrics.delta_2,
    metrics.delta_label,
)
"""Columns of a study's table, accuracy and churn first: soft measures are never shown without them."""

MATCHED: tuple[Metric, ...] = (
    metrics.surrogate_churn,
    metrics.pairwise_l1,
    metrics.delta_1,
    metrics.delta_2,
    metrics.delta_label,
)
"""Measures that also have a temperature-matched column."""


@dataclass(frozen=True)
class RowResult:
    """One row: its recipe, what its replicas predict, and their records.

    Attributes:
        name, recipe, cost: of the row.
        numbers: of the replicas that did not diverge, in order; everything below is of these.
        logits: split name to raw logits ``M J N K``.
        validation, test: predictions of the kept output, with labels; of test with the groups and the time of the data.
        warm_up: of a stream, its first predictions, which count for no number.
        records: one for each replica (seed, numerics, versions, seconds ...).
    """

    name: str
    recipe: Recipe
    cost: Cost
    numbers: tuple[int, ...]
    logits: dict[str, np.ndarray]
    validation: Predictions
    test: Predictions
    records: tuple[dict[str, Any], ...]
    warm_up: Predictions | None = None

    @cached_property
    def temperature(self) -> float:
        """The temperature that minimises log loss on the validation split, pooled over the replicas."""
        return fit_temperature(self.validation)

    @cached_property
    def matched(self) -> Predictions:
        """Test predictions at that temperature."""
        return at_temperature(self.test, self.temperature)


class Results:
    """All rows of an experiment.

    Args:
        experiment: what was run.
        data: its data set.
        rows: by name, in the experiment's order; the first is the baseline.
        diverged: row name to the replicas that diverged and why.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Dataset,
        rows: dict[str, RowResult],
        diverged: Mapping[str, Mapping[int, str]] | None = None,
    ) -> None:
        self.experiment = experiment
        self.data = data
        self.rows = rows
        self.diverged = diverged or {}
        self._measured: dict[tuple[str, str, bool], Measurement] = {}

    def __getitem__(self, row: str) -> RowResult:
        if row in self.diverged and row not in self.rows:
            first, reason = next(iter(self.diverged[row].items()))
            raise BadInput(f"{row}: diverged, so that there is no such row to read (replica {first}: {reason})")
        if row not in self.rows:
            raise unknown("row", row, self.rows, listed="the report")
        return self.rows[row]

    @property
    def baseline(self) -> RowResult:
        """The row that the others are compared with."""
        return self.rows[self.experiment.baseline]

    @property
    def title(self) -> str:
        """One line: data, replicas, test examples."""
        recipe, e = self.baseline.recipe, self.experiment
        network = recipe.network.describe(self.data.shape, self.data.classes)
        passes = f"{recipe.epochs} epochs" if recipe.progressive is None else "one pass, predicted before trained on"
        return f"{e.name} · {network} · {passes} · {e.replicas} replicas each · {len(self.data.test):,} test examples"

    def measure(self, metric: Metric, row: str, *, matched: bool = False) -> Measurement:
        """A metric of a row on the test split, computed once."""
        at = (metric.definition.name, row, matched)
        if at not in self._measured:
            result = self[row]
            self._measured[at] = metric.definition.measure(result.matched if matched else result.test)
        return self._measured[at]

    def estimate(self, metric: Metric, row: str, *, matched: bool = False, level: float = 0.95) -> Estimate | None:
        """A metric of a row with its interval over new replicas and new examples; None where it has no value."""
        try:
            return interval(self.measure(metric, row, matched=matched), level=level)
        except Undefined:
            return None

    def compare(self, metric: Metric, *, level: float = 0.95) -> dict[str, Difference]:
        """Every other row minus the baseline, paired by replica, Holm-adjusted over the rows.

        Raises:
            Undefined: the metric has no value on some row.
        """
        others = [row for row in self.rows if row != self.baseline.name]
        found = compare_with_baseline([self.pair(metric, row, self.baseline.name) for row in others], level=level)
        return dict(zip(others, found, strict=True))

    def pair(self, metric: Metric, row: str, reference: str, *, matched: bool = False) -> tuple[Measurement, Measurement]:
        """A metric of two rows on the test split, on the replicas that both have, to be compared replica by replica.

        Raises:
            Undefined: they share fewer than two replicas, or the metric has no value on a row.
        """
        first, second = self[row], self[reference]
        if first.numbers == second.numbers:
            return self.measure(metric, row, matched=matched), self.measure(metric, reference, matched=matched)
        common = [m for m in first.numbers if m in second.numbers]
        if len(common) < 2:
            raise Undefined(f"{row} and {reference} share {len(common)} replicas that did not diverge; a comparison needs 2")
        parts = []
        for result in (first, second):
            whole = result.matched if matched else result.test
            parts.append(Predictions(whole.probs[[result.numbers.index(m) for m in common]], whole.labels))
        return metric.definition.measure(parts[0]), metric.definition.measure(parts[1])

    def diagnostics(self, row: str) -> ComponentDiagnostics | None:
        """How alike the components of a row are and how much varies across replicas together.

        None where there is one component, or where all logits of one are 0, so that no correlation is defined.
        """
        result = self[row]
        components = result.recipe.method.components
        if components == 1:
            return None
        try:
            return component_diagnostics(result.logits["test"][:, -components:])
        except Undefined:
            return None

    def identical(self) -> list[tuple[str, str]]:
        """Pairs of rows whose kept predictions are bit-identical: usually a switch that does nothing."""
        return [(a, b) for a, b in combinations(self.rows, 2) if np.array_equal(self[a].test.probs, self[b].test.probs)]

    def distinct(self, row: str) -> int:
        """How many of a row's replicas are distinct models, by the bits of their predictions."""
        return len({z.tobytes() for z in self[row].logits["test"]})

    def _alike(self) -> list[str]:
        """Sentences about rows whose replicas are not all distinct."""
        notes = []
        for name, result in self.rows.items():
            count, distinct, free = len(result.numbers), self.distinct(name), result.recipe.free()
            if distinct == 1 and not free:
                notes.append(f"{name}: every source is fixed: the replicas are one model.")
            elif distinct < count:
                reason = f"{' and '.join(free)} made no difference between some" if free else "though every source is fixed"
                notes.append(
                    f"{name}: its {count} replicas are {distinct} distinct model{'s' * (distinct > 1)}, bit for bit: {reason}."
                )
            elif not free:
                notes.append(f"{name}: every source is fixed, and no two replicas are alike: this hardware is not deterministic.")
        return notes

    def table(self, which: Sequence[Metric] = MEASURES, *, matched: Sequence[Metric] = (), level: float = 0.95) -> Table:
        """One line per row: measures with intervals, then the cost of training and serving.

        Args:
            which: the metrics wanted.
            matched: metrics wanted at matched temperature, in columns of their own.
            level: nominal coverage of the intervals.
        """
        columns = [Column(m.definition.name, m.definition.title, m.definition.unit) for m in which]
        columns += [Column(f"{m.definition.name}_matched", f"{m.definition.title} (T)", m.definition.unit) for m in matched]
        if matched:
            columns.append(Column("temperature", "T", "number"))
        columns += [Column("train", "train", "cost"), Column("serve", "serve", "cost")]
        rows = []
        for name, result in self.rows.items():
            cells: dict[str, Any] = {m.definition.name: self.estimate(m, name, level=level) for m in which}
            cells |= {f"{m.definition.name}_matched": self.estimate(m, name, matched=True, level=level) for m in matched}
            if matched:
                cells["temperature"] = result.temperature if cells[f"{matched[0].definition.name}_matched"] else None
            rows.append(Row(name, {**cells, "train": result.cost.train, "serve": result.cost.serve}))
        return Table(self.title, tuple(columns), tuple(rows), self.notes(level=level))

    def notes(self, *, level: float = 0.95) -> tuple[str, ...]:
        """What must be said beneath any table of these results."""
        replicas = self.experiment.replicas
        notes = [f"Intervals are {level * 100:g} %, for {TARGET_IN_WORDS['both']} (M = {replicas})."]
        if replicas < 3:
            notes.append(
                f"With {replicas} replicas the intervals of measures between replicas are for {TARGET_IN_WORDS['examples']}."
            )
        notes += [f"{a} and {b} predict bit for bit the same: a setting that does nothing?" for a, b in self.identical()]
        notes += self._alike()
        for row, lost in self.diverged.items():
            first, reason = next(iter(lost.items()))
            left = self.experiment.replicas - len(lost)
            rest = f"its numbers rest on the other {left}" if row in self.rows else "too few are left to measure"
            notes.append(
                f"{row}: {len(lost)} of {self.experiment.replicas} replicas diverged (replica {first}: {reason}); {rest}."
            )
        mixed = [row for row, result in self.rows.items() if len({str(r["numerics"]) for r in result.records}) > 1]
        if mixed:
            notes.append(
                f"Replicas with different numerics (engine, device, threads or versions) in one row: {', '.join(mixed)}."
            )
        return tuple(notes)

    def warnings(self) -> tuple[Caution, ...]:
        """What the methods of the rows do that their user may not expect; empty where there is nothing to say."""
        return cautions(self.experiment, classes=self.data.classes)

    def to_dict(self, *, level: float = 0.95) -> dict[str, Any]:
        """Plain values for JSON: spec, table, comparisons with the baseline, components, warnings, environment."""
        churn = self.compare(metrics.churn, level=level)
        accuracy = self.compare(metrics.accuracy, level=level)
        return {
            "schema": 1,
            "experiment": self.experiment.to_dict(),
            "data_digest": self.data.digest,
            "table": self.table(matched=MATCHED, level=level).to_dict(),
            "against_baseline": {row: {"churn": _plain(churn[row]), "accuracy": _plain(accuracy[row])} for row in churn},
            "components": {row: asdict(found) for row in self.rows if (found := self.diagnostics(row)) is not None},
            "warnings": [asdict(caution) for caution in self.warnings()],
            "diverged": {row: {str(m): reason for m, reason in lost.items()} for row, lost in self.diverged.items()},
            "environment": self.environment(),
        }

    def environment(self) -> dict[str, Any]:
        """Numerics and versions of the replicas, and how long they took."""
        records = [record for result in self.rows.values() for record in result.records]
        distinct = {str(sorted(r["numerics"].items())): r["numerics"] for r in records}
        versions = {str(sorted(r["versions"].items())): r["versions"] for r in records}
        unique = {(r["key"], r["replica"]): r["seconds"] for r in records}
        return {
            "numerics": list(distinct.values()),
            "versions": list(versions.values()),
            "training_seconds": round(sum(unique.values()), 3),
        }

    def _repr_html_(self) -> str:
        return self.table().to_html()

    def __repr__(self) -> str:
        return f"Results({self.experiment.name!r}, {len(self.rows)} rows, {self.experiment.replicas} replicas each)"


def gather(experiment: Experiment, store: Store, data: Dataset) -> Results:
    """The results of an experiment whose replicas all lie in the store.

    Replicas that diverged are left out and counted; a row of which fewer than two are left is left out and named.

    Raises:
        StoreError: some are missing or damaged; the message counts them. TrainingFailed: the baseline has nothing to measure.
    """
    keys = {row: experiment.key(row, data) for row in experiment.rows}
    opened = {row: [store.open(key, m) for m in range(experiment.replicas)] for row, key in keys.items()}
    absent = {row: sum(not isinstance(found, tuple) for found in all_of) for row, all_of in opened.items()}
    if any(absent.values()):
        listed = ", ".join(f"{row} {count}" for row, count in absent.items() if count)
        raise StoreError(f"{store.path}: replicas missing or damaged ({listed}); `traintwice run` trains them")
    rows, diverged = {}, {}
    for row in keys:
        known = {m: found for m, found in enumerate(opened[row]) if isinstance(found, tuple)}
        lost = {m: record["diverged"] for m, (record, _) in known.items() if "diverged" in record}
        if lost:
            diverged[row] = lost
        if len(known) - len(lost) >= 2:
            rows[row] = _row(row, experiment, data, {m: found for m, found in known.items() if m not in lost})
    if experiment.baseline not in rows:
        first = next(iter(diverged[experiment.baseline].items()))
        raise TrainingFailed(
            f"{experiment.baseline}: {len(diverged[experiment.baseline])} of {experiment.replicas} replicas diverged (replica {first[0]}: "
            f"{first[1]}); without a baseline there is nothing to compare"
        )
    return Results(experiment, data, rows, diverged)


def _row(
    row: str, experiment: Experiment, data: Dataset, replicas: dict[int, tuple[dict[str, Any], dict[str, np.ndarray]]]
) -> RowResult:
    recipe = experiment.rows[row]
    records, loaded = zip(*replicas.values(), strict=True)
    outputs = {name: np.stack([arrays[name] for arrays in loaded]) for name in loaded[0]}
    method = recipe.method
    probs = {
        split: kept_probs(outputs[split], method.keep, components=method.components, gate=outputs.get(f"{split}.gate"))
        for split in ("validation", "test", "warm_up")
        if split in outputs
    }
    test = Predictions(probs["test"], data.test.labels, groups=data.groups)
    validation = Predictions(probs["validation"], data.validation.labels)
    warm_up = Predictions(probs["warm_up"]) if "warm_up" in probs else None
    cost = recipe.cost(experiment.rows[experiment.baseline], data.shape, data.classes)
    logits = {split: outputs[split] for split in ("validation", "test")}
    return RowResult(row, recipe, cost, tuple(replicas), logits, validation, test, records, warm_up)


def _plain(difference: Difference) -> dict[str, Any]:
    return {
        **difference.estimate.to_dict(),
        "p_value": difference.p_value,
        "p_holm": difference.adjusted,
        "significant": difference.significant,
        "more_replicas_to_settle": difference.more_replicas,
    }
