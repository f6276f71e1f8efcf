"""Replicas of one recipe, from arrays, files or tables, in blocks or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from traintwice.errors import BadInput
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions, Reading, Rows, is_array, items_of, open_rows, replicas_of
from traintwice.predictions._classes import Classes
from traintwice.predictions._reading import reading_of

MOST_IN_MEMORY = 200_000_000
"""Numbers of predictions that are held in memory for metrics that need all rows together: 1.6 GB."""


@contextmanager
def open_replicas(predictions: Any, label: Any = None, reading: Reading | None = None) -> Iterator[Rows]:
    """The rows of replicas that are one array, arrays, files or tables; the label may be given apart from the other options.

    Raises:
        BadInput: the label is given twice, arrays of labels or weights next to files, see `open_rows`.
    """
    given: Reading = {**(reading or {})}
    if label is not None and given.get("label") is not None:
        raise BadInput("label: given twice, as the second argument and by its name; give it once")
    if label is not None:
        given["label"] = label
    reading_of(given)
    items = items_of(predictions)
    changes = any(
        _is_given(given.get(name)) for name in ("classes", "positive", "logits", "regression", "by", "time", "draws", "cluster")
    )
    whole = items[0] if len(items) == 1 and is_array(items[0]) and not changes else None
    if isinstance(whole, Predictions) or (whole is not None and not (whole.ndim == 2 and to_numpy(whole).dtype.kind == "f")):
        p = Predictions.of(whole, given.get("label"), given.get("weight"))
        yield Rows(
            p,
            [f"replica {m}" for m in range(p.replicas)],
            named=Classes(p.class_names),
            clusters=None if p.clusters is None else "clusters",
        )
        return
    models = replicas_of(predictions)
    with open_rows(models, [f"replica {m}" for m in range(len(models))], **given) as rows:
        yield rows


def in_memory(rows: Rows, what: str) -> Predictions:
    """All rows of all models.

    Raises:
        BadInput: they are too many for ``what``.
    """
    size = rows.summary.rows * rows.replicas * (rows.classes or 1)
    if size > MOST_IN_MEMORY:
        raise BadInput(f"{what} all rows together: {size:,} numbers, more than the {MOST_IN_MEMORY:,} that are held in memory")
    return rows.read()


def some_of(rows: Rows, whole: Predictions, chosen: Sequence[int]) -> Rows:
    """The rows of some of the models."""
    part = whole.change_replicas(lambda array: to_numpy(array)[list(chosen)])
    return Rows(part, [rows.summary.files[m] for m in chosen], named=Classes(whole.class_names), clusters=rows.clusters)


def _is_given(value: Any) -> bool:
    return value is not None and (hasattr(value, "shape") or bool(value))
