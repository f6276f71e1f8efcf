"""Recipes as plain values, for TOML files, records and digests, and back.

Members of a family (losses, schedules, networks, optimisers, data sets) have their class name under ``type``. Reading checks every key,
type and range; messages name the path of the invalid value.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_origin, get_type_hints

from traintwice import augmentation, averaging, data, losses, nets, optimizers, schedules
from traintwice._decoding import Decoder
from traintwice._typed import typed
from traintwice.controls import CONTROLS
from traintwice.errors import BadSpec, TraintwiceError, unknown
from traintwice.methods import BUILDERS, Method
from traintwice.recipes import ALGORITHM, Recipe
from traintwice.served import Logged, Served, Stored, Weights

__all__ = ["controlled", "decode", "digest", "encode", "identity", "key_of"]

T = TypeVar("T")

FAMILIES: dict[Any, dict[str, type]] = {
    family: {member.__name__: member for member in members}
    for family, members in {
        losses.Loss: losses.ALL,
        schedules.Schedule: schedules.ALL,
        nets.Network: nets.ALL,
        optimizers.Optimizer: (optimizers.SGD, optimizers.AdaGrad, optimizers.Adam, optimizers.ParameterGroups),
        augmentation.Augmentation: augmentation.ALL,
        averaging.Averaging: averaging.ALL,
        data.Source: data.ALL,
        Served: (Logged, Weights, Stored),
    }.items()
}
"""Type of a field to the classes of its values, by their names in files."""

_TAGGED = {cls for members in FAMILIES.values() for cls in members.values()}


def encode(value: Any) -> Any:
    """Plain values: dataclasses become dicts (with ``type`` for members of a family), None is left out.

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
    """BLAKE2b of the canonical JSON of a value, the same on every machine. Raises `BadSpec` for a value that JSON does not have.

    >>> digest({"a": 1.0, "b": [1]}) == digest({"b": [1], "a": 1.0})
    True
    """
    try:
        canonical = json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadSpec(
            f"value: cannot be written as JSON ({error}); expected numbers, strings, lists, tables and recipes"
        ) from None
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


@typed
def identity(recipe: Recipe, data_digest: str, seed: int) -> dict[str, Any]:
    """Plain values that determine a recipe's replicas: algorithm, recipe, data and seed.

    The components kept at inference are not part of the identity: raw logits of all components are stored.
    """
    return {"algorithm": ALGORITHM, "recipe": _trained(encode(recipe)), "data": data_digest, "seed": seed}


@typed
def key_of(recipe: Recipe, data_digest: str, seed: int) -> str:
    """Digest of `identity`, under which a store keeps the replicas."""
    return digest(identity(recipe, data_digest, seed))


def _trained(recipe: dict[str, Any]) -> dict[str, Any]:
    """The encoded recipe without the settings that change no weight."""
    method: dict[str, Any] = {name: value for name, value in recipe["method"].items() if name != "keep"}
    found = {**recipe, "method": method}
    for name in ("start", "teacher"):
        earlier = recipe.get(name, {})
        if "file" in earlier:  # a model in service is its content, wherever the file is
            found[name] = {key: value for key, value in earlier.items() if key != "file"}
        elif (
            "recipe" in earlier and name == "start"
        ):  # a start is weights and nothing else; a student sees what its teacher keeps
            found[name] = {**earlier, "recipe": _trained(earlier["recipe"])}
    return found


@typed
def decode(cls: type[T], value: Any, path: str = "") -> T:
    """The object that plain values describe.

    Args:
        cls: a dataclass, a family, or a plain type.
        value: from TOML or JSON.
        path: of the value in its file, for messages.
    Raises:
        BadSpec: a missing key, a wrong type or a value out of range; the message starts with the path.
        UnknownName: an unknown ``type`` or key.
    Example:
        >>> decode(schedules.Schedule, {"type": "Ramp", "to": 1, "epochs": 5})
        Ramp(to=1.0, epochs=5.0, steps=None)
    """
    hint: Any = cls
    if not isinstance(hint, type) and get_origin(hint) is None:
        raise BadSpec(f"cls: got a {type(cls).__name__}, expected a class: a dataclass, a family or a plain type")
    return _DECODER.decode(hint, value, path)  # type: ignore[no-any-return]


@typed
def controlled(base: Recipe, value: Any, path: str = "control") -> Recipe:
    """A recipe with one or several controls applied.

    Args:
        base: the recipe to change.
        value: ``"ema"``, ``{builder = "ema", decay = 0.99}``, or a list of these, applied in order.
        path: of the value in its file, for messages.
    Raises:
        BadSpec: a setting is missing, of a wrong type or out of range. UnknownName: an unknown control or setting.
    Example:
        >>> controlled(Recipe(epochs=5), "twice_the_epochs").epochs
        10
    """
    for item in value if isinstance(value, list) else [value]:
        named = {"builder": item} if isinstance(item, str) else item
        if not isinstance(named, Mapping) or "builder" not in named:
            raise BadSpec(f'{path}: got {item!r}, expected the name of a control, such as "ema", or a table with a builder')
        base = _built("control", CONTROLS, named, path, base)
    return base


def _expand_builder(cls: Any, value: Any, path: str) -> Any:
    """A method by the name of its builder: ``"ensemble"`` or ``{builder = "ensemble", components = 3}``."""
    if cls is not Method:
        return value
    if isinstance(value, str):
        value = {"builder": value}
    if not isinstance(value, Mapping) or "builder" not in value:
        return value
    return _built("method", BUILDERS, value, path)


def _built(kind: str, builders: Mapping[str, Callable[..., T]], value: Mapping[str, Any], path: str, *arguments: Any) -> T:
    """The result of a builder with arguments and with settings from a file."""
    name = str(value["builder"])
    if name not in builders:
        raise unknown(kind, name, builders, hint=f"(at {path})")
    own = list(inspect.signature(builders[name]).parameters.values())[len(arguments) :]
    hints = get_type_hints(builders[name])
    plain = {key: item for key, item in value.items() if key != "builder"}
    settings = _DECODER.settings(name, {parameter.name: hints[parameter.name] for parameter in own}, plain, path)
    for parameter in own:
        if parameter.default is parameter.empty and parameter.name not in settings:
            raise BadSpec(f"{path}.{parameter.name}: missing; {name} needs it")
    try:
        return builders[name](*arguments, **settings)
    except TraintwiceError as error:
        raise BadSpec(f"{path}: {error}") from None


_DECODER = Decoder(FAMILIES, _expand_builder)
