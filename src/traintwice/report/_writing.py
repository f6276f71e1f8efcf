"""Reports on disk: the directory of a study and the page of a diff. Modules that need torch or Altair are imported when used."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traintwice._files import write_whole
from traintwice._typed import typed
from traintwice.compare._ledger import History
from traintwice.compare._recipes import Against
from traintwice.compare._results import Diff
from traintwice.errors import StoreError, require_charts
from traintwice.gates._budgets import GateResult

if TYPE_CHECKING:
    from traintwice.study import ChainResults, Results, Tuned


@typed
def write(results: Results, out: str | os.PathLike[str], *, level: float = 0.95, against: Against | None = None) -> Path:
    """Write the report of a study into a directory.

        index.html        the page: findings, charts, examples, table, how to reproduce it; one file that works offline
        table.md          the table for a pull request
        table.csv         the table as raw numbers; fractions stay fractions
        results.json      everything: experiment, table, comparisons, components, sources, warnings, findings, environment
        experiment.toml   the experiment, to run again
        stream.md         for a study on a stream: its tables by method, over time and by slice

    Args:
        results: of a study.
        out: the directory; created if missing. Files of these names in it are replaced, each as a whole or not at all.
        level: of all intervals, and of the comparisons.
        against: the comparison with the model in service, to show on the page.
    Returns:
        The path of the page.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the directory cannot be written.
    """
    require_charts("the report")
    from traintwice.report._page import page
    from traintwice.study import MATCHED, progressive_findings

    table = results.table(matched=MATCHED, level=level)
    files = {
        "table.md": table.to_markdown(),
        "table.csv": table.to_csv(),
        "results.json": json.dumps(plain(results, level=level, against=against), indent=1, ensure_ascii=False, allow_nan=False)
        + "\n",
        "experiment.toml": results.experiment.to_toml(),
        "index.html": page(results, level=level, against=against),
    }
    if (stream := progressive_findings(results, level=level)) is not None:
        files["stream.md"] = "\n".join(part.to_markdown() for part in stream.tables)
    return _write_folder(Path(out), files)


@typed
def plain(results: Results, *, level: float = 0.95, against: Against | None = None) -> dict[str, Any]:
    """Results as plain values for JSON, with the findings in sentences."""
    from traintwice.report._findings import sentences
    from traintwice.study import progressive_findings, source_shares, verdict

    shares, stream = source_shares(results, level=level), progressive_findings(results, level=level)
    parts = {"sources": shares, "stream": stream, "against_served": against}
    return {
        **results.to_dict(level=level),
        **{name: part.to_dict() for name, part in parts.items() if part is not None},
        "findings": sentences(verdict(results, level=level), results),
    }


@typed
def write_chain(results: ChainResults, out: str | os.PathLike[str]) -> Path:
    """Write the report of a chain of retrains: ``index.html``, and ``results.json`` with all numbers.

    Args:
        results: what `traintwice.chain` returns.
        out: the directory; created if missing. Files of these names in it are replaced.
    Returns:
        The path of the page.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the directory cannot be written.
    """
    require_charts("the report")
    from traintwice.report._sheet_pages import chain_page

    return _write_folder(
        Path(out), {"index.html": chain_page(results), "results.json": json.dumps(results.to_dict(), indent=1) + "\n"}
    )


@typed
def write_tuned(found: Tuned, out: str | os.PathLike[str]) -> Path:
    """Write the report of a search: ``index.html``, and ``results.json`` with all numbers and trials.

    Args:
        found: what `traintwice.tune` returns.
        out: the directory; created if missing. Files of these names in it are replaced.
    Returns:
        The path of the page.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the directory cannot be written.
    """
    require_charts("the report")
    from traintwice.report._sheet_pages import search_page

    return _write_folder(
        Path(out), {"index.html": search_page(found), "results.json": json.dumps(found.to_dict(), indent=1) + "\n"}
    )


@typed
def diff_page(diff: Diff, *, gate: GateResult | None = None) -> str:
    """The report of a diff as an HTML document that loads nothing and runs only its own scripts.

    Args:
        diff: what `traintwice.diff` returns.
        gate: what `traintwice.gate` returns; its outcome and budgets come first.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed.
    """
    require_charts("the report")
    from traintwice.report._comparison_page import page

    return page(diff, gate)


@typed
def write_diff(diff: Diff, path: str | os.PathLike[str], *, gate: GateResult | None = None) -> Path:
    """Write the report of a diff: one HTML file that works offline.

    Args:
        diff: what `traintwice.diff` returns.
        path: of the file; an existing file is replaced as a whole or not at all.
        gate: what `traintwice.gate` returns; its outcome and budgets come first.
    Returns:
        The path.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the file cannot be written.
    """
    return _written(Path(path), diff_page(diff, gate=gate))


@typed
def write_history(found: History, path: str | os.PathLike[str]) -> Path:
    """Write the page of a ledger's launches over time: one HTML file that works offline.

    Args:
        found: what `traintwice.history` returns.
        path: of the file; an existing file is replaced as a whole or not at all.
    Returns:
        The path.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the file cannot be written.
    """
    require_charts("the report")
    from traintwice.report._sheet_pages import history_page

    return _written(Path(path), history_page(found))


def _written(out: Path, text: str) -> Path:
    try:
        write_whole(out, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise _cannot_write(out, error) from None
    return out


def _write_folder(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder; returns the path of the page."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder / name, text.encode())
    except OSError as error:
        raise _cannot_write(folder, error) from None
    return folder / "index.html"


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: the report cannot be written here ({error.strerror}); choose another --report")
