"""Plain values from TOML or JSON into frozen dataclasses; keys, types and ranges are checked, and errors name the path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from traintwice._typed import PLAIN, hints_of
from traintwice.errors import BadSpec, TraintwiceError, unknown

LARGEST = 1e15
"""Larger numbers are mistakes: no setting has such a value, and arithmetic with them overflows."""

Expand = Callable[[Any, Any, str], Any]
"""Takes a dataclass, a value and its path; returns the value in long form, or the finished object."""


class Decoder:
    """Reads plain values. Families are field types with the classes they may hold, by the name they carry in files under ``type``."""

    def __init__(self, families: Mapping[Any, Mapping[str, type]] | None = None, expand: Expand | None = None) -> None:
        self.families = families or {}
        self._expand = expand

    def decode(self, kind: Any, value: Any, path: str = "") -> Any:
        """The object of a dataclass, a family or another type hint that plain values describe; messages start with the path."""
        if kind in PLAIN:  # first, because most values are plain
            return _plain(kind, value, path)
        origin, args = get_origin(kind), get_args(kind)
        if kind in self.families:
            return self._member(kind, value, path)
        if dataclasses.is_dataclass(kind):
            return self._dataclass(kind, value, path)
        if origin in (Union, UnionType):
            return self._union(args, value, path)
        if origin is Literal:
            if value in args:
                return value
            raise BadSpec(f"{path}: got {value!r}, expected one of {', '.join(map(repr, args))}")
        if origin is tuple:
            if not isinstance(value, list | tuple):
                raise _wrong(path, value, "a list")
            return tuple(self.decode(args[0], item, f"{path}[{i}]") for i, item in enumerate(value))
        if origin is Mapping:  # settings that their reader checks
            if not isinstance(value, Mapping):
                raise _wrong(path, value, "a table")
            return dict(value)
        raise _wrong(path, value, "a table with a type")

    def settings(self, what: str, hints: Mapping[str, Any], value: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Every setting read by its hint; an unknown key raises `UnknownName`."""
        at = f"{path}." if path else ""
        for key in value:
            if key not in hints:
                raise unknown(f"setting of {what}", str(key), hints, hint=f"(at {at}{key})", listed="")
        return {key: self.decode(hints[key], item, f"{at}{key}") for key, item in value.items()}

    def _union(self, options: tuple[Any, ...], value: Any, path: str) -> Any:
        if value is None and NoneType in options:
            return None
        family = next((o for o in options if o in self.families), None)
        plain = [o for o in options if o is not NoneType and o is not family]
        tables = any(map(dataclasses.is_dataclass, plain))
        if family is not None and (not plain or (isinstance(value, Mapping) and ("type" in value or not tables))):
            return self.decode(family, value, path)
        return self.decode(plain[0], value, path)

    def _member(self, family: Any, value: Any, path: str) -> Any:
        members = self.families[family]
        if not isinstance(value, Mapping) or "type" not in value:
            raise BadSpec(f"{path}: got {value!r}, expected a table with a type, one of {', '.join(sorted(members))}")
        name = value["type"]
        if not isinstance(name, str) or name not in members:
            raise unknown(f"{family.__name__.lower()}", str(name), members, hint=f"(at {path}.type)")
        return self._dataclass(members[name], {key: item for key, item in value.items() if key != "type"}, path)

    def _dataclass(self, cls: Any, value: Any, path: str) -> Any:
        if self._expand is not None:
            value = self._expand(cls, value, path)
            if isinstance(value, cls):
                return value
        if not isinstance(value, Mapping):
            raise _wrong(path, value, f"a table of the settings of {cls.__name__}")
        fields = {f.name: f for f in dataclasses.fields(cls)}
        hints = {name: hint for name, hint in hints_of(cls).items() if name in fields}
        at = f"{path}." if path else ""
        for name, f in fields.items():
            if name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                self.settings(cls.__name__, hints, {key: None for key in value if key not in hints}, path)
                raise BadSpec(f"{at}{name}: missing; {cls.__name__} needs it")
        settings = self.settings(cls.__name__, hints, value, path)
        try:
            return cls(**settings)
        except TraintwiceError as error:
            raise BadSpec(f"{path}: {error}" if path else str(error)) from None


def _plain(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= LARGEST:
            raise _wrong(path, value, "a finite number")
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > LARGEST:
            raise _wrong(path, value, "a smaller number")
        return value
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise _wrong(path, value, PLAIN[kind])


def _wrong(path: str, value: Any, expected: str) -> BadSpec:
    return BadSpec(f"{path or 'settings'}: got {value!r}, expected {expected}")
