"""One day of a chain of retrains: the rows known on that day, and rows of the future to test on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np

from traintwice._typed import typed
from traintwice.data._dataset import Dataset, Source, Split
from traintwice.errors import BadInput, BadSpec


@dataclass(frozen=True)
@typed
class Days:
    """The data of one day of a chain of retrains, from a source with dates.

    With dates u_0 < u_1 < …, H dates of history and D retrains after the first, the training of day t reads the rows of the dates before
    u_{H+t}; its validation rows are those of u_{H+t}, which the model of day t serves; the test rows are the same on all days, those of
    the dates from u_{H+D} on.

    Args:
        source: with a date for each row, such as `Flights` or `Table` with ``date``. All its rows are used; its own splits are not.
        day: t, from 0 to ``days``.
        days: D, at least 1.
        history: H, dates of the first training, at least 1.
        window: train on so many dates before u_{H+t}; None trains on all of them.
        test_days: number of dates of the test rows.
        test: largest number of test rows; every k-th row is taken.
    Raises:
        BadSpec: a setting outside its range. BadInput: the source has no dates, too few of them, or inputs that stay on disk.
    Source:
        Ours. Numbers are scaled as the source scales them.
    """

    source: Source
    day: int = 0
    days: int = 7
    history: int = 7
    window: int | None = None
    test_days: int = 7
    test: int = 10_000

    def __post_init__(self) -> None:
        if isinstance(self.source, Days):
            raise BadSpec("Days.source: got Days, expected the source of the rows")
        for name in ("days", "history", "window", "test_days", "test"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadSpec(f"Days.{name}: got {value}, expected at least 1")
        if not 0 <= self.day <= self.days:
            raise BadSpec(f"Days.day: got {self.day}, expected 0 to {self.days}")

    def load(self) -> Dataset:
        """Read the source and choose the rows."""
        whole, inputs, labels, ids, dates = _loaded(cast(Hashable, self.source))
        every = np.unique(dates)
        needed = self.history + self.days + self.test_days
        if needed > len(every):
            raise BadInput(
                f"{whole.name}: has {len(every)} dates, and history {self.history}, days {self.days} and test_days {self.test_days} need "
                f"{needed}; use fewer"
            )
        now = self.history + self.day
        first = 0 if self.window is None else max(now - self.window, 0)
        last = self.history + self.days
        chosen = {
            "train": every[first:now],
            "validation": every[now : now + 1],
            "test": every[last : last + self.test_days],
        }
        at = {name: np.flatnonzero(np.isin(dates, found)) for name, found in chosen.items()}
        at["test"] = at["test"][:: -(-len(at["test"]) // self.test)]
        scaling = whole.train.scaling
        parts = {name: Split(inputs[rows], labels[rows], scaling, ids[rows], dates[rows]) for name, rows in at.items()}
        return Dataset(
            whole.name, whole.classes, parts["train"], parts["validation"], parts["test"],
            pixels=whole.pixels, class_names=whole.class_names, columns=whole.columns,
        )  # fmt: skip


@lru_cache(maxsize=1)
def _loaded(source: Any) -> tuple[Dataset, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The data set of a source, and inputs, labels, ids and dates of all its rows in the order of the dates."""
    whole = source.load()
    splits = [whole.train] if whole.places is not None else list(whole.splits.values())
    inputs, dates = [s.inputs for s in splits], [s.dates for s in splits if s.dates is not None]
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    if len(dates) < len(splits):
        raise BadInput(f"{whole.name}: its rows have no dates, which a chain of retrains needs; use Table with date, or Flights")
    if len(arrays) < len(splits):
        raise BadInput(f"{whole.name}: its inputs stay on disk, and a chain of retrains reads them into memory")
    names = list(whole.splits)[: len(splits)]
    when = np.concatenate(dates)
    order = np.argsort(when, kind="stable")
    labels, ids = np.concatenate([s.labels for s in splits]), np.concatenate([whole.ids_of(name) for name in names])
    return whole, np.concatenate(arrays)[order], labels[order], ids[order], when[order]
