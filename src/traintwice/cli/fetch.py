"""What `fetch` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from traintwice.data import FETCHED
from traintwice.errors import BadInput, unknown


def fetch_data(console: Console, name: str, folder: Path | None) -> None:
    """Download a data set unless it can be read already, and say what it is.

    Raises:
        UnknownName: no such data set, or none that is downloaded. BadInput: it could not be downloaded, or is damaged.
    """
    if name not in FETCHED:
        raise unknown("data set to download", name, FETCHED, hint="docs/data.md says how to get the others.")
    cls: Any = FETCHED[name]
    source = cls(folder=None if folder is None else str(folder))
    try:
        data = source.load()
    except BadInput:
        files = cls.fetch(folder)
        console.print(f"{len(files)} files in {files[0].parent}")
        data = source.load()
    sizes = ", ".join(f"{len(split):,} {part}" for part, split in data.splits.items())
    console.print(f"{data.name}: {sizes}; {data.classes} classes; inputs of shape {data.shape}; digest {data.digest}")
