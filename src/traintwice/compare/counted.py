"""A comparison of two models computed by DuckDB, for very many rows: no row reaches Python, and fewer parts are filled.

All measures of predicted labels follow from how many rows are of each of seven kinds: with a label, both models right, both wrong
alike, broken, mended or wrong in another way; without one, unchanged or changed. One row of each kind is given to the very metrics
that the streamed comparison uses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare.both_models import BETWEEN, change_of
from traintwice.compare.flow import FlowCounts
from traintwice.compare.intervals import interval
from traintwice.compare.moments import example_estimate
from traintwice.compare.results import PREDICTED, Decisions, Diff, Flow, Measured, Quality
from traintwice.compare.slices import Slices
from traintwice.compare.wanted import Wanted
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Metric, Summary
from traintwice.metrics.definition import OnePass
from traintwice.predictions import AlignedPredictions, Predictions, Rows
from traintwice.types import Estimate

FROM_ROWS = 2_000_000
"""Rows from which DuckDB does the sums unless details are asked for."""

LOGARITHMS = "left out beyond 2,000,000 rows, for speed; which=['log_loss'] (--also log_loss) brings it"

NOT_COUNTED = "left out beyond 2,000,000 rows, for speed; details=True (--details) brings it"

LABELLED = Predictions.trusted(np.array([[0, 1, 0, 1, 1], [0, 1, 1, 0, 2]]), np.zeros(5, dtype=np.int64))
"""One row of each kind with a label: both right, both wrong alike, broken, mended, wrong in another way."""

UNLABELLED = Predictions.trusted(np.array([[0, 0], [0, 1]]))
"""One row of each kind without a label: unchanged, changed."""

EVERY = Predictions.trusted(np.concatenate([LABELLED.votes, UNLABELLED.votes], axis=1))
"""All seven kinds, labels not attached."""

COLUMNS = {"a": "CAST(v0 AS DOUBLE)", "b": "CAST(v1 AS DOUBLE)", "d": "p0_1 - p1_1"}
"""Columns that the sums over two binary models are made of: the predicted classes and the difference of their scores."""

VOTES = {"a": "a", "b": "b", "ab": "a * b"}
"""What is summed to count rows by the classes that the two models predict."""

SOFT = {"tv": "abs(d)", "tv2": "d * d"}

LABEL = {"y1": "CAST(y AS DOUBLE)", "y0": "1 - CAST(y AS DOUBLE)"}

OF_LABEL = {f"q{m}": f"y1 * p{m}_1 + y0 * p{m}_0" for m in (0, 1)}
"""The probability of the label, exactly: one of the two terms is zero."""

LOSSES = {f"l{m}": f"CASE WHEN q{m} > 0 THEN -ln(q{m}) END" for m in (0, 1)}

OF_CLASS = {**{f"{name}_y": f"{sql} * y1" for name, sql in VOTES.items()}, "y": "y1"}
"""What is summed where there are labels."""

OF_LOSS = {
    **{name: name for name in ("l0", "l1")},
    **{f"{name}2": f"{name} * {name}" for name in ("l0", "l1")},
    "gain2": "(l1 - l0) * (l1 - l0)",
    "zero0": "q0 = 0",
    "zero1": "q1 = 0",
}
"""What is summed for the log loss: two logarithms of every row take as long as all else."""


def can_count(rows: Rows, wanted: Wanted, details: bool | None) -> bool:
    """Whether the comparison is left to DuckDB: very many rows of two models, and nothing asked for that needs the rows."""
    files = rows.files
    if details or files is None or rows.regression or rows.waive or wanted.pairs is not None or files.has_weights:
        return False
    if (
        wanted.which
        or set(wanted.quality) - {metrics.log_loss}
        or wanted.whole
        or wanted.by_slice
        or wanted.top_k
        or wanted.temperature_matched
    ):
        return False
    if rows.has_probs and rows.classes != 2:
        return False
    return details is False or files.most_rows >= FROM_ROWS


def counted(rows: Rows, files: AlignedPredictions, wanted: Wanted) -> Diff:
    """The comparison of two models by DuckDB."""
    counts = _Binary(files, wanted) if rows.has_probs else _Votes(files)
    if not files.alignment.rows:
        raise BadInput("no rows are left to compare")
    kinds, level = counts.kinds, wanted.level
    left_out = dict.fromkeys(("brier", "calibration_error", "surrogate_churn", "delta_label", "relative_delta_1"), NOT_COUNTED)
    left_out |= dict.fromkeys(("relative_delta_positive", "lemma_2", "tight_lemma_2", "confidence", "scores"), NOT_COUNTED)
    left_out |= dict.fromkeys(("moved", "reviews"), NOT_COUNTED)
    slices = Slices(rows.groups, None)
    for value, of_class in counts.by_class().items():
        _add(slices, PREDICTED, value, of_class)
    for name in rows.groups:
        for record in files.sums_by(KINDS, [name]):
            _add(slices, name, record[name], kinds_of(record, record["rows"]))
    shown, few = slices.result(wanted.min_support, level, rows.class_names)
    quality, infinite = counts.quality(level, left_out)
    between = _between(kinds, level, left_out)
    if isinstance(counts, _Binary):
        between = [*between, counts.total_variation(level)]
        decisions = counts.decisions(level)
    else:
        left_out |= dict.fromkeys(("log_loss", "total_variation"), "needs probabilities")
        decisions = ()
        if wanted.thresholds:
            left_out["thresholds"] = "needs the probabilities of two classes"
    found = {q.name: q for q in quality}
    accuracy = found.get("accuracy")
    return Diff(
        alignment=rows.summary,
        level=level,
        weighted=False,
        regression=False,
        quality=tuple(quality),
        measures=tuple(between),
        bounds={} if accuracy is None else {"lemma_1": 2.0 - accuracy.old.value - accuracy.new.value},
        floor=None,
        flow=counts.flow(rows.classes, rows.class_names),
        confidence=(),
        scores=(),
        decisions=decisions,
        swap_sets=(),
        slices=shown,
        slices_left_out=few,
        min_support=wanted.min_support,
        moved=(),
        reviews=(),
        matched=None,
        no_rows=wanted.no_rows,
        left_out=left_out,
        infinite=infinite,
    )


KINDS = {
    "right": "v0 = y",
    "broken": "v0 = y AND v1 <> y",
    "mended": "v0 <> y AND v1 = y",
    "changed": "v0 <> v1",
    "changed_labelled": "v0 <> v1 AND y IS NOT NULL",
    "labelled": "y IS NOT NULL",
}
"""What is counted to tell how many rows are of each kind."""


def kinds_of(found: Mapping[str, float], rows: float) -> np.ndarray:
    """Rows of each of the seven kinds, from the counts of `KINDS`."""
    broken, mended = found["broken"], found["mended"]
    both_right = found["right"] - broken
    another = found["changed_labelled"] - broken - mended
    alike = found["labelled"] - both_right - broken - mended - another
    changed = found["changed"] - found["changed_labelled"]
    return np.array([both_right, alike, broken, mended, another, rows - found["labelled"] - changed, changed])


def summary_of(metric: Metric, block: Predictions, counts: np.ndarray) -> Summary:
    """A metric over rows that come counted: ``counts[i]`` rows are like row i of the block.

    Raises:
        Undefined: no rows, or see the metric.
    """
    definition, total = metric.definition, float(counts.sum())
    if not isinstance(definition, OnePass) or total == 0:
        raise Undefined("no rows")
    sums, means = definition.add(block, counts)
    done = definition.conclude(sums, block.replicas, total)
    influence = done.slopes @ (means - done.centre[:, None])
    variance = float(counts @ influence**2) / (total - 1) / total if total > 1 else math.nan
    return Summary(done.value, done.rows, done.dropped, variance, int(total))


def _between(kinds: np.ndarray, level: float, left_out: dict[str, str]) -> list[Measured]:
    found = []
    for metric in BETWEEN:
        d = metric.definition
        if d.needs_probs:
            continue
        estimate = _estimate(metric, LABELLED if d.needs_labels else EVERY, kinds, level, left_out)
        if estimate is not None:
            found.append(Measured(d.name, d.title, d.unit, d.soft, estimate))
    return found


def _estimate(metric: Metric, block: Predictions, kinds: np.ndarray, level: float, left_out: dict[str, str]) -> Estimate | None:
    counts = kinds[: block.examples]
    if block.has_labels and not counts.sum():
        left_out[metric.__name__] = "needs labels"
        return None
    try:
        return interval(summary_of(metric, block, counts), level=level)
    except (Undefined, TooFewReplicas) as reason:
        left_out[metric.__name__] = str(reason)
        return None


def _accuracy(kinds: np.ndarray, level: float, left_out: dict[str, str]) -> list[Quality]:
    d, metric = metrics.accuracy.definition, metrics.accuracy
    blocks = (LABELLED.models(0, 1), LABELLED.models(1, 2))
    old, new = (_estimate(metric, block, kinds, level, left_out) for block in blocks)
    if old is None or new is None:
        return []
    change = interval(summary_of(change_of(metric), LABELLED, kinds[:5]), level=level)
    return [Quality(d.name, d.title, d.unit, old, new, change)]


def _add(slices: Slices, column: str, value: object, kinds: np.ndarray) -> None:
    for block, counts in ((LABELLED, kinds[:5]), (UNLABELLED, kinds[5:])):
        if counts.any():
            slices.add_cells(column, [value] * block.examples, block, counts)


class _Votes:
    """Counts of rows by old class, new class and whether each is right."""

    def __init__(self, files: AlignedPredictions) -> None:
        right = {"r0": "v0 = y", "r1": "v1 = y"} if files.has_labels else {"r0": "NULL::BOOLEAN", "r1": "NULL::BOOLEAN"}
        self._cells = files.counts_by({"v0": "v0", "v1": "v1", **right})
        self.kinds = sum((_kind(c) for c in self._cells), np.zeros(7))

    def by_class(self) -> dict[object, np.ndarray]:
        found: dict[object, np.ndarray] = {}
        for cell in self._cells:
            found[cell["v0"]] = found.get(cell["v0"], np.zeros(7)) + _kind(cell)
        return found

    def quality(self, level: float, left_out: dict[str, str]) -> tuple[list[Quality], dict[str, str]]:
        return _accuracy(self.kinds, level, left_out), {}

    def flow(self, classes: int | None, names: Sequence[str] | None) -> Flow:
        flow = FlowCounts()
        for cell in self._cells:
            flow.add_cell(int(cell["v0"]), int(cell["v1"]), int(cell["rows"]))
        return flow.result(classes, names)


def _kind(cell: Mapping[str, Any]) -> np.ndarray:
    changed, before, after = cell["v0"] != cell["v1"], cell["r0"], cell["r1"]
    if before is None:
        place = 6 if changed else 5
    else:
        place = {(True, True): 0, (True, False): 2, (False, True): 3}.get((before, after), 4 if changed else 1)
    found = np.zeros(7)
    found[place] = cell["rows"]
    return found


class _Binary:
    """Sums over the rows of two binary models, taken in the pass that matches the rows."""

    def __init__(self, files: AlignedPredictions, wanted: Wanted) -> None:
        self.losses = files.has_labels and metrics.log_loss in wanted.quality
        asked = VOTES | SOFT | (OF_CLASS if files.has_labels else {}) | (OF_LOSS if self.losses else {})
        self._thresholds = wanted.thresholds
        for i, t in enumerate(wanted.thresholds):
            asked |= {
                f"old_{i}_t": f"p0_1 >= {t!r}",
                f"new_{i}_t": f"p1_1 >= {t!r}",
                f"up_{i}_t": f"p0_1 < {t!r} AND p1_1 >= {t!r}",
            }
        steps = (COLUMNS | LABEL if files.has_labels else COLUMNS, *((OF_LABEL, LOSSES) if self.losses else ()))
        self._sums = files.sums(asked, steps)
        self.rows = files.alignment.rows
        self.labelled = files.alignment.labelled
        every = self._by_votes("", self.rows)
        labelled, positive = np.zeros((2, 2)), np.zeros((2, 2))
        if self.labelled:
            positive = self._by_votes("_y", self._sums["y"])
            labelled = every
        if 0 < self.labelled < self.rows:
            self._sums |= files.sums({f"{name}_l": f"{sql} + 0 * y1" for name, sql in VOTES.items()}, (COLUMNS | LABEL,))
            labelled = self._by_votes("_l", self.labelled)
        self._cells = np.stack([labelled - positive, positive, every - labelled], axis=-1)
        self.kinds = self._kinds(self._cells)

    def _by_votes(self, ending: str, rows: float) -> np.ndarray:
        """How many of some rows have each pair of predicted classes, from three sums over them."""
        old, new, both = (self._sums[f"{name}{ending}"] for name in VOTES)
        return np.array([[rows - old - new + both, new - both], [old - both, both]])

    @staticmethod
    def _kinds(cells: np.ndarray) -> np.ndarray:
        """Rows of each of the seven kinds, from counts by old class, new class, and label (none last)."""
        found = np.zeros(7)
        for old, new, label in np.ndindex(2, 2, 2):
            found[{(True, True): 0, (False, False): 1, (True, False): 2, (False, True): 3}[old == label, new == label]] += cells[
                old, new, label
            ]
        found[5] = cells[0, 0, 2] + cells[1, 1, 2]
        found[6] = cells[0, 1, 2] + cells[1, 0, 2]
        return found

    def by_class(self) -> dict[object, np.ndarray]:
        none = np.zeros((1, 2, 3))
        first, second = self._cells[:1], self._cells[1:]
        return {0: self._kinds(np.concatenate([first, none])), 1: self._kinds(np.concatenate([none, second]))}

    def quality(self, level: float, left_out: dict[str, str]) -> tuple[list[Quality], dict[str, str]]:
        found = _accuracy(self.kinds, level, left_out)
        if not self.labelled:
            left_out["log_loss"] = "needs labels"
            return found, {}
        if not self.losses:
            left_out["log_loss"] = LOGARITHMS
            return found, {}
        d, s = metrics.log_loss.definition, self._sums
        zeros = [s[f"zero{m}"] for m in (0, 1)]
        models = [self._mean(math.inf if z else s[f"l{m}"], s[f"l{m}2"], self.labelled, level, 1) for m, z in enumerate(zeros)]
        gained = s["l1"] - s["l0"]
        if any(zeros):
            gained = math.nan if all(zeros) else math.inf if zeros[1] else -math.inf
        change = self._mean(gained, s["gain2"], self.labelled, level, 2)
        found.append(Quality(d.name, d.title, d.unit, models[0], models[1], change))
        which = [f"in {z:,.0f} rows of the {name} model" for name, z in zip(("old", "new"), zeros, strict=True) if z]
        return found, {"log_loss": " and ".join(which)} if which else {}

    def total_variation(self, level: float) -> Measured:
        d = metrics.total_variation.definition
        estimate = self._mean(self._sums["tv"], self._sums["tv2"], self.rows, level, 2)
        return Measured(d.name, d.title, d.unit, d.soft, estimate)

    def decisions(self, level: float) -> tuple[Decisions, ...]:
        def share(count: float, replicas: int) -> Estimate:
            return self._mean(count, count, self.rows, level, replicas)

        found = []
        for i, t in enumerate(self._thresholds):
            old, new, up = (self._sums[f"{name}_{i}_t"] for name in ("old", "new", "up"))
            down = old + up - new
            found.append(Decisions(t, share(old, 1), share(new, 1), share(up + down, 2), share(up, 2), share(down, 2)))
        return tuple(found)

    def flow(self, classes: int | None, names: Sequence[str] | None) -> Flow:
        flow = FlowCounts()
        for (old, new), count in np.ndenumerate(self._cells.sum(axis=-1)):
            flow.add_cell(old, new, int(count))
        return flow.result(classes, names)

    def _mean(self, total: float, squares: float, rows: int, level: float, replicas: int) -> Estimate:
        value = total / rows
        variance = math.nan
        if rows > 1 and math.isfinite(value):
            variance = max(squares - rows * value**2, 0.0) / (rows - 1) / rows
        return example_estimate(value, variance, replicas=replicas, rows=rows, level=level)
