"""Every error traintwice raises on purpose.

A message says what came, what was expected and what to do. The command line prints it as one block and exits with status 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class TraintwiceError(ValueError):
    """Base class: something the user can mend. Catch this one to catch them all."""


class BadInput(TraintwiceError):
    """An array, file or argument does not have the form it must have.

    Attributes:
        without_cells: the same message without anything that stands in a row; see `cells_kept_out`.
    """

    def __init__(self, message: str, *, without_cells: str | None = None) -> None:
        super().__init__(message)
        self.without_cells = message.partition(" (first")[0] if without_cells is None else without_cells


class TooFewReplicas(TraintwiceError):
    """A between-replica measure was asked of fewer than two replicas: one model has nothing to disagree with."""


class Undefined(TraintwiceError):
    """The measure has no value on these predictions (a ratio whose denominator is zero, for one)."""


class BadSpec(TraintwiceError):
    """A recipe, study or TOML file says something that cannot be; the message starts with the path of the key."""


class UnknownName(TraintwiceError):
    """A name that nothing here answers to; the message offers the nearest ones."""


class MissingExtra(TraintwiceError):
    """A package from an optional extra is not installed; the message says which extra to install."""


class StoreError(TraintwiceError):
    """The store cannot be read or written, or holds something other than what was asked for."""


class TrainingFailed(TraintwiceError):
    """A worker process died, or the training of a replica raised."""


class Diverged(TrainingFailed):
    """The loss or the logits of a replica became infinite or NaN; its training was stopped.

    Attributes:
        step: the optimiser step at which it was seen.
    """

    def __init__(self, message: str, step: int = 0) -> None:
        super().__init__(message)
        self.step = step


@contextmanager
def cells_kept_out(wanted: bool) -> Iterator[None]:
    """Where wanted, errors about data end before ids, cells and numbers of rows.

    >>> with cells_kept_out(True):
    ...     raise BadInput("2 of 9 rows have no label (first: row 3, id 'ann')")
    Traceback (most recent call last):
    traintwice.errors.BadInput: 2 of 9 rows have no label; what stands in the rows is kept out, as asked
    """
    try:
        yield
    except BadInput as error:
        if not wanted or error.without_cells == str(error):
            raise
        said = f"{error.without_cells}; what stands in the rows is kept out, as asked"
        raise BadInput(said, without_cells=said) from None


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str = "", listed: str = "`traintwice list`") -> UnknownName:
    """An `UnknownName` that offers the closest known names, all of them where they are few, or what lists them.

    >>> unknown("recipe", "co_distilation", ["baseline", "co_distillation"])
    UnknownName("no recipe named 'co_distilation'. Did you mean 'co_distillation'?")
    """
    choices = sorted(known)
    close = get_close_matches(name, choices, n=2, cutoff=0.6)
    if close:
        advice = f"Did you mean {' or '.join(repr(c) for c in close)}?"
    elif len(choices) <= 12:
        advice = f"Known: {', '.join(choices) or 'none'}."
    else:
        advice = f"There are {len(choices)}; {listed} shows them."
    return UnknownName(f"no {kind} named {name!r}. {advice}{' ' + hint if hint else ''}")


def require(module: str, *, extra: str, purpose: str) -> None:
    """Raise `MissingExtra` unless ``module`` can be imported.

    Args:
        module: the importable name.
        extra: the extra of this package that brings it.
        purpose: what it is needed for, to finish the sentence "... needs ...".
    Raises:
        MissingExtra: the module is not installed.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise MissingExtra(f"{purpose} needs {module}. Install it with: pip install 'traintwice[{extra}]'")
