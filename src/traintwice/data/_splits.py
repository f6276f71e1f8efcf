"""How examples are dealt into training, validation and test splits, by chance or by date."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np

from traintwice._typed import typed
from traintwice.data._dataset import Dataset, LazyInputs, Scaling, Source, Split
from traintwice.errors import BadInput, BadSpec
from traintwice.randomness import stream

Read = Callable[[np.ndarray], np.ndarray | LazyInputs]
"""From places to inputs."""


def split(
    inputs: np.ndarray, labels: np.ndarray, sizes: tuple[int, int, int], *, seed: int, scaling: Scaling | None = None
) -> tuple[Split, Split, Split]:
    """Split the examples into train, validation and test by one fixed shuffle, whose seed is a setting of the data set."""
    if min(sizes) < 1 or sum(sizes) > len(labels):
        raise BadInput(f"split: got sizes {sizes}, expected three positive numbers of sum at most {len(labels)}")
    order = stream(seed, "split").permutation(len(labels))
    ends = np.cumsum(sizes)
    parts = [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]]
    train, validation, test = (Split(inputs[part], labels[part], scaling, part) for part in parts)
    return train, validation, test


def deal(examples: int, tests: int, sizes: tuple[int | None, int, int | None], *, seed: int) -> tuple[np.ndarray, ...]:
    """Places of the examples of train, validation and test, for data with an official test set; a size of None takes all that remain.

    Training and validation examples come from the official training set in one fixed shuffle: training from its beginning, validation from
    its end. A smaller training set is so a part of a larger one, with the same validation examples. Test examples are the official
    test examples in their order, or a subset of them. The validation places may be empty, see `official_splits`.
    """
    train, validation, test = sizes
    train = examples - validation if train is None else train
    test = tests if test is None else test
    if min(train, test, validation + 1) < 1 or train + validation > examples or test > tests:
        raise BadInput(
            f"split: got train {train}, validation {validation} and test {test}, expected positive numbers (validation may be 0), the "
            f"first two of sum at most {examples:,} and the last at most {tests:,}"
        )
    order = stream(seed, "split").permutation(examples)
    chosen = np.arange(tests) if test == tests else np.sort(stream(seed, "split", component=1).permutation(tests)[:test])
    return order[:train], order[examples - validation :], chosen


def deal_one(examples: int, sizes: tuple[int | None, int, int], *, seed: int) -> tuple[np.ndarray, ...]:
    """Like `deal`, without an official test set: test examples come from the same shuffle, right before the validation examples."""
    train, validation, test = sizes
    train = examples - validation - test if train is None else train
    if min(train, validation, test) < 1 or train + validation + test > examples:
        raise BadInput(
            f"split: got train {train}, validation {validation} and test {test}, expected positive numbers of sum at most {examples:,}"
        )
    order, end = stream(seed, "split").permutation(examples), examples - validation
    return order[:train], order[end:], order[end - test : end]


def measured(pictures: np.ndarray) -> Scaling:
    """Mean and standard deviation of byte / 255 in each channel of pictures ``N channels rows columns``, over all pixels."""
    mean, std = [], []
    for channel in range(pictures.shape[1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(pictures), 4096):  # bincount makes a copy of eight times the size
            counts += np.bincount(pictures[start : start + 4096, channel].reshape(-1), minlength=256)
        total, values = int(counts.sum()), np.arange(256)
        first = int((counts * values).sum()) / total
        second = int((counts * values**2).sum()) / total
        mean.append(first / 255)
        std.append(max(second - first**2, 0.0) ** 0.5 / 255)
    if min(std) == 0:
        raise BadInput(
            "normalise: a channel of the training pictures is constant, and its standard deviation is 0; set normalise to false"
        )
    return Scaling(tuple(mean), tuple(std))


def official_splits(
    training: tuple[Read, np.ndarray], testing: tuple[Read, np.ndarray], parts: tuple[np.ndarray, ...], scaling: Scaling | None
) -> tuple[Split, Split, Split]:
    """The splits of two official sets at the places that `deal` gives; without validation places, validation is the test split."""
    (read, labels), (read_test, test_labels) = training, testing
    test = Split(read_test(parts[2]), test_labels[parts[2]], scaling, parts[2] + len(labels))
    train, validation = (Split(read(part), labels[part], scaling, part) if len(part) else test for part in parts[:2])
    return train, validation, test


def reported(examples: int, *, warm_up: float, validation: float, most: int) -> dict[str, np.ndarray]:
    """Places of the validation and test examples of progressive training, at most ``most`` of each part: every k-th of a longer one.

        | warm-up: trained on, not reported | validation | test |

    Ours: temperatures are fitted to examples that are earlier than the reported examples, as in service.

        >>> {name: at.tolist() for name, at in reported(20, warm_up=0.2, validation=0.1, most=7).items()}
        {'warm_up': [0, 1, 2, 3], 'validation': [4, 5], 'test': [6, 8, 10, 12, 14, 16, 18]}
    """
    if warm_up < 0 or validation <= 0 or warm_up + validation >= 1:
        raise BadInput(
            f"places: got warm_up={warm_up} and validation={validation}, expected shares with a sum below 1, and a validation share above 0"
        )
    first, second = round(warm_up * examples), round((warm_up + validation) * examples)
    if not first < second < examples or most < 1:
        raise BadInput(
            f"places: got {examples:,} examples and at most {most} of each part, expected enough for a validation and a test part"
        )
    parts = {"warm_up": (0, first), "validation": (first, second), "test": (second, examples)}
    return {name: np.arange(start, stop, -(-(stop - start) // most)) for name, (start, stop) in parts.items() if start < stop}


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
