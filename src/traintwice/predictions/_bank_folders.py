"""Where banks are: a folder of the user, and those of installed packages (entry point group `traintwice.banks`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from traintwice._typed import typed
from traintwice.errors import BadInput, unknown
from traintwice.predictions._bank_study import BankStudy

__all__ = ["DEFAULT_BANK", "Banks", "bank_study", "banks"]

GROUP = "traintwice.banks"
"""Entry point group. An entry point is a folder, or a function that returns one."""

VARIABLE = "TRAINTWICE_BANK"
"""Environment variable with the user's folder."""

DEFAULT_BANK = Path("traintwice-bank")
"""The user's folder where the variable is not set."""


@dataclass(frozen=True)
class Banks:
    """Every study of every bank.

    Attributes:
        studies: by name, in the order of the folders.
        refused: name to the message why its study cannot be read.
        broken: a message for each bank that cannot be opened.
    """

    studies: dict[str, BankStudy]
    refused: dict[str, str]
    broken: tuple[str, ...]


def own_bank() -> Path:
    """The user's folder: the environment variable TRAINTWICE_BANK, or ``traintwice-bank`` in the current folder."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_BANK)


def banks() -> Banks:
    """The studies of the user's folder and of all installed packages.

    A name that two banks have is refused: which of them is meant would be a guess.
    """
    studies: dict[str, BankStudy] = {}
    refused: dict[str, str] = {}
    broken: list[str] = []
    places: dict[str, Path] = {}
    for folder in dict.fromkeys(_folders(broken)):
        for path in sorted(folder.glob("*.json")):
            if path.stem in places:
                told = f"{path.stem} is in two banks, {places[path.stem]} and {folder}; rename one or set {VARIABLE}"
                refused[path.stem] = told
                studies.pop(path.stem, None)
                continue
            places[path.stem] = folder
            try:
                studies[path.stem] = BankStudy.read(path)
            except BadInput as reason:
                refused[path.stem] = str(reason)
    return Banks(studies, refused, tuple(broken))


def _folders(broken: list[str]) -> Iterator[Path]:
    own = own_bank()
    if own.is_dir():
        yield own.resolve()
    elif VARIABLE in os.environ:
        broken.append(f"{VARIABLE}: {own} is not a folder")
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "unknown"
        try:
            found = point.load()
            yield Path(found() if callable(found) else found).resolve()
        except Exception as error:
            broken.append(f"package {package}: its bank cannot be opened from {point.value}: {type(error).__name__}: {error}")


@typed
def bank_study(name: str) -> BankStudy:
    """The study of this name.

    Raises:
        UnknownName: no bank has it; the nearest names are offered. BadInput: it cannot be read, or two banks have it.
    """
    found = banks()
    if name in found.refused:
        raise BadInput(found.refused[name])
    if name not in found.studies:
        hint = " ".join(f"({message})" for message in found.broken)
        raise unknown("study in a bank", name, found.studies, hint=hint, listed="`traintwice bank`")
    return found.studies[name]
