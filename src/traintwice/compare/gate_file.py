"""Gates in TOML files, and the JSON schema that editors check them with."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from traintwice.compare.gate_types import Budget, GateFile
from traintwice.decoding import Decoder
from traintwice.errors import BadInput, BadSpec

SCHEMA = Path(__file__).with_name("gate.schema.json")
"""The published schema; a test holds it against `gate_schema`."""


def read_gate(path: str | Path) -> GateFile:
    """The gate that a TOML file says.

    Raises:
        BadInput: the file cannot be read or is no TOML. BadSpec, UnknownName: a key, type or value is wrong; the message names
            the path of the key and offers near names.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            said = tomllib.load(file)
    except OSError as reason:
        raise BadInput(f"{path}: cannot be read ({reason.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        raise BadInput(f"{path}: is no TOML ({reason})") from None
    return gate_from(said)


def gate_from(said: Mapping[str, Any]) -> GateFile:
    """The gate that plain values say.

    >>> gate_from({"id": "row_id", "budgets": [{"measure": "churn", "max": 0.02}]}).budgets
    (Budget(measure='churn', max=0.02, min=None, by=None, rule=None, of='change'),)
    """
    hints = get_type_hints(GateFile)
    plain = {key: _as_list(value) if get_origin(hints.get(key)) is tuple else value for key, value in said.items()}
    found = Decoder().decode(GateFile, plain)
    if not found.budgets:
        raise BadSpec("budgets: missing; give at least one [[budgets]] with a measure and a max or min")
    return found


def _as_list(value: Any) -> Any:
    """A list of texts from one text, and from whole numbers, which ids may be; anything else as it is, for the decoder to judge."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, list):
        return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
    return value


def gate_schema() -> dict[str, Any]:
    """The JSON schema of gate files, from the dataclasses."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "traintwice gate",
        **_table(GateFile, required=["budgets"]),
        "$defs": {"Budget": {**_table(Budget), "anyOf": [{"required": ["max"]}, {"required": ["min"]}]}},
    }


def _table(cls: Any, required: list[str] | None = None) -> dict[str, Any]:
    hints, told = get_type_hints(cls), _attributes(cls.__doc__ or "")
    properties = {f.name: {**_kind(hints[f.name]), **_told(f.name, told)} for f in dataclasses.fields(cls)}
    needed = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING]
    return {
        "type": "object",
        "description": (cls.__doc__ or "").split("\n")[0],
        "additionalProperties": False,
        "required": required or needed,
        "properties": properties,
    }


def _kind(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _kind(next(a for a in args if a is not NoneType))  # TOML has no null: an absent key is None
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple and args[0] is str:
        one = {"type": ["string", "integer"]}
        return {"anyOf": [one, {"type": "array", "items": one}]}
    if origin is tuple:
        return {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{args[0].__name__}"}}
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[hint]}


def _told(name: str, told: Mapping[str, str]) -> dict[str, str]:
    return {"description": told[name]} if name in told else {}


def _attributes(docstring: str) -> dict[str, str]:
    """What the section Attributes of a docstring says of each name."""
    section = docstring.partition("Attributes:")[2]
    found: dict[str, str] = {}
    for entry in re.split(r"\n        (?=\w)", section):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            found |= {name.strip(): " ".join(text.split()) for name in names.split(",")}
    return found
