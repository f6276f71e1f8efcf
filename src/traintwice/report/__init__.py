"""Reports of a study and of a diff: sentences, charts, HTML pages and files.

The report of a study needs torch, that of a diff does not. Names are loaded on first use.
"""

from typing import TYPE_CHECKING

from traintwice._names import lazy

if TYPE_CHECKING:
    from traintwice.report._findings import sentences
    from traintwice.report._writing import diff_page, plain, write, write_diff

__all__ = ["diff_page", "plain", "sentences", "write", "write_diff"]

if not TYPE_CHECKING:
    _PLACES = dict.fromkeys(__all__, f"{__name__}._writing") | {"sentences": f"{__name__}._findings"}
    __getattr__, __dir__ = lazy(__name__, __all__, _PLACES)
