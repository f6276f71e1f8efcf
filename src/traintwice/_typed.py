"""Types of arguments and of settings, checked by their hints before anything reads them."""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import numbers
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, Unpack, get_args, get_origin, get_type_hints, is_typeddict

from traintwice.errors import BadInput, BadSpec, unknown

T = TypeVar("T")

PLAIN = {float: "a number", int: "a whole number", bool: "true or false", str: "a string"}
"""Plain types, in words."""

MANY = {float: "numbers", int: "whole numbers", str: "strings"}
"""The same of several."""

KINDS = {float: "fiu", int: "iu", str: "UOT", bool: "b"}
"""Kinds of dtypes of arrays whose entries have a type."""

DECIDED_BY_TYPE = (bool, int, float, str, NoneType)
"""Whether one of these fits a hint depends on its type alone."""

UNFIT = (str, bytes, int, float, complex, list, tuple, dict, set, range, slice, NoneType)
"""What no object with methods of its own is."""


skips: Callable[[], bool] = bool
"""Whether checks are left out: `traintwice.losses` sets it to PyTorch's test for a compiler at work, which cannot follow them."""


def typed(made: T) -> T:
    """A function or dataclass that checks the types of its arguments first; a dataclass is decorated before it is made one.

    Raises:
        BadInput: an argument of a function has another type than its hint. BadSpec: a setting of a dataclass.

    >>> @typed
    ... def half(of: float) -> float:
    ...     return of / 2
    >>> half("3")
    Traceback (most recent call last):
    traintwice.errors.BadInput: of: got '3', expected a number
    """
    if isinstance(made, type):
        _check_first(made)
        return made
    function: Any = made
    signature = inspect.signature(function)

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if skips():
            return function(*args, **kwargs)
        seen = (function, *map(type, args), *((name, type(value)) for name, value in kwargs.items()))
        if seen not in _fitting:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:
                return function(*args, **kwargs)  # which raises Python's own message about its arguments
            _check_names(function, signature, given)
            several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            check_arguments(function, {n: v for n, v in given.items() if signature.parameters[n].kind not in several})
            _remember(seen, (*args, *kwargs.values()))
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise `BadInput` for an argument of another type than its hint; arguments that the function does not have are left to Python."""
    hints = hints_of(function) if given else {}
    for name, value in given.items():
        if not fits(value, hints.get(name, Any)):
            raise BadInput(_wrong(name, value, hints[name]), without_cells=f"{name}: expected {_in_words(hints[name])}")


def _check_names(function: Callable[..., Any], signature: inspect.Signature, given: Mapping[str, Any]) -> None:
    """Raise `UnknownName` for a name that neither the function nor the typed dict of its further keywords has."""
    kinds = {parameter.name: parameter.kind for parameter in signature.parameters.values()}
    further = next((name for name, kind in kinds.items() if kind is inspect.Parameter.VAR_KEYWORD and name in given), "")
    hint = hints_of(function).get(further)
    if further and get_origin(hint) is Unpack:
        known = [*(name for name, kind in kinds.items() if kind is inspect.Parameter.KEYWORD_ONLY), *hints_of(get_args(hint)[0])]
        for name in given[further]:
            if name not in known:
                raise unknown(f"argument of {function.__name__}", name, known, listed="")


def _check_first(cls: type) -> None:
    then = getattr(cls, "__post_init__", None)

    def __post_init__(self: Any) -> None:  # noqa: N807
        check_types(self)
        if then is not None:
            then(self)

    cls.__post_init__ = __post_init__  # type: ignore[attr-defined]


def check_types(made: Any, *names: str) -> None:
    """Raise `BadSpec` for a field of a dataclass of another type than its hint, or with a value that its `Literal` does not list.

    Args:
        made: the dataclass.
        names: of the fields to check; all by default.
    """
    if skips():
        return
    cls: Any = type(made)
    names = names or _fields_of(cls)
    for name, choices in _choices_of(cls).items():
        if name in names and isinstance(value := getattr(made, name), str) and value not in choices:
            raise BadSpec(_wrong(f"{cls.__name__}.{name}", value, hints_of(cls)[name]))
    seen = (cls, names, *(type(getattr(made, name)) for name in names))
    if seen in _fitting:
        return
    hints = hints_of(cls)
    for name in names:
        if not fits(getattr(made, name), hints[name]):
            raise BadSpec(_wrong(f"{cls.__name__}.{name}", getattr(made, name), hints[name]))
    _remember(seen, [v for name in names if type(v := getattr(made, name)) not in _options(hints[name])])


_fitting: set[tuple[Any, ...]] = set()
"""Functions and classes with types of arguments that fit, so that steps of a training do not check them again."""


def _remember(seen: tuple[Any, ...], values: Iterable[Any]) -> None:
    """Note that types fit, where types alone decide: not of collections, arrays and objects of a user's.
    A dataclass of this package is checked when it is made.
    """
    ours = (v for v in values if not isinstance(v, DECIDED_BY_TYPE))
    if all(dataclasses.is_dataclass(v) and type(v).__module__.startswith("traintwice.") for v in ours):
        _fitting.add(seen)


@cache
def _fields_of(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


@cache
def _choices_of(cls: Any) -> dict[str, tuple[Any, ...]]:
    """The values of each field that takes one of several."""
    return {name: get_args(hint) for name, hint in hints_of(cls).items() if get_origin(hint) is Literal}


@cache
def hints_of(made: Any) -> dict[str, Any]:
    """Hints by name; a hint that needs an optional package which is not imported accepts everything."""
    try:
        return get_type_hints(made)
    except NameError:
        found = {}
        for part in reversed(made.__mro__) if isinstance(made, type) else [made]:
            known = _Known({**vars(builtins), **vars(sys.modules[part.__module__])})
            for name, hint in inspect.get_annotations(part).items():
                try:
                    found[name] = eval(hint, {}, known) if isinstance(hint, str) else hint  # noqa: S307
                except (AttributeError, NameError, TypeError):
                    found[name] = Any
        return found


class _Known(dict[str, Any]):
    """Names of a module; one that only type checkers import is a class, known by its name."""

    def __missing__(self, name: str) -> Any:
        return _ByName(name, (), {"__module__": "traintwice"})


class _ByName(type):
    """A class whose instances are those of every class of its name."""

    def __instancecheck__(cls, value: Any) -> bool:
        return any(base.__name__ == cls.__name__ for base in type(value).__mro__)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value has the type that a hint describes.

    >>> fits((1, 2), tuple[int, ...]), fits((1, "a"), tuple[int, ...]), fits(None, int | None), fits(True, int)
    (True, False, True, False)
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in args)
    if kind is None or kind is NoneType:
        return value is None
    if kind in (int, float):
        return not isinstance(value, bool) and isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if kind is bool:
        return isinstance(value, bool) or (
            getattr(value, "ndim", 1) == 0 and str(getattr(value, "dtype", "")) in ("bool", "torch.bool")
        )
    if kind is str:
        return isinstance(value, str)
    if origin is Literal:
        return isinstance(value, tuple({type(arg) for arg in args}))  # of an argument, the reader reports which there are
    if origin is tuple:
        items = value if isinstance(value, tuple | list) else None
        if items is None or (args and args[-1] is not Ellipsis and len(items) != len(args)):
            return False
        return all(fits(item, args[0] if args[-1] is Ellipsis else args[i]) for i, item in enumerate(items)) if args else True
    if kind in (Path, os.PathLike) or origin is os.PathLike:
        return isinstance(value, os.PathLike)
    return _fits_an_object(value, kind, origin)


def _fits_an_object(value: Any, kind: Any, origin: Any) -> bool:
    """The same for collections and for classes."""
    if origin is Callable:
        return callable(value)
    if isinstance(origin, type):
        if issubclass(origin, Mapping):
            return isinstance(value, Mapping)
        if isinstance(value, list | tuple) and issubclass(origin, Iterable):
            return all(fits(item, of) for item in value for of in get_args(kind)[:1])
        if issubclass(origin, Iterable):
            return (
                isinstance(value, Iterable)
                and not isinstance(value, str | bytes | Mapping)
                and (hasattr(value, "__getitem__") or not issubclass(origin, Sequence))
                and _fits_an_array(value, get_args(kind))
            )
    if is_typeddict(kind):
        return isinstance(value, Mapping)
    if not isinstance(kind, type) or kind in (object, Any):
        return True
    if getattr(kind, "_is_protocol", False):
        return not isinstance(value, UNFIT) and not isinstance(value, type) and not _lacking(value, kind)
    return isinstance(value, kind) or not _is_exact(kind)


def _is_exact(kind: Any) -> bool:
    """Whether a hint is a class that nothing else stands for (a dataclass, a class of this package or of PyTorch), or a tuple of such."""
    if get_origin(kind) is tuple:
        return any(map(_is_exact, get_args(kind)))
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or kind.__module__.partition(".")[0] in ("traintwice", "torch")
    )


def _options(kind: Any) -> tuple[Any, ...]:
    """The hints of a union; of another hint, itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _fits_an_array(value: Any, of: tuple[Any, ...]) -> bool:
    """The same for an array where a list is expected: it has an axis, and its entries have the type by their dtype."""
    wanted, axes = KINDS.get(of[0]) if of else None, getattr(value, "ndim", 1)
    if wanted is None:
        return axes > 0 and not (of and _is_exact(of[0]) and not all(fits(item, of[0]) for item in value))
    return axes == 1 and getattr(getattr(value, "dtype", None), "kind", wanted[0]) in wanted


@cache
def _members(protocol: Any) -> frozenset[str]:
    """The public methods and attributes of a protocol, and the call."""
    bases = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False)]
    return frozenset(
        n for base in bases for n in [*vars(base), *inspect.get_annotations(base)] if not n.startswith("_") or n == "__call__"
    )


def _lacking(value: Any, protocol: Any) -> list[str]:
    """The members of a protocol that an object does not have."""
    return sorted(name for name in _members(protocol) if not hasattr(value, name))


def shown(value: object, most: int = 60) -> str:
    """A value for a message, cut after a number of characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _wrong(name: str, value: Any, kind: Any) -> str:
    text = f"{name}: got {shown(value)}, expected {_in_words(kind)}"
    for option in get_args(kind) or (kind,):
        if getattr(option, "_is_protocol", False) and not isinstance(value, (*UNFIT, type)):
            text += f"; a {option.__name__} of your own needs {' and '.join(_lacking(value, option))}"
    return text


def _in_words(kind: Any) -> str:
    """A hint, in words."""
    options = [option for option in _options(kind) if option is not NoneType]
    if len(options) > 1:
        return " or ".join(dict.fromkeys(map(_in_words, options)))
    (only,) = options or (kind,)
    origin = get_origin(only)
    if only in PLAIN:
        return PLAIN[only]
    if origin is Literal:
        return f"one of {', '.join(map(repr, get_args(only)))}"
    if only is Path or only is os.PathLike or origin is os.PathLike:
        return "a path"
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Iterable) and not issubclass(origin, Mapping)):
        of = [MANY.get(part, getattr(part, "__name__", "")) for part in get_args(only) if part is not Ellipsis]
        return f"a list of {of[0]}" if len(set(of)) == 1 and of[0] else "a list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table"
    library = "PyTorch" if getattr(only, "__module__", "").partition(".")[0] == "torch" else "traintwice"
    name = getattr(only, "__name__", "value")
    return "a function" if origin is Callable else f"{'an' if name[0] in 'AEIO' else 'a'} {name} of {library}"
