"""Reports of a study and of a diff: sentences, charts, HTML pages and files.

The report of a study needs torch, that of a diff does not. Names are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traintwice.report._findings import sentences
    from traintwice.report._writing import diff_page, plain, write, write_chain, write_diff, write_tuned

__all__ = ["diff_page", "plain", "sentences", "write", "write_chain", "write_diff", "write_tuned"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'traintwice.report' has no attribute {name!r}")
    return getattr(import_module(f"traintwice.report.{'_findings' if name == 'sentences' else '_writing'}"), name)
