"""Recipes and everything in them as plain values, and back: what TOML files, records and digests are made of.

Members of a family (losses, schedules, networks, optimisers, data sets) carry their class name under ``type``. Reading checks every
key, type and range and names the path of what is wrong.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from traintwice import augmentation, averaging, data, losses, nets, optimizers, schedules
from traintwice.decoding import Decoder
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
    return _DECODER.decode(cls, value, path)


def _expand_builder(decoder: Decoder, cls: Any, value: Any, path: str) -> Any:
    """A method given by the name of its builder: ``"ensemble"`` or ``{builder = "ensemble", components = 3}``."""
    if cls is not Method:
        return value
    if isinstance(value, str):
        value = {"builder": value}
    if not isinstance(value, Mapping) or "builder" not in value:
        return value
    name = str(value["builder"])
    if name not in BUILDERS:
        raise unknown("method", name, BUILDERS, hint=f"(at {path})")
    hints = get_type_hints(BUILDERS[name])
    del hints["return"]
    settings = decoder.settings(name, hints, {key: item for key, item in value.items() if key != "builder"}, path)
    try:
        return BUILDERS[name](**settings)
    except TraintwiceError as error:
        raise BadSpec(f"{path}: {error}") from None


_DECODER = Decoder(FAMILIES, _expand_builder)
