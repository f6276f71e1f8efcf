"""Options of a comparison of two models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from traintwice import metrics
from traintwice.compare._floor import Pairs
from traintwice.errors import BadInput, unknown
from traintwice.metrics import Metric
from traintwice.predictions import reading_of

RANKED: tuple[Metric, ...] = (metrics.auc, metrics.kendall_tau, metrics.top_k_overlap)
"""Measures that need an order of all rows: given with ``rank=True``."""


@dataclass(frozen=True)
class DiffOptions:
    """Options of a comparison; see `traintwice.diff`.

    Attributes:
        which, quality: further measures between the models and of each, of one pass.
        whole: measures that need all rows in memory.
        by_slice: measures of every slice.
        pairs: of models, where there are retrains.
    """

    which: tuple[Metric, ...]
    quality: tuple[Metric, ...]
    whole: tuple[Metric, ...]
    by_slice: tuple[Metric, ...]
    thresholds: tuple[float, ...]
    top_k: tuple[float, ...]
    level: float
    min_support: int
    temperature_matched: bool
    listed: int
    no_rows: bool
    margin: float
    same_within: float
    pairs: Pairs | None


def with_groups(by: Any, columns: Iterable[str]) -> Any:
    """The option ``by`` with further group columns; groups given as arrays, by name, stay as they are."""
    by = reading_of({"by": by})["by"]
    return by if isinstance(by, Mapping) else list(dict.fromkeys([*by, *columns]))


def named(metric: Metric | str) -> Metric:
    """A metric by its name.

    Raises:
        UnknownName: unknown name; the message offers the nearest.
    """
    if not isinstance(metric, str):
        if not hasattr(metric, "definition"):
            raise BadInput(f"which: got {type(metric).__name__}, expected a measure of traintwice.metrics or its name")
        return metric
    known = {m.__name__: m for m in metrics.ALL}
    if metric not in known:
        raise unknown("measure", metric, known)
    return known[metric]


def distinct(given: Iterable[Metric | str]) -> tuple[Metric, ...]:
    """Metrics by their names, each once.

    Raises:
        BadInput: no metric. UnknownName: unknown name.
    """
    return tuple(dict.fromkeys(named(metric) for metric in given))


def check_level(level: float) -> None:
    """Raise `BadInput` unless a nominal coverage is between 0 and 1."""
    if not 0 < level < 1:
        raise BadInput(f"level: got {level}, expected a number between 0 and 1, such as 0.95")
