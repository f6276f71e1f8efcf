"""Which files are meant and what kind each is: globs, directories, endings of names."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "tsv",
    ".tsv.gz": "tsv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".ndjson": "jsonl",
    ".npz": "npz",
    ".npy": "npy",
    ".safetensors": "safetensors",
}
"""Ending of a file's name to format."""


def format_of(path: Path) -> str | None:
    """The format that the name of a file says, or None.

    >>> format_of(Path("runs/Seed 3.CSV.gz")), format_of(Path("notes.txt"))
    ('csv', None)
    """
    name = path.name.lower()
    return next((FORMATS[ending] for ending in sorted(FORMATS, key=len, reverse=True) if name.endswith(ending)), None)


def numeric_order(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts run_2 before run_10.

    >>> sorted(["run_10.csv", "run_2.csv"], key=numeric_order)
    ['run_2.csv', 'run_10.csv']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path)]


def expand(inputs: Any) -> list[Any]:
    """One item per replica: paths for what names files, tables and arrays as they are.

    A path that exists is itself, whatever characters it has; else it is a glob. A directory stands for the prediction
    files directly in it. Several matches come in numeric order.

    Raises:
        BadInput: nothing matches, or the same file is named twice.
    """
    items = list(inputs) if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes) else [inputs]
    found: list[Any] = []
    for item in items:
        if isinstance(item, str | Path):
            found += _files(str(item))
        else:
            found.append(item)
    if not found:
        raise BadInput("no files of predictions were given; pass at least one path, glob, directory or table")
    seen: dict[Path, str] = {}
    for path in (item for item in found if isinstance(item, Path)):
        real = path.resolve()
        if real in seen:
            raise BadInput(f"{path} is named twice: a file compared with itself always agrees; name each replica once")
        seen[real] = str(path)
    return found


def _files(text: str) -> list[Path]:
    if "\0" in text or not text:
        raise BadInput(f"{text!r} is not a path")
    path = Path(text)
    if path.is_dir():
        inside = [p for p in path.iterdir() if p.is_file() and format_of(p) is not None and not p.name.startswith((".", "_"))]
        if not inside:
            raise BadInput(f"{text}: no prediction files in this directory; known endings are {', '.join(FORMATS)}")
        return [_checked(p) for p in sorted(inside, key=lambda p: numeric_order(str(p)))]
    if path.exists():
        return [_checked(path)]
    matches = sorted(glob.glob(text, recursive=True), key=numeric_order) if glob.has_magic(text) else []  # noqa: PTH207
    if not matches:
        raise BadInput(f"{text}: no such file{', and nothing matches it as a glob' if glob.has_magic(text) else ''}")
    return [_checked(Path(match)) for match in matches if not Path(match).is_dir()]


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise BadInput(f"{path} is not a regular file; predictions are read more than once, so write them to a file first")
    if format_of(path) is None:
        raise BadInput(f"{path}: cannot tell the format from the ending; known endings are {', '.join(FORMATS)}")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty (0 bytes)")
    return path
