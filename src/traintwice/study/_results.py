"""Results of a study: predictions of every row, their measures, and comparisons with the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from traintwice import metrics
from traintwice._typed import typed
from traintwice.compare import Against, Difference, compare_with_baseline, compare_with_served, interval
from traintwice.compare._floor import MARGIN
from traintwice.data import Dataset
from traintwice.errors import BadInput, StoreError, TrainingFailed, Undefined, unknown
from traintwice.metrics import Measurement, Metric
from traintwice.metrics._components import ComponentDiagnostics, component_diagnostics
from traintwice.predictions import Predictions
from traintwice.served import Logged
from traintwice.study._experiment import Experiment
from traintwice.study._rows import Caution, DivergedReplicas, RowResult, cautions, identical_rows, notes_on, row_result
from traintwice.study._store import Store
from traintwice.tables import Column, Row, Table
from traintwice.types import Estimate

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
"""Columns of a study's table; accuracy and churn come first and are always shown."""

MATCHED = MEASURES[-5:]
"""Measures that also have a temperature-matched column."""


@dataclass(repr=False, eq=False)
@typed
class Results:
    """All rows of an experiment.

    Args:
        experiment: the experiment.
        data: its data set.
        rows: by name, in the experiment's order; the first is the baseline.
        diverged: row name to the replicas that diverged, each with the reason.
        store: directory of the replicas.
    """

    experiment: Experiment
    data: Dataset
    rows: dict[str, RowResult]
    diverged: DivergedReplicas = field(default_factory=dict)
    store: Path = Path()
    _measured: dict[tuple[str, str, bool], Measurement] = field(default_factory=dict, init=False)

    def __getitem__(self, row: str) -> RowResult:
        if row in self.diverged and row not in self.rows:
            first, reason = next(iter(self.diverged[row].items()))
            raise BadInput(f"{row}: has no results, because its replicas diverged (replica {first}: {reason})")
        if row not in self.rows:
            raise unknown("row", row, self.rows, listed="the report")
        return self.rows[row]

    @property
    def baseline(self) -> RowResult:
        """The row that the others are compared with."""
        return self.rows[self.experiment.baseline]

    @property
    def title(self) -> str:
        """One line: experiment, network, epochs, replicas, test examples."""
        recipe, e = self.baseline.recipe, self.experiment
        network = recipe.network.describe(self.data.shape, self.data.classes)
        passes = f"{recipe.epochs} epochs" if recipe.progressive is None else "one pass, predicted before trained on"
        return f"{e.name} · {network} · {passes} · {e.replicas} replicas each · {len(self.data.test):,} test examples"

    def measure(self, metric: Metric, row: str, *, matched: bool = False) -> Measurement:
        """A metric of a row on the test split; computed once."""
        at = (metric.definition.name, row, matched)
        if at not in self._measured:
            result = self[row]
            self._measured[at] = metric.definition.measure(result.matched if matched else result.test)
        return self._measured[at]

    def estimate(self, metric: Metric, row: str, *, matched: bool = False, level: float = 0.95) -> Estimate | None:
        """A metric of a row with its interval over new replicas and new examples; None where the metric is undefined."""
        try:
            return interval(self.measure(metric, row, matched=matched), level=level)
        except Undefined:
            return None

    def compare(self, metric: Metric, *, level: float = 0.95) -> dict[str, Difference]:
        """Differences of the other rows from the baseline, paired by replica, Holm-adjusted over the rows.

        Raises:
            Undefined: the metric is undefined on a row.
        """
        others = [row for row in self.rows if row != self.baseline.name]
        found = compare_with_baseline([self.pair(metric, row, self.baseline.name) for row in others], level=level)
        return dict(zip(others, found, strict=True))

    def pair(self, metric: Metric, row: str, reference: str, *, matched: bool = False) -> tuple[Measurement, Measurement]:
        """A metric of two rows on the test split, on the replicas that both rows have.

        Raises:
            Undefined: the rows share fewer than two replicas, or the metric is undefined on a row.
        """
        first, second = self[row], self[reference]
        if first.numbers == second.numbers:
            return self.measure(metric, row, matched=matched), self.measure(metric, reference, matched=matched)
        common = [m for m in first.numbers if m in second.numbers]
        if len(common) < 2:
            raise Undefined(f"{row} and {reference} share {len(common)} replicas that did not diverge; a comparison needs 2")
        whole = [(result, result.matched if matched else result.test) for result in (first, second)]
        one, other = (Predictions(p.probs[[r.numbers.index(m) for m in common]], p.labels) for r, p in whole)
        return metric.definition.measure(one), metric.definition.measure(other)

    def diagnostics(self, row: str) -> ComponentDiagnostics | None:
        """Correlation of the components of a row, and their variance and covariance across replicas.

        None where there is one component, or where all logits of a component are 0: the correlation is then undefined.
        """
        result = self[row]
        components = result.recipe.method.components
        if components == 1:
            return None
        try:
            return component_diagnostics(result.logits["test"][:, -components:])
        except Undefined:
            return None

    def curves(self) -> dict[str, dict[str, Any]]:
        """Training loss of every replica over the training, by row.

        Returns:
            For each row, ``epochs``: passes over the data at the end of each point; ``loss``: replica to its points. A point is the mean
            over an epoch, or part of one, of the weighted sum of the method's terms; None where no step had examples to train on. Rows
            whose replicas were trained by an earlier version are left out.
        Source:
            Ours.
        """
        found = {}
        for name, row in self.rows.items():
            if losses := row.losses:
                points = len(next(iter(losses.values())))
                epochs = [round(row.recipe.epochs * (i + 1) / points, 4) for i in range(points)]
                found[name] = {"epochs": epochs, "loss": losses}
        return found

    def identical(self) -> list[tuple[str, str]]:
        """Pairs of rows whose predictions are bit-identical: usually a setting that has no effect."""
        return identical_rows(self.rows)

    def against(
        self, served: Logged | str | Path, *, id: str | None = None, level: float = 0.95, margin: float = MARGIN
    ) -> Against:
        """Compare every recipe with the model in service on the test rows; the floor is the churn of the recipe's own replicas.

        Args:
            served: its predictions of the test rows, a file or `Logged`.
            id: name of the column of ids, see `Logged`.
            level, margin: see `traintwice.compare.compare_with_served`.
        Raises:
            BadInput: the file lacks a test row, or has other classes.
        """
        logged = served if isinstance(served, Logged) else Logged(str(served), id=id)
        data = self.data
        answers = logged.probs(data.ids_of("test"), classes=data.classes, class_names=data.class_names).argmax(axis=1)
        recipes = {name: (row.test, row.numbers) for name, row in self.rows.items()}
        return compare_with_served(logged.file, answers, recipes, level=level, margin=margin)

    def table(self, which: Sequence[Metric] = MEASURES, *, matched: Sequence[Metric] = (), level: float = 0.95) -> Table:
        """One line per row: measures with intervals, then the cost of training and serving.

        Args:
            which: the metrics to show.
            matched: metrics to show at matched temperature, in columns of their own.
            level: nominal coverage of the intervals.
        """
        columns = [Column(m.definition.name, m.definition.title, m.definition.unit) for m in which]
        columns += [Column(f"{m.definition.name}_matched", f"{m.definition.title} (T)", m.definition.unit) for m in matched]
        if matched:
            columns.append(Column("temperature", "T", "number"))
        columns += [Column("train", "train", "cost"), Column("serve", "serve", "cost")]
        rows = []
        for name, result in self.rows.items():
            cells: dict[str, Estimate | float | None] = {m.definition.name: self.estimate(m, name, level=level) for m in which}
            cells |= {f"{m.definition.name}_matched": self.estimate(m, name, matched=True, level=level) for m in matched}
            if matched:
                cells["temperature"] = result.temperature if cells[f"{matched[0].definition.name}_matched"] else None
            rows.append(Row(name, {**cells, "train": result.cost.train, "serve": result.cost.serve}))
        return Table(self.title, tuple(columns), tuple(rows), self.notes(level=level))

    def notes(self, *, level: float = 0.95) -> tuple[str, ...]:
        """Notes that belong under any table of these results."""
        return notes_on(self.experiment, self.rows, self.diverged, level)

    def warnings(self) -> tuple[Caution, ...]:
        """Warnings of the methods of the rows, see `Method.warnings`."""
        return cautions(self.experiment, classes=self.data.classes)

    def to_dict(self, *, level: float = 0.95) -> dict[str, Any]:
        """Plain values for JSON: experiment, table, comparisons with the baseline, components, warnings, environment."""
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
            "curves": {
                row: {**found, "loss": {str(m): points for m, points in found["loss"].items()}}
                for row, found in self.curves().items()
            },
            "diverged": {row: {str(m): reason for m, reason in lost.items()} for row, lost in self.diverged.items()},
            "environment": self.environment(),
        }

    def environment(self) -> dict[str, Any]:
        """Numerics and versions of the replicas, and the seconds of their training."""
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


@typed
def gather(experiment: Experiment, store: Store, data: Dataset) -> Results:
    """The results of an experiment whose replicas are all in the store.

    Replicas that diverged are left out and counted. A row with fewer than two remaining replicas is left out and named.

    Raises:
        StoreError: replicas are missing or damaged; the message counts them. TrainingFailed: the baseline has fewer than two replicas.
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
            rows[row] = row_result(row, experiment, data, {m: found for m, found in known.items() if m not in lost})
    if experiment.baseline not in rows:
        first = next(iter(diverged[experiment.baseline].items()))
        raise TrainingFailed(
            f"{experiment.baseline}: {len(diverged[experiment.baseline])} of {experiment.replicas} replicas diverged (replica {first[0]}: "
            f"{first[1]}); a comparison needs at least two replicas of the baseline"
        )
    return Results(experiment, data, rows, diverged, store.path)


def _plain(difference: Difference) -> dict[str, Any]:
    return {
        **difference.estimate.to_dict(),
        "p_value": difference.p_value,
        "p_holm": difference.adjusted,
        "significant": difference.significant,
        "more_replicas_to_settle": difference.more_replicas,
    }
