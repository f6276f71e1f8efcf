"""What a comparison is to contain."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice import metrics
from traintwice.compare.noise_floor import Pairs
from traintwice.metrics import Metric

RANKED: tuple[Metric, ...] = (metrics.rank_loss, metrics.kendall_tau, metrics.top_k_overlap)
"""Measures that need an order of all rows: given with ``rank=True``."""


@dataclass(frozen=True)
class Wanted:
    """What a comparison is to contain; see `traintwice.compare.diff`.

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
    moved: int
    no_rows: bool
    margin: float | None
    pairs: Pairs | None
