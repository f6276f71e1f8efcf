"""The small door: everything that can be said of one set of predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Unpack

from traintwice import metrics
from traintwice.compare.both_models import BETWEEN_NUMBERS
from traintwice.compare.diff import named
from traintwice.compare.intervals import interval
from traintwice.compare.matched import Matched, recipe_matched
from traintwice.compare.streams import Stream
from traintwice.errors import BadInput, TooFewReplicas, TraintwiceError, Undefined
from traintwice.metrics import Definition, Metric
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import Predictions, Reading, Rows, Summary, from_arrays, is_array, items_of, open_rows
from traintwice.tables import Column, Row, Table
from traintwice.types import TARGET_IN_WORDS, Array, Estimate

SCHEMA_VERSION = 1

MOST_IN_MEMORY = 200_000_000
"""Numbers of predictions of files that are held in memory for metrics that need all rows together: 1.6 GB."""

ARRAYS = ("classes", "positive", "logits", "regression")
"""Options of reading that arrays have too."""

DEFAULT: tuple[Metric, ...] = (
    metrics.accuracy,
    metrics.error,
    metrics.log_loss,
    metrics.churn,
    metrics.churn_to_error,
    metrics.churn_correct,
    metrics.churn_incorrect,
    metrics.surrogate_churn,
    metrics.pairwise_l1,
    metrics.delta_1,
    metrics.delta_2,
    metrics.delta_label,
)
"""What `measure` gives unless told otherwise; `traintwice.metrics.ALL` has more."""


class Measures(Mapping[str, Estimate]):
    """Estimates by metric name, with what was left out and why. Displays as a table in a notebook.

    Attributes:
        replicas, examples: M and N.
        left_out: metric name to the reason why it has no value here.
        infinite: metric name to where its number becomes infinite.
        read: which files were read and how their rows were matched; None for an array.
        matched: soft measures at the recipe's best temperature; None where not asked for.
    """

    def __init__(
        self,
        replicas: int,
        examples: int,
        estimates: Mapping[Definition, Estimate],
        left_out: Mapping[str, str],
        infinite: Mapping[str, str] | None = None,
        read: Summary | None = None,
    ) -> None:
        self.replicas, self.examples, self.read = replicas, examples, read
        self.matched: Matched | None = None
        self.left_out = dict(left_out)
        self.infinite = dict(infinite or {})
        self._estimates = {definition.name: estimate for definition, estimate in estimates.items()}
        self._definitions = {definition.name: definition for definition in estimates}

    def __getitem__(self, name: str) -> Estimate:
        return self._estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._estimates)

    def __len__(self) -> int:
        return len(self._estimates)

    def table(self) -> Table:
        """One row per measure: value, interval, what the interval is a claim about; where asked for, at matched temperature."""
        columns = [Column("estimate", "estimate", "mixed"), Column("target", "interval is about", "text")]
        at: Mapping[str, Estimate] = {} if self.matched is None else self.matched.estimates
        if self.matched is not None:
            columns.insert(1, Column("matched", f"at temperature {self.matched.temperature:.3g}", "mixed"))
        rows = [
            Row(
                self._definitions[name].title,
                {"estimate": estimate, "target": TARGET_IN_WORDS[estimate.target], "matched": at.get(name)},
                self._definitions[name].unit,
            )
            for name, estimate in self._estimates.items()
        ]
        notes = [f"{self._definitions[name].title} is infinite: {where}" for name, where in self.infinite.items()]
        notes += [f"left out: {name} ({reason})" for name, reason in self.left_out.items()]
        if self.matched is not None:
            notes.append(
                f"temperature: one for all replicas, fitted to log loss on {self.matched.held_out:,} rows that its column leaves out"
            )
        return Table(f"{self.replicas} replicas · {self.examples:,} examples", tuple(columns), tuple(rows), tuple(notes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": SCHEMA_VERSION,
            "replicas": self.replicas,
            "examples": self.examples,
            "measures": {name: estimate.to_dict() for name, estimate in self._estimates.items()},
            "left_out": self.left_out,
            "infinite": self.infinite,
            **({} if self.matched is None else {"matched": _plain(self.matched)}),
            **({} if self.read is None else {"read": asdict(self.read)}),
        }

    def __repr__(self) -> str:
        return self.table().to_text()

    def _repr_html_(self) -> str:
        return self.table().to_html()


def measure(
    predictions: Any,
    labels: Array | None = None,
    *,
    weights: Array | None = None,
    which: Sequence[Metric | str] = DEFAULT,
    level: float = 0.95,
    temperature_matched: bool = False,
    **reading: Unpack[Reading],
) -> Measures:
    """Measure the disagreement of any replicas, with intervals.

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N`` or numbers ``M N`` of M replicas on the same N examples, or a
            list of M arrays; or files or tables of predictions, one for each replica: a path, glob, directory, or a list of them.
        labels: true labels ``N``; without them the measures that need them are left out and named.
        weights: weight of each example ``N``.
        which: the metrics wanted, or their names, from `traintwice.metrics`.
        level: nominal coverage of the intervals.
        temperature_matched: also the soft measures at one temperature for all replicas, which is fitted to log loss on every fifth
            row that has a label and measured on the others.
        reading: which columns of files are what;
            see `open_predictions`. Beside arrays only classes, logits and regression have a meaning. Files are read in blocks;
            metrics that need all rows together are left out beyond `MOST_IN_MEMORY` numbers.
    Returns:
        `Measures`: a mapping from metric name to `Estimate`. With two replicas of unknown recipe the intervals are about
        those two models alone.
    Raises:
        BadInput: see `Predictions` and `open_predictions`. TooFewReplicas: one replica.
    Example:
        >>> m = measure(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]), np.array([0, 1, 1, 2]))
        >>> round(m["churn"].value, 4), m["churn"].replicas
        (0.3333, 3)
    """
    metrics_wanted = tuple(dict.fromkeys(named(metric) for metric in which))
    items = items_of(predictions)
    if all(is_array(item) for item in items):
        of_files = [name for name, value in reading.items() if name not in ARRAYS and value]
        if of_files:
            raise BadInput(f"{', '.join(of_files)}: are for files; with arrays pass labels= and weights= as arrays")
        p = _replicas(predictions, items, {**reading, "label": labels, "weight": weights})
        found = _in_memory(p, metrics_wanted, level)
        if temperature_matched:
            _match(found, lambda: (block for _, _, block in p.blocks(p.has_probs)), p.has_probs, metrics_wanted, level)
        return found
    if labels is not None or weights is not None:
        raise BadInput("labels and weights are arrays, for arrays; beside files name their columns with label= and weight=")
    with open_rows(items, **reading) as rows:
        found = _of_rows(rows, metrics_wanted, level)
        if temperature_matched:
            _match(found, rows.blocks, rows.has_probs, metrics_wanted, level)
        return found


def _match(
    found: Measures, blocks: Callable[[], Iterable[Predictions]], has_probs: bool, which: Sequence[Metric], level: float
) -> None:
    """Add the soft measures among those found at the recipe's best temperature, or why there are none."""
    soft = [m for m in which if m.__name__ in found and m.definition.soft and m.definition.one_pass]
    try:
        if not (has_probs and soft):
            raise BadInput("needs probabilities" if not has_probs else "no soft measure was asked for")
        found.matched = recipe_matched(blocks, soft, level)
    except TraintwiceError as reason:
        found.left_out["temperature_matched"] = str(reason)


def _plain(matched: Matched) -> dict[str, Any]:
    measures = {name: estimate.to_dict() for name, estimate in matched.estimates.items()}
    return {"temperature": matched.temperature, "held_out": matched.held_out, "measures": measures}


def _replicas(given: Any, items: Sequence[Any], reading: Reading) -> Predictions:
    """Replicas in one array, or in one array each; numbers and logits become what they stand for."""
    if not is_array(given):
        return from_arrays(items, **reading)
    plain = isinstance(given, Predictions) or not any(reading.get(name) for name in ARRAYS)
    if plain and (isinstance(given, Predictions) or given.ndim != 2 or to_numpy(given).dtype.kind != "f"):
        return Predictions.of(given, reading["label"], reading["weight"])
    array = to_numpy(given)
    if array.ndim not in (2, 3):
        raise BadInput(f"predictions: got shape {array.shape}, expected (replicas, examples) or (replicas, examples, classes)")
    return from_arrays(list(array), **reading)


def _in_memory(p: Predictions, which: Sequence[Metric], level: float) -> Measures:
    p.require_pairs("measure")
    if p.has_scores:
        which = [m for m in which if m.definition.needs_scores or m.definition.or_scores] or BETWEEN_NUMBERS
    estimates: dict[Definition, Estimate] = {}
    left_out: dict[str, str] = {}
    for wanted in which:
        definition = wanted.definition
        missing = definition.missing(p)
        if missing is not None:
            left_out[definition.name] = missing
            continue
        try:
            estimates[definition] = interval(definition.measure(p), level=level)
        except (Undefined, TooFewReplicas) as reason:
            left_out[definition.name] = str(reason)
    infinite = {d.name: d.infinite(p) or "" for d, e in estimates.items() if math.isinf(e.value)}
    return Measures(p.replicas, p.examples, estimates, left_out, infinite)


def _of_rows(rows: Rows, which: Sequence[Metric], level: float) -> Measures:
    """Measures of files in one pass; those that need all rows together from a second, which holds them in memory."""
    if rows.replicas < 2:
        raise TooFewReplicas("measure: got 1 file, expected at least 2: a model alone has nothing to disagree with")
    which = [m for m in which if not rows.regression or m.definition.needs_scores or m.definition.or_scores] or BETWEEN_NUMBERS
    streams = {m.__name__: Stream(m) for m in which if m.definition.one_pass}
    for block in rows.blocks():
        for stream in streams.values():
            stream.add(block)
    whole, left_out = _whole(rows, [m for m in which if not m.definition.one_pass], level)
    estimates: dict[Definition, Estimate] = {}
    infinite: dict[str, str] = {}
    for metric in which:
        definition = metric.definition
        if definition.name not in streams:
            if definition.name in whole:
                estimates[definition] = whole[definition.name]
            continue
        estimate, reason = streams[definition.name].estimate(level)
        if estimate is None:
            left_out[definition.name] = reason
            continue
        estimates[definition] = estimate
        at = streams[definition.name].infinite
        if at is not None:
            infinite[definition.name] = f"first at row {at.row:,} of {rows.summary.files[at.replica]}"
    read = rows.summary
    return Measures(rows.replicas, read.rows, estimates, left_out, infinite, read)


def _whole(rows: Rows, which: Sequence[Metric], level: float) -> tuple[Mapping[str, Estimate], dict[str, str]]:
    if not which:
        return {}, {}
    numbers = rows.summary.rows * rows.replicas * (rows.classes or 1)
    if numbers > MOST_IN_MEMORY:
        reason = f"needs all rows together, {numbers:,} numbers, more than the {MOST_IN_MEMORY:,} that are held in memory"
        return {}, {m.__name__: reason for m in which}
    found = _in_memory(rows.read(), which, level)
    return found, found.left_out
