"""Errors in code of the user's: the reason in one line, and the traceback from their first frame."""

from __future__ import annotations

import traceback
from pathlib import Path

from traintwice.errors import TraintwiceError

OURS = str(Path(__file__).parent)
"""The folder of this package."""


def reason_of(error: BaseException) -> str:
    """The error in one line."""
    if isinstance(error, TraintwiceError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the training ended its process with sys.exit({error.code!r})"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


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
