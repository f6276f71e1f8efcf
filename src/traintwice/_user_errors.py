"""Errors in code of the user's: the reason in one line, and the traceback from their first frame."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from traintwice._formatting import cut, listed
from traintwice.errors import TraintwiceError

OURS = str(Path(__file__).parent)
"""The folder of this package."""

MOST_OF_REASON = 300
"""Characters of the message of a user's error that are shown as its reason; the traceback has all."""


def reason_of(error: BaseException) -> str:
    """The error in one line."""
    if isinstance(error, TraintwiceError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the training ended its process with sys.exit({error.code!r})"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {cut(lines[0], MOST_OF_REASON)}" if lines else type(error).__name__


def together(failures: Iterable[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    """Replicas that failed for the same reason, in words, and the reason.

    Args:
        failures: recipe, number of the replica and reason of each.

    >>> list(together([("base", 0, "no data"), ("ema", 0, "no data"), ("base", 1, "no data")]))
    [('base, replicas 0, 1; ema, replica 0', 'no data')]
    """
    replicas: dict[str, dict[str, list[str]]] = {}
    for recipe, replica, reason in failures:
        replicas.setdefault(reason, {}).setdefault(recipe, []).append(str(replica))
    for reason, of_recipe in replicas.items():
        yield "; ".join(f"{name}, replica{'s' * (len(some) > 1)} {listed(some)}" for name, some in of_recipe.items()), reason


def traceback_of(error: BaseException) -> str:
    """The traceback of user code: frames of this package before the user's are left out; a user's error of data has none."""
    part = error.__traceback__
    while part is not None and (
        part.tb_frame.f_code.co_filename.startswith(OURS) or "importlib" in part.tb_frame.f_code.co_filename
    ):
        part = part.tb_next
    if part is None:
        return "".join(getattr(error, "__notes__", ())) or f"{reason_of(error)}\n"
    return "".join(traceback.format_exception(type(error), error, part))
