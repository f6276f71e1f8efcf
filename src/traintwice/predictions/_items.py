"""Models from arguments: arrays, tables and files, one item for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import array_api_compat

from traintwice.errors import BadInput
from traintwice.predictions._checks import is_series, to_numpy
from traintwice.predictions._inputs import expand, one_model
from traintwice.predictions._predictions import Predictions


def is_array(given: Any) -> bool:
    """True for an array or `Predictions`, False for a file or table."""
    return isinstance(given, Predictions) or bool(array_api_compat.is_array_api_obj(given)) or is_series(given)


def items_of(given: Any) -> list[Any]:
    """One item for each model that was given: files of a glob or directory, tables, arrays."""
    if is_array(given):
        return [given]
    if isinstance(given, list | tuple):
        return [item for part in given for item in items_of(part)]
    if not isinstance(given, str | Path):
        return [given]
    return expand([given])


def one_item(given: Any, name: str) -> Any:
    """The one model that was given; a directory or glob is a model in parts.

    Args:
        name: of the argument, for messages.
    Raises:
        BadInput: several models.
    """
    items = [one_model(given)] if isinstance(given, str | Path) else items_of(given)
    if len(items) != 1:
        raise BadInput(f"{name}: {len(items)} files or arrays were given, expected one model")
    return items[0]


def replicas_of(given: Any) -> list[Any]:
    """One item for each replica: an array ``M N K`` or ``M N``, or `Predictions` of M replicas, is cut into its replicas.

    Raises:
        BadInput: one array that has another shape.

    >>> [item.shape for item in replicas_of(np.zeros((3, 5), dtype=int))], len(replicas_of([np.zeros(5), np.ones(5)]))
    ([(5,), (5,), (5,)], 2)
    """
    items = items_of(given)
    if len(items) != 1 or not is_array(items[0]):
        return items
    (whole,) = items
    if isinstance(whole, Predictions):
        return [whole.models(m, m + 1) for m in range(whole.replicas)]
    if whole.ndim not in (2, 3):
        raise BadInput(
            f"predictions: got shape {tuple(whole.shape)}, expected (replicas, examples) or (replicas, examples, classes)"
        )
    return list(to_numpy(whole))
