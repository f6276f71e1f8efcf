"""Measures of two models that need all rows together: rank agreement, AUC, kappa."""

from __future__ import annotations

from collections.abc import Sequence

from traintwice.compare.intervals import interval
from traintwice.compare.paired import paired
from traintwice.compare.results import Measured, Quality
from traintwice.errors import TooFewReplicas, Undefined
from traintwice.metrics import Metric
from traintwice.predictions import Predictions


def whole_rows(pair: Predictions, which: Sequence[Metric], level: float) -> tuple[list[Quality], list[Measured], dict[str, str]]:
    """Measures of quality, measures between the models, and the reasons why some have no value.

    Args:
        pair: all rows; the old model is replica 0, the new one replica 1.
        which: the measures.
        level: of the intervals.
    """
    quality: list[Quality] = []
    between: list[Measured] = []
    left_out: dict[str, str] = {}
    for metric in which:
        d = metric.definition
        lacks = d.missing(pair)
        if lacks is not None:
            left_out[d.name] = lacks
            continue
        try:
            if d.between_replicas:
                between.append(Measured(d.name, d.title, d.unit, d.soft, interval(d.measure(pair), level=level)))
                continue
            old, new = (d.measure(pair.models(m, m + 1)) for m in (0, 1))
            estimates = [interval(m, level=level, target="examples") for m in (old, new, paired(new, old))]
            quality.append(Quality(d.name, d.title, d.unit, *estimates))
        except (Undefined, TooFewReplicas) as reason:
            left_out[d.name] = str(reason)
    return quality, between, left_out
