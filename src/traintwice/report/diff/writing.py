"""The report of a diff on disk."""

from __future__ import annotations

import os
from pathlib import Path

from traintwice.compare.gate_types import GateResult
from traintwice.compare.results import Diff
from traintwice.errors import StoreError, require
from traintwice.files import write_whole


def diff_page(diff: Diff, *, gate: GateResult | None = None) -> str:
    """The report of a diff as an HTML document that loads nothing and runs no script but its own.

    Args:
        diff: what `traintwice.diff` returns.
        gate: what `traintwice.gate` returns; its outcome and budgets come first.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed.
    """
    require("altair", extra="report", purpose="the report")
    require("vl_convert", extra="report", purpose="the report")
    from traintwice.report.diff.page import page

    return page(diff, gate)


def write_diff(diff: Diff, path: str | os.PathLike[str], *, gate: GateResult | None = None) -> Path:
    """Write the report of a diff, one HTML file that works offline.

    Args:
        diff: what `traintwice.diff` returns.
        path: of the file; replaced where it exists, at once or not at all.
        gate: what `traintwice.gate` returns; its outcome and budgets come first.
    Returns:
        The path.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the file cannot be written.
    """
    out = Path(path)
    try:
        write_whole(out, diff_page(diff, gate=gate).encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written here ({error.strerror}); choose another --report") from None
    return out
