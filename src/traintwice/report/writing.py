"""A report on disk: the page and the files beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from traintwice.errors import StoreError, require
from traintwice.files import write_whole
from traintwice.report.words import sentences
from traintwice.study import MATCHED, Results, progressive_findings, source_shares, verdict


def write(results: Results, out: str | os.PathLike[str], *, level: float = 0.95) -> Path:
    """Write the report of a study into a directory.

        index.html        the page: findings, charts, examples, table, how it was made; one file that works offline
        table.md          the table for a pull request
        table.csv         the table as raw numbers, fractions as fractions
        results.json      everything: experiment, table, comparisons, components, sources, warnings, findings, environment
        experiment.toml   what to run to make it again
        stream.md         of a study on a stream, its tables by method, over time and by slice

    Args:
        results: of a study.
        out: the directory; made where it does not exist. Files of these names in it are replaced, each at once or not at all.
        level: of all intervals, and of the comparisons.
    Returns:
        The path of the page.
    Raises:
        MissingExtra: altair or vl-convert-python is not installed. StoreError: the directory cannot be written.
    """
    require("altair", extra="report", purpose="the report")
    require("vl_convert", extra="report", purpose="the report")
    from traintwice.report.page import page

    table = results.table(matched=MATCHED, level=level)
    files = {
        "table.md": table.to_markdown(),
        "table.csv": table.to_csv(),
        "results.json": json.dumps(plain(results, level=level), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "experiment.toml": results.experiment.to_toml(),
        "index.html": page(results, level=level),
    }
    if (stream := progressive_findings(results, level=level)) is not None:
        files["stream.md"] = "\n".join(part.to_markdown() for part in stream.tables)
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder / name, text.encode())
    except OSError as error:
        raise StoreError(f"{folder}: the report cannot be written here ({error.strerror}); choose another --report") from None
    return folder / "index.html"


def plain(results: Results, *, level: float = 0.95) -> dict[str, Any]:
    """Results as plain values for JSON, with the findings in words."""
    shares = source_shares(results, level=level)
    sources = {} if shares is None else {"sources": shares.to_dict()}
    found = progressive_findings(results, level=level)
    stream = {} if found is None else {"stream": found.to_dict()}
    return {**results.to_dict(level=level), **sources, **stream, "findings": sentences(verdict(results, level=level), results)}
