"""Results for people: sentences, tables, charts and HTML pages, of a study or of a diff.

The report of a study needs torch, that of a diff does not; each is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traintwice.report.diff import diff_page, write_diff
    from traintwice.report.words import sentences
    from traintwice.report.writing import plain, write

_PLACES = {
    "diff_page": "traintwice.report.diff",
    "write_diff": "traintwice.report.diff",
    "plain": "traintwice.report.writing",
    "sentences": "traintwice.report.words",
    "write": "traintwice.report.writing",
}

__all__ = ["diff_page", "plain", "sentences", "write", "write_diff"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'traintwice.report' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
