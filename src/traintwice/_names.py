"""Names that modules and results offer: what completion lists, and the nearest name where one is unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from traintwice.errors import require, unknown

T = TypeVar("T")


def no_attribute(owner: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for an unknown attribute, with the nearest known names.

    >>> no_attribute("module 'traintwice.metrics'", "chrun", ["accuracy", "churn"])
    AttributeError("module 'traintwice.metrics' has no attribute 'chrun'. Did you mean 'churn'?")
    """
    close = [] if name.startswith("_") else get_close_matches(name, sorted(known), n=2, cutoff=0.6)
    advice = f". Did you mean {' or '.join(map(repr, close))}?" if close else ""
    # The name without an object: Python's own suggestion, which notebooks do not show, is not printed after this one.
    return AttributeError(f"{owner} has no attribute {name!r}{advice}", name=name, obj=None)


def entry(kind: str, name: str, known: Mapping[str, T], left_out: Mapping[str, str] | None = None) -> T:
    """The measure or recipe of a result by its name; `KeyError` where it has none: why it was left out, or similar names."""
    if name in known:
        return known[name]
    why = (left_out or {}).get(name)
    raise KeyError(f"{name}: {why}" if why else str(unknown(kind, name, known, listed="the result")))


def lazy(
    module: str, offered: Iterable[str], places: dict[str, str] | None = None, needs_torch: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a module with the names of ``__all__``, and names that are imported on first use from places.

    A place is a module; the module itself is meant where its name ends in the name. Some need PyTorch.
    """
    where, torch = dict(places or {}), frozenset(needs_torch)
    known = sorted({*offered, *where})

    def get(name: str) -> Any:
        if name not in where:
            raise no_attribute(f"module {module!r}", name, known)
        if name in torch:
            require("torch", extra="torch", purpose=f"{module}.{name}")
        found = import_module(where[name])
        return found if where[name] == f"{module}.{name}" else getattr(found, name)

    return get, lambda: known
