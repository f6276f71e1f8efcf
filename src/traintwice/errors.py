"""The errors of this package.

A message states what came, what was expected and what to do. The command line prints the message and exits with status 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from traintwice._addresses import without_secrets

__all__ = [
    "BadInput",
    "BadSpec",
    "Diverged",
    "MissingExtra",
    "StoreError",
    "TooFewReplicas",
    "TrainingFailed",
    "TraintwiceError",
    "Undefined",
    "UnknownName",
    "cells_kept_out",
    "hidden",
    "require",
    "require_charts",
    "unknown",
]


class TraintwiceError(ValueError):
    """Base class: an error that the user can fix. Passwords, tokens and signatures are removed from its message."""

    def __init__(self, message: str = "") -> None:
        super().__init__(without_secrets(message))


class BadInput(TraintwiceError):
    """An array, file or argument of the wrong form.

    Attributes:
        without_cells: the message without the contents of rows; see `cells_kept_out`.
    """

    def __init__(self, message: str, *, without_cells: str | None = None) -> None:
        super().__init__(HIDDEN.sub(r"\1", message))
        if without_cells is None:
            without_cells = HIDDEN.sub(r"\2", message) if HIDDEN.search(message) else str(self).partition(" (first")[0]
        self.without_cells = without_secrets(without_cells)


HIDDEN = re.compile("\x02([^\x03]*)\x03([^\x04]*)\x04")


def hidden(text: str, instead: str = "") -> str:
    """A part of the message of a `BadInput` that shows the contents of rows, and what its ``without_cells`` has in that place.

    >>> BadInput(f"2 ids are missing{hidden(' (ann, bob)')}; pass --id").without_cells
    '2 ids are missing; pass --id'
    """
    return f"\x02{text.translate(dict.fromkeys((2, 3, 4)))}\x03{instead}\x04"


class TooFewReplicas(TraintwiceError):
    """A measure between replicas was requested for fewer than two replicas."""


class Undefined(TraintwiceError):
    """The measure has no value on these predictions, for example a ratio with denominator zero."""


class BadSpec(TraintwiceError):
    """An invalid recipe, study or TOML file; the message starts with the path of the key."""


class UnknownName(TraintwiceError):
    """Unknown name; the message offers similar names."""


class MissingExtra(TraintwiceError):
    """A package of an optional extra is not installed; the message names the extra."""


class StoreError(TraintwiceError):
    """The store cannot be read or written, or does not have the requested study or replicas."""


class TrainingFailed(TraintwiceError):
    """A worker process died, or the training of a replica raised."""


class Diverged(TrainingFailed):
    """The loss or the logits of a replica became infinite or NaN, and its training stopped.

    Attributes:
        step: the optimiser step of the first such value.
    """

    def __init__(self, message: str, step: int = 0) -> None:
        super().__init__(message)
        self.step = step


@contextmanager
def cells_kept_out(wanted: bool) -> Iterator[None]:
    """If wanted, remove ids, cells and row numbers from messages about data.

    >>> with cells_kept_out(True):
    ...     raise BadInput("2 of 9 rows have no label (first: row 3, id 'ann')")
    Traceback (most recent call last):
    traintwice.errors.BadInput: 2 of 9 rows have no label; row contents are hidden (--no-rows)
    """
    try:
        yield
    except BadInput as error:
        if not wanted or error.without_cells == str(error):
            raise
        message = f"{error.without_cells}; row contents are hidden (--no-rows)"
        raise BadInput(message, without_cells=message) from None


def unknown(kind: str, name: object, known: Iterable[str], *, hint: str = "", listed: str = "`traintwice list`") -> UnknownName:
    """An `UnknownName` that offers similar names, or all names if they are few or no command lists them, or that command.

    >>> unknown("recipe", "co_distilation", ["baseline", "co_distillation"])
    UnknownName("no recipe named 'co_distilation'. Did you mean 'co_distillation'?")
    """
    if not isinstance(known, Iterable):
        raise BadInput(f"known: got {repr(known)[:60]}, expected names")
    choices = sorted(map(str, known))
    close = get_close_matches(str(name), choices, n=2, cutoff=0.6)
    if close:
        advice = f"Did you mean {' or '.join(repr(c) for c in close)}?"
    elif len(choices) <= 12 or not listed:
        advice = f"Known: {', '.join(choices) or 'none'}."
    else:
        advice = f"There are {len(choices)}; {listed} shows them."
    text = repr(name)
    at = f" {hint}" if isinstance(hint, str) and hint else ""
    return UnknownName(f"no {kind} named {text if len(text) <= 200 else f'{text[:200]}…'}. {advice}{at}")


def require(module: str, *, extra: str, purpose: str) -> None:
    """Raise `MissingExtra` unless ``module`` can be imported.

    Args:
        module: the importable name.
        extra: the extra of this package that installs it.
        purpose: subject of the sentence "... needs ...".
    Raises:
        MissingExtra: the module is not installed. BadInput: not the name of a module.
    """
    from importlib.util import find_spec

    if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
        raise BadInput(f"module: got {repr(module)[:60]}, expected the name of a module")
    if find_spec(module) is None:
        raise MissingExtra(f"{purpose} needs {module}. Install it with: pip install 'traintwice[{extra}]'")


def require_charts(purpose: str) -> None:
    """Raise `MissingExtra` unless charts can be drawn; see `require`."""
    for module in ("altair", "vl_convert"):
        require(module, extra="report", purpose=purpose)
