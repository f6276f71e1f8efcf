"""Gates in TOML files, and the JSON schema that editors check them with."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from traintwice._decoding import Decoder
from traintwice._files import check_name
from traintwice._typed import typed
from traintwice.compare._answers import SAME_WITHIN
from traintwice.compare._floor import MARGIN
from traintwice.errors import BadInput, BadSpec, unknown
from traintwice.gates._budgets import Budget, Rule, parse_limit
from traintwice.predictions._reading import OPTIONS, Option, reading_of

SCHEMA = Path(__file__).with_name("gate.schema.json")
"""The published schema; a test compares it with `gate_schema`."""


@dataclass(frozen=True)
class GateFile:
    """A gate in a TOML file; paths are relative to the file. Options of reading stand next to these keys, see `Reading`.

    Attributes:
        old, new: files of predictions.
        floor, new_floor: retrains of each recipe.
        rule: see `Rule`, for budgets that name none.
        inconclusive: what an inconclusive outcome counts as: "pass" or "fail"; absent, it is an outcome of its own.
        level, min_support: of intervals and slices.
        margin: the smallest ratio to the noise floor that matters.
        same_within: the largest change of accuracy that does not matter.
        no_rows: keep ids and rows out of every output.
        waive: ids of rows that do not count.
        budgets: the limits.
        read_with: the options of reading, by name.
    """

    old: str | None = None
    new: str | None = None
    floor: tuple[str, ...] = ()
    new_floor: tuple[str, ...] = ()
    rule: Rule = "bound"
    inconclusive: Literal["pass", "fail"] | None = None
    level: float = 0.95
    min_support: int = 100
    margin: float = MARGIN
    same_within: float = SAME_WITHIN
    no_rows: bool = False
    waive: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    read_with: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@typed
def read_gate(path: str | Path) -> GateFile:
    """The gate in a TOML file.

    Raises:
        BadInput: the file cannot be read or is not TOML. BadSpec, UnknownName: a key, type or value is wrong; the message names
            the path of the key and offers near names.
    """
    check_name(path)
    path = Path(path)
    try:
        with path.open("rb") as file:
            said = tomllib.load(file)
    except OSError as reason:
        raise BadInput(f"{path}: cannot be read ({reason.strerror})") from None
    except (ValueError, RecursionError) as reason:  # TOML, encoding, or a number of thousands of digits
        raise BadInput(f"{path}: is not TOML ({reason})") from None
    return gate_from(said)


def gate_from(said: Mapping[str, Any]) -> GateFile:
    """The gate that plain values describe.

    >>> gate_from({"id": "row_id", "budgets": [{"measure": "churn", "max": "2%"}]}).budgets[0].max
    0.02
    """
    own = [f.name for f in dataclasses.fields(GateFile) if f.name != "read_with"]
    for key in said:
        if key not in own and key not in OPTIONS:
            raise unknown("key of a gate", key, [*own, *OPTIONS])
    hints = get_type_hints(GateFile)
    plain = {
        key: _as_list(value) if get_origin(hints[key]) is tuple and key != "budgets" else value
        for key, value in said.items()
        if key in own
    }
    if isinstance(plain.get("budgets"), list):
        plain["budgets"] = [_with_limits(i, b) if isinstance(b, dict) else b for i, b in enumerate(plain["budgets"])]
    found: GateFile = Decoder().decode(GateFile, plain)
    if not found.budgets:
        raise BadSpec("budgets: missing; give at least one [[budgets]] with a measure and a max or min")
    reading = {key: _option(key, OPTIONS[key], value) for key, value in said.items() if key in OPTIONS}
    return dataclasses.replace(found, read_with={k: v for k, v in reading_of(reading).items() if k in reading})


def _with_limits(i: int, budget: Mapping[str, Any]) -> dict[str, Any]:
    """A budget whose limits in percent are numbers; a text without a percent sign, which may mean either, is refused."""
    found = dict(budget)
    for name in ("max", "min"):
        if isinstance(text := found.get(name), str):
            number = parse_limit(text) if "%" in text else None
            if number is None:
                raise BadSpec(
                    f'budgets[{i}].{name}: got the text {text!r}, expected a number such as 0.02, or a percentage such as "2%"'
                )
            found[name] = number
    return found


def _option(key: str, option: Option, value: Any) -> Any:
    """An option of reading as the functions take it."""
    if option.kind == list[str]:
        value = _as_list(value)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise BadSpec(f"{key}: got {value!r}, expected a text or a list of texts")
        return value[0] if key == "probs" and len(value) == 1 else value
    if option.kind is str and not isinstance(value, str):
        raise BadSpec(f"{key}: got {value!r}, expected a text")
    return value


def _as_list(value: Any) -> Any:
    """A list of texts from one text, and from whole numbers, which ids may be; anything else as it is, for the decoder to judge."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, list):
        return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
    return value


def gate_schema() -> dict[str, Any]:
    """The JSON schema of gate files, from the dataclasses and the options of reading."""
    table = _table(GateFile, required=["budgets"])
    del table["properties"]["read_with"]
    table["properties"] |= {name: {**_of_option(option), "description": option.help} for name, option in OPTIONS.items()}
    limit = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\s*[-+0-9.eE]+\s*%\s*$"}]}
    budget = _table(Budget)
    budget["properties"] |= {name: {**budget["properties"][name], **limit} for name in ("max", "min")}
    for name in ("max", "min"):
        budget["properties"][name].pop("type", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "traintwice gate",
        **table,
        "$defs": {"Budget": {**budget, "anyOf": [{"required": ["max"]}, {"required": ["min"]}]}},
    }


def _table(cls: Any, required: list[str] | None = None) -> dict[str, Any]:
    hints, described = get_type_hints(cls), _attributes(cls.__doc__ or "")
    properties = {}
    for f in dataclasses.fields(cls):
        properties[f.name] = {**_kind(hints[f.name]), **({"description": described[f.name]} if f.name in described else {})}
    return {
        "type": "object",
        "description": (cls.__doc__ or "").split("\n")[0],
        "additionalProperties": False,
        "required": required or [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING],
        "properties": properties,
    }


_TEXTS: dict[str, Any] = {"type": ["string", "integer"]}


def _of_option(option: Option) -> dict[str, Any]:
    return {"anyOf": [_TEXTS, {"type": "array", "items": _TEXTS}]} if option.kind == list[str] else _kind(option.kind)


def _kind(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _kind(next(a for a in args if a is not NoneType))  # TOML has no null: an absent key is None
    if origin is Literal:
        return {"enum": sorted(args)}  # typing may return the order of an equal Literal that was evaluated earlier
    if origin is tuple and args[0] is str:
        return {"anyOf": [_TEXTS, {"type": "array", "items": _TEXTS}]}
    if origin is tuple:
        return {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{args[0].__name__}"}}
    if hint not in (str, bool, int, float):
        return {"type": "object"}
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[hint]}


def _attributes(docstring: str) -> dict[str, str]:
    """The section Attributes of a docstring, by name."""
    section = docstring.partition("Attributes:")[2]
    found: dict[str, str] = {}
    for entry in re.split(r"\n        (?=\w)", section):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            found |= {name.strip(): " ".join(text.split()) for name in names.split(",")}
    return found
