"""The JSON schema of gate files that the package publishes: `python tests/gate_schema.py` writes it."""

import dataclasses
import json
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import traintwice.gates
from traintwice.gates import Budget, GateFile
from traintwice.predictions._reading import OPTIONS, Option

SCHEMA = Path(traintwice.gates.__file__).with_name("gate.schema.json")


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


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(gate_schema(), indent=2, ensure_ascii=False) + "\n")
