"""Recipes and everything in them as plain values, and back: what TOML files, records and digests are made of.

Members of a family (losses, schedules, networks, optimisers, data sets) carry their class name under ``type``. Reading checks every
key, type and range and names the path of what is wrong.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from traintwice import augmentation, averaging, data, losses, nets, optimizers, schedules
from traintwice.errors import BadSpec, TraintwiceError, unknown
from traintwice.methods import BUILDERS, Method

T = TypeVar("T")

FAMILIES: dict[Any, dict[str, type]] = {
    losses.Loss: {c.__name__: c for c in losses.ALL},
    schedules.Schedule: {c.__name__: c for c in schedules.ALL},
    nets.Network: {c.__name__: c for c in nets.ALL},
    optimizers.Optimizer: {c.__name__: c for c in (optimizers.SGD, optimizers.AdaGrad, optimizers.Adam)},
    augmentation.Augmentation: {c.__name__: c for c in augmentation.ALL},
    averaging.Averaging: {c.__name__: c for c in averaging.ALL},
    data.Source: {c.__name__: c for c in data.ALL},
}
"""Field type to the classes it may hold, by the name they carry in files."""

_TAGGED = {cls for members in FAMILIES.values() for cls in members.values()}


def encode(value: Any) -> Any:
    """Plain values: dataclasses become dicts (with their ``type`` where they belong to a family), None is left out.

    >>> encode(schedules.Ramp(1.0, epochs=5))
    {'type': 'Ramp', 'to': 1.0, 'epochs': 5}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        kept = {key: item for key, item in plain.items() if item is not None}
        return {"type": type(value).__name__, **kept} if type(value) in _TAGGED else kept
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return value


def digest(value: Any) -> str:
    """BLAKE2b of the canonical JSON of a value: the same settings, the same digest, on any machine.

    >>> digest({"a": 1.0, "b": [1]}) == digest({"b": [1], "a": 1.0})
    True
    """
    canonical = json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def decode(cls: type[T], value: Any, path: str = "") -> T:
    """The object that plain values describe.

    Args:
        cls: a dataclass, a family, or a plain type.
        value: from TOML or JSON.
        path: of the value in its file, for messages.
    Raises:
        BadSpec: an unknown or missing key, a wrong type or a value out of range; the message starts with the path.
        UnknownName: no such ``type``, or no such key and one like it.
    Example:
        >>> decode(schedules.Schedule, {"type": "Ramp", "to": 1, "epochs": 5})
        Ramp(to=1.0, epochs=5.0, steps=None)
    """
    return _decode(cls, value, path)  # type: ignore[no-any-return]


def _decode(kind: Any, value: Any, path: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind in FAMILIES:
        return _decode_member(kind, value, path)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, path)
    if origin in (Union, UnionType):
        return _decode_union(args, value, path)
    if origin is Literal:
        if value in args:
            return value
        raise BadSpec(f"{path}: got {value!r}, expected one of {', '.join(map(repr, args))}")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(path, value, "a list")
        return tuple(_decode(args[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    return _decode_plain(kind, value, path)


def _decode_plain(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise _wrong(path, value, {float: "a number", int: "a whole number", bool: "true or false", str: "a string"}[kind])


def _decode_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and NoneType in options:
        return None
    family = next((o for o in options if o in FAMILIES), None)
    plain = [o for o in options if o is not NoneType and o is not family]
    if family is not None and (isinstance(value, Mapping) or not plain):
        return _decode(family, value, path)
    return _decode(plain[0], value, path)


def _decode_member(family: Any, value: Any, path: str) -> Any:
    members = FAMILIES[family]
    if not isinstance(value, Mapping) or "type" not in value:
        raise BadSpec(f"{path}: got {value!r}, expected a table with a type, one of {', '.join(sorted(members))}")
    name = value["type"]
    if name not in members:
        raise unknown(f"{family.__name__.lower()}", str(name), members, hint=f"(at {path}.type)")
    return _decode_dataclass(members[name], {key: item for key, item in value.items() if key != "type"}, path)


def _decode_dataclass(cls: Any, value: Any, path: str) -> Any:
    if cls is Method:
        value = _expand_builder(value, path)
        if isinstance(value, Method):
            return value
    if not isinstance(value, Mapping):
        raise _wrong(path, value, f"a table of the settings of {cls.__name__}")
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    at = f"{path}." if path else ""
    for key in value:
        if key not in fields:
            raise unknown(f"setting of {cls.__name__}", str(key), fields, hint=f"(at {at}{key})")
    for name, f in fields.items():
        if name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise BadSpec(f"{at}{name}: missing; {cls.__name__} needs it")
    settings = {key: _decode(hints[key], item, f"{at}{key}") for key, item in value.items()}
    try:
        return cls(**settings)
    except TraintwiceError as error:
        raise BadSpec(f"{path}: {error}" if path else str(error)) from None


def _expand_builder(value: Any, path: str) -> Any:
    """A method given by the name of its builder: ``"ensemble"`` or ``{builder = "ensemble", components = 3}``."""
    if isinstance(value, str):
        value = {"builder": value}
    if not isinstance(value, Mapping) or "builder" not in value:
        return value
    name = str(value["builder"])
    if name not in BUILDERS:
        raise unknown("method", name, BUILDERS, hint=f"(at {path})")
    hints = get_type_hints(BUILDERS[name])
    del hints["return"]
    settings = {}
    for key, item in value.items():
        if key == "builder":
            continue
        if key not in hints:
            raise unknown(f"setting of {name}", key, hints, hint=f"(at {path}.{key})")
        settings[key] = _decode(hints[key], item, f"{path}.{key}")
    try:
        return BUILDERS[name](**settings)
    except TraintwiceError as error:
        raise BadSpec(f"{path}: {error}") from None


def _wrong(path: str, value: Any, expected: str) -> BadSpec:
    return BadSpec(f"{path or 'settings'}: got {value!r}, expected {expected}")
