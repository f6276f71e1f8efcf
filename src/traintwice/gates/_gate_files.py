"""Gates in TOML files."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from traintwice._decoding import Decoder
from traintwice._files import check_name
from traintwice._typed import typed
from traintwice.compare._answers import SAME_WITHIN
from traintwice.compare._floor import MARGIN
from traintwice.errors import BadInput, BadSpec, unknown
from traintwice.gates._budgets import Budget, Rule, parse_limit
from traintwice.predictions._reading import OPTIONS, Option, reading_of

LISTS = ("floor", "new_floor", "waive")
"""Keys of a gate file that hold a list of texts, or one text."""


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
    try:
        said = tomllib.loads(Path(path).read_bytes().decode())
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
    plain = {key: _as_list(value) if key in LISTS else value for key, value in said.items() if key in own}
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
            found[name] = parse_limit(text) if "%" in text else None
            if found[name] is None:
                raise BadSpec(
                    f'budgets[{i}].{name}: got the text {text!r}, expected a number such as 0.02, or a percentage such as "2%"'
                )
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
