"""Where files of data lie, and what to say where they are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from traintwice.errors import BadInput

T = TypeVar("T")

VARIABLE = "TRAINTWICE_DATA"
"""Environment variable that names the folder of all data."""


def data_folder() -> Path:
    """The folder of all data: the environment variable TRAINTWICE_DATA, else ~/.cache/traintwice."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "traintwice"


def places(name: str, folder: str | None, others: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Where the files of a data set may lie: the folder given and nowhere else, or where they are put and found by themselves.

    Args:
        name: of the data set, and of its folder within the folder of all data.
        folder: as the user gave it.
        others: where else they may be installed.
    """
    if folder is not None:
        return (Path(folder).expanduser(),)
    return (data_folder() / name, *others)


def find(name: str, file: str, among: tuple[Path, ...], *, advice: str) -> Path:
    """A file, or the same with ``.gz``.

    Raises:
        BadInput: it is in none of the folders; says where they were looked for and what to do.
    """
    for folder in among:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    looked = " or ".join(str(folder) for folder in among)
    raise BadInput(f"{name}: no {file} (or {file}.gz) in {looked}. {advice}")


def reading(path: Path, read: Callable[[Path], T], broken: tuple[type[Exception], ...], *, advice: str) -> T:
    """What ``read`` makes of a file; where it is damaged, an error that says so.

    Args:
        path: the file.
        read: the reader.
        broken: what the reader raises where the bytes are not what they should be.
        advice: how to get the file again.
    Raises:
        BadInput: the file cannot be read, is cut off or damaged.
    """
    try:
        return read(path)
    except PermissionError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except broken as error:
        reason = str(error) or type(error).__name__
        raise BadInput(f"{path}: cut off or damaged ({reason}); delete it and get it again. {advice}") from None
