"""Reports of a study and of a diff: sentences, charts, HTML pages and files.

The report of a study needs torch, that of a diff does not. Names are loaded on first use.
"""

from typing import TYPE_CHECKING

from traintwice._names import lazy

if TYPE_CHECKING:
    from traintwice.report._comparison_page import Plots, plots_of
    from traintwice.report._findings import sentences
    from traintwice.report._writing import diff_page, plain, write, write_chain, write_diff, write_history, write_tuned

__all__ = [
    "Plots",
    "diff_page",
    "plain",
    "plots_of",
    "sentences",
    "write",
    "write_chain",
    "write_diff",
    "write_history",
    "write_tuned",
]

if not TYPE_CHECKING:
    _PLACES = dict.fromkeys(__all__, f"{__name__}._writing") | {"sentences": f"{__name__}._findings"}
    _PLACES |= dict.fromkeys(["Plots", "plots_of"], f"{__name__}._comparison_page")
    __getattr__, __dir__ = lazy(__name__, __all__, _PLACES)
