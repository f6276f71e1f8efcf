"""Rows of one table by the ids of another, matched exactly."""

from __future__ import annotations

import numpy as np

from traintwice.errors import BadInput


def places_of_ids(found: np.ndarray, wanted: np.ndarray, *, what: str, more: bool = False) -> np.ndarray:
    """Where each wanted id is among those found. Numbers and text are different ids.

    Args:
        found, wanted: ids ``N`` and ``M``.
        what: the table, at the beginning of messages.
        more: allow ids that are not wanted.
    Raises:
        BadInput: an id is missing or repeated, or is not wanted.

    >>> places_of_ids(np.array([3, 1, 2]), np.array([1, 2]), what="the table", more=True)
    array([1, 2])
    """
    if found.dtype.kind != wanted.dtype.kind and "i" not in found.dtype.kind + wanted.dtype.kind:
        found, wanted = found.astype(str), wanted.astype(str)
    place = {value: n for n, value in enumerate(found.tolist())}
    missing = [value for value in wanted.tolist() if value not in place]
    if missing or len(place) != len(found) or (not more and len(place) != len(wanted)):
        strange = sorted(set(place) - set(wanted.tolist()), key=str)
        first = missing[0] if missing else strange[0] if strange else found[0]
        raise BadInput(
            f"{what} has {len(found):,} rows, and {len(missing):,} of the {len(wanted):,} ids are missing (first that differs: "
            f"{first!r}); expected each id once"
        )
    return np.array([place[value] for value in wanted.tolist()], dtype=np.int64)
