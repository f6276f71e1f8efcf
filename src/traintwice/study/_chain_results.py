"""The drift of predictions along a chain of retrains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from traintwice import metrics
from traintwice._arrays import to_numpy
from traintwice._typed import typed
from traintwice.compare import Difference, compare_with_baseline, interval
from traintwice.compare._shown import Shown, plain
from traintwice.engine import DEFAULT_EXECUTION, Execution
from traintwice.metrics import Measurement
from traintwice.metrics._means import MeanOf
from traintwice.predictions import Predictions
from traintwice.study._chain import Chain, ChainPlan, Way, prepare_chain, train_chain
from traintwice.study._rows import served_probs
from traintwice.study._store import Store, as_store
from traintwice.tables import Column, Row, Sheet, Table
from traintwice.types import Estimate

DAILY = MeanOf("daily_churn", "churn against the day before")
DRIFT = MeanOf("drift", "churn against day 0")


@dataclass(frozen=True)
class Day:
    """One day of one way.

    Attributes:
        day: t, from 0.
        rows: training rows.
        accuracy: on the rows of the next day, which the model serves.
        churn: share of test rows whose answer differs from the day before, mean over chains; None on day 0.
        drift: share of test rows whose answer differs from day 0; None on day 0.
        floor: churn between the chains on this day.
    """

    day: int
    rows: int
    accuracy: Estimate
    churn: Estimate | None
    drift: Estimate | None
    floor: Estimate


@dataclass(frozen=True)
class WayResult:
    """One way of retraining, over all days.

    Attributes:
        way: its name.
        accuracy: on the rows of the next day, pooled over the days after day 0.
        churn: mean over days of the churn against the day before.
        drift: churn between the last day and day 0.
        floor: churn between the chains on the last day.
        change: daily churn minus that of the first way, paired by chain, Holm-adjusted; None for the first way.
        days: day by day.
    """

    way: Way
    accuracy: Estimate
    churn: Estimate
    drift: Estimate
    floor: Estimate
    change: Difference | None
    days: tuple[Day, ...]


@dataclass(frozen=True, repr=False)
class ChainResults(Shown):
    """What a chain found. Made by `traintwice.chain`.

    Attributes:
        chain: its settings.
        ways: by way, in the chain's order.
        test: number of test rows.
        level: of the intervals, which are over new chains and new rows.
    """

    chain: Chain
    ways: tuple[WayResult, ...]
    test: int
    level: float

    def __getitem__(self, way: str) -> WayResult:
        return {str(found.way): found for found in self.ways}[way]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"schema": 1, "chain": self.chain.to_dict(), "ways": plain(self.ways), "test": self.test, "level": self.level}

    def sheet(self) -> Sheet:
        """One row for each way, then one for each day."""
        each_day = (
            Column("accuracy", "next-day accuracy", "fraction"),
            Column("churn", "daily churn", "fraction"),
            Column("drift", "churn from day 0", "fraction"),
            Column("floor", "floor", "fraction"),
        )
        columns = (*each_day, Column("change", f"daily churn − {self.ways[0].way}", "points"), Column("found", "", "text"))
        rows = []
        for w in self.ways:
            cells: dict[str, Any] = {column.key: getattr(w, column.key) for column in each_day}
            if w.change is not None:
                cells |= {"change": w.change.estimate, "found": "significant" if w.change.significant else "inconclusive"}
            rows.append(Row(w.way, {"found": "", **cells}))
        c = self.chain
        notes = (
            f"Daily churn: share of test rows whose answer differs from the day before, mean over {c.days} days. Churn from day 0: on the "
            f"last day. Floor: churn between the {c.replicas} chains on the last day.",
            f"Intervals: {100 * self.level:g} %, for new chains and new rows; differences are paired by chain and Holm-adjusted.",
        )
        window = "all rows so far" if c.window is None else f"the last {c.window} dates"
        headline = f"{c.name} · {c.days} daily retrains on {window} · {c.replicas} chains · {self.test:,} test rows"
        days = tuple(
            Row(f"{w.way}, day {d.day}", {column.key: getattr(d, column.key) for column in each_day})
            for w in self.ways
            for d in w.days
        )
        return Sheet(headline, "", tables=(Table("", columns, tuple(rows)), Table("Day by day", each_day, days)), notes=notes)


@typed
def chain(
    plan: Chain,
    *,
    store: str | os.PathLike[str] | Store = "traintwice-runs",
    execution: Execution = DEFAULT_EXECUTION,
    level: float = 0.95,
) -> ChainResults:
    """Retrain day by day in every way of a chain, and measure the drift of the predictions.

    Replicas that the store has are not trained again: after an interruption the same call continues.

    Args:
        plan: the chain.
        store: directory of finished replicas; made where it does not exist.
        execution: engine, device, precision and number of worker processes.
        level: nominal coverage of the intervals.
    Returns:
        Accuracy, churn between consecutive days, churn from day 0, and the churn between chains, with intervals over M chains.
    Raises:
        BadInput: the data have too few dates. StoreError: the store cannot be used. TrainingFailed: a replica could not be trained.
    """
    opened = as_store(store)
    made = prepare_chain(plan, opened, execution=execution)
    for _ in train_chain(plan, opened, made):
        pass
    return gather_chain(plan, opened, made, level=level)


@typed
def gather_chain(plan: Chain, store: Store, made: ChainPlan, *, level: float = 0.95) -> ChainResults:
    """The results of a chain whose replicas are all in the store.

    Raises:
        StoreError: replicas are missing, damaged or diverged.
    """
    next_day, test = ({w: _predictions(plan, store, made, w, split) for w in plan.ways} for split in ("validation", "test"))
    daily = {way: DAILY.of_contributions(_apart(days).mean(axis=0), days[0]) for way, days in test.items()}
    first, *others = plan.ways
    pairs = [(daily[way], daily[first]) for way in others]
    changes = dict(zip(others, compare_with_baseline(pairs, level=level), strict=True)) if pairs else {}
    ways = tuple(_way(way, made, next_day[way], test[way], daily[way], changes, level) for way in plan.ways)
    return ChainResults(plan, ways, len(made.data[0].test), level)


def _predictions(plan: Chain, store: Store, made: ChainPlan, way: Way, split: str) -> list[Predictions]:
    """Predictions of all chains on a split, day by day."""
    found = []
    for data, key in zip(made.data, made.keys[way], strict=True):
        logits = np.stack([store.load(key, m)[split] for m in range(plan.replicas)])
        probs = served_probs(logits, plan.recipe.method.keep, components=plan.recipe.method.components)
        found.append(Predictions(probs, data.splits[split].labels))
    return found


def _apart(days: list[Predictions], *, first: bool = False) -> np.ndarray:
    """Whether an answer differs from the day before, or from day 0: ``D M N``."""
    votes = np.stack([to_numpy(day.votes) for day in days])
    return np.asarray(votes[1:] != (votes[:1] if first else votes[:-1]))


def _way(
    way: Way,
    made: ChainPlan,
    next_day: list[Predictions],
    test: list[Predictions],
    daily: Measurement,
    changes: Mapping[Way, Difference],
    level: float,
) -> WayResult:
    drift, before = _apart(test, first=True), _apart(test)
    days = [
        Day(
            t,
            len(made.data[t].train),
            interval(metrics.accuracy.definition.measure(next_day[t]), level=level),
            interval(DAILY.of_contributions(before[t - 1], day), level=level) if t else None,
            interval(DRIFT.of_contributions(drift[t - 1], day), level=level) if t else None,
            interval(metrics.churn.definition.measure(day), level=level),
        )
        for t, day in enumerate(test)
    ]
    served = [(to_numpy(day.votes), to_numpy(day.known.labels)) for day in next_day[1:]]
    votes, labels = (np.concatenate(parts, axis=-1) for parts in zip(*served, strict=True))
    accuracy = interval(metrics.accuracy.definition.measure(Predictions(votes, labels)), level=level)
    last = days[-1]
    return WayResult(
        way, accuracy, interval(daily, level=level), cast(Estimate, last.drift), last.floor, changes.get(way), tuple(days)
    )
