"""An experiment: data, a base recipe with changes to it, the number of replicas, and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tomli_w

from traintwice._study_files import MOST_REPLICAS, NAME, NAME_IN_WORDS, named_in_errors, read_toml, toml_of
from traintwice._typed import check_types, typed
from traintwice.data import Dataset, Source
from traintwice.errors import BadSpec, unknown
from traintwice.recipes import Recipe
from traintwice.specs import controlled, decode, encode, key_of

SCHEMA_VERSION = 1

LONGEST_NAME = 80
"""Largest number of characters in the name of a row, so that tables fit a narrow screen."""

SETTINGS = ("schema", "name", "seed", "replicas", "data", "recipe", "rows")
"""Top-level keys of an experiment's file."""

TUNE = "tune"
"""Table of a file with a search for weights, which `traintwice tune` reads and a study leaves out."""

CONTROL = "control"
"""Key of a row with controls by name, applied to the base recipe before the row's other changes."""

NONE = "none"
"""Value of a setting that the base has and a row does not, such as a schedule."""


@dataclass(frozen=True)
class Experiment:
    """Several recipes on one data set, M replicas of each.

    Args:
        name: of the study; letters, digits, dots, dashes and underscores.
        data: the source of the examples.
        rows: recipe by the name of its row; the first is the baseline that the others are compared with.
        replicas: M, independent trainings of each recipe, >= 2.
        seed: of all random streams. Replica m of every row has the same streams, so rows are compared replica by replica.
    Raises:
        BadSpec: a setting outside its range.
    Example:
        >>> from traintwice.data import Digits
        >>> e = Experiment("mine", Digits(), {"baseline": Recipe(), "twice the epochs": Recipe(epochs=50)})
        >>> e.to_dict()["rows"]
        {'baseline': {}, 'twice the epochs': {'epochs': '2x'}}
        >>> Experiment.from_dict(e.to_dict()) == e
        True
    """

    name: str
    data: Source
    rows: Mapping[str, Recipe]
    replicas: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        if not NAME.fullmatch(self.name):
            raise BadSpec(f"name: got {self.name!r}, expected {NAME_IN_WORDS}")
        if not self.rows:
            raise BadSpec("rows: got none, expected at least one recipe")
        for row, recipe in self.rows.items():
            if not isinstance(row, str) or not isinstance(recipe, Recipe):
                raise BadSpec(f"rows: got {row!r} with {type(recipe).__name__}, expected names with a Recipe each")
            if not row.strip() or not row.isprintable() or len(row) > LONGEST_NAME:
                raise BadSpec(f"rows: got the name {row!r}, expected 1 to {LONGEST_NAME} printable characters")
        if self.replicas < 2:
            raise BadSpec(
                f"replicas: got {self.replicas}, expected at least 2: churn is the disagreement of two models (10 is a good start)"
            )
        if self.replicas > MOST_REPLICAS:
            raise BadSpec(f"replicas: got {self.replicas}, expected at most {MOST_REPLICAS:,}")
        if self.seed < 0:
            raise BadSpec(f"seed: got {self.seed}, expected a whole number of at least 0")

        # 5 and 5.0 are one setting and must have one digest, so recipes are normalised as if read from a file.
        canonical = {name: decode(Recipe, encode(recipe), f"rows.{name}") for name, recipe in self.rows.items()}
        object.__setattr__(self, "rows", canonical)

    @property
    def baseline(self) -> str:
        """Name of the first row, which the others are compared with."""
        return next(iter(self.rows))

    def key(self, row: str, data: Dataset) -> str:
        """Digest of what determines a row's replicas, see `traintwice.specs.identity`."""
        return key_of(self.rows[row], data.digest, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the base recipe in full, every row as changes to it."""
        base = encode(self.rows[self.baseline])
        return {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "seed": self.seed,
            "replicas": self.replicas,
            "data": encode(self.data),
            "recipe": base,
            "rows": {name: _changes(base, encode(recipe)) for name, recipe in self.rows.items()},
        }

    def to_toml(self) -> str:
        """The experiment as a TOML file, which `Experiment.read` reads."""
        return tomli_w.dumps(self.to_dict())

    @classmethod
    @typed
    def from_dict(cls, plain: Mapping[str, Any], source: str = "") -> Experiment:
        """The experiment that plain values describe.

        Args:
            plain: as from `to_dict`; ``seed``, ``replicas`` and ``rows`` may be left out. Without ``rows`` the base recipe is the only row.
            source: name of the file, at the beginning of messages.
        Raises:
            BadSpec, UnknownName: see `traintwice.specs.decode`.
        """
        with named_in_errors(source):
            if not isinstance(plain, Mapping):
                raise BadSpec(f"experiment: got {type(plain).__name__}, expected a table of settings")
            for key in plain:
                if key not in SETTINGS:
                    raise unknown("setting of an experiment", key, SETTINGS)
            if plain.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
                raise BadSpec(f"schema: got {plain['schema']!r}, this version reads {SCHEMA_VERSION}")
            for key in ("name", "data"):
                if key not in plain:
                    raise BadSpec(f"{key}: missing; an experiment needs it")
            base, rows = plain.get("recipe", {}), plain.get("rows", {"baseline": {}})
            for path, value in (("recipe", base), ("rows", rows)):
                if not isinstance(value, Mapping):
                    raise BadSpec(f"{path}: got {value!r}, expected a table")
            recipe = decode(Recipe, base, "recipe")
            recipes = {}
            for name, changes in rows.items():
                path = f"rows.{name}"
                if not isinstance(changes, Mapping):
                    raise BadSpec(f"{path}: got {changes!r}, expected a table of changes to the recipe")
                start = controlled(recipe, changes[CONTROL], f"{path}.{CONTROL}") if CONTROL in changes else recipe
                others = {key: value for key, value in changes.items() if key != CONTROL}
                recipes[name] = decode(
                    Recipe, merge(encode(start), others, path), path
                )  # encoded in full, so that "2x" has a number to double
            return cls(
                name=decode(str, plain["name"], "name"),
                data=decode(Source, plain["data"], "data"),  # type: ignore[type-abstract]
                rows=recipes,
                replicas=decode(int, plain.get("replicas", 10), "replicas"),
                seed=decode(int, plain.get("seed", 0), "seed"),
            )

    def override(self, settings: list[str]) -> Experiment:
        """The experiment with settings of the form ``key=value`` changed; ``recipe.`` before a key of the recipe may be left out.

        A changed setting of the base recipe changes the earlier models (teacher, start) of all rows too, where they have the base's value.

        Raises:
            BadSpec: a setting of another form. UnknownName: an unknown key.
        Example:
            >>> from traintwice.data import Digits
            >>> Experiment("mine", Digits(), {"a": Recipe()}).override(["epochs=60"]).rows["a"].epochs
            60
        """
        plain: Any = self.to_dict()
        for setting in settings:
            change = _parse_setting(setting)
            (key,) = change
            if key not in SETTINGS:
                recipe_keys = [f.name for f in fields(Recipe)]
                if key not in recipe_keys:
                    raise unknown("setting", key, [*SETTINGS, *recipe_keys], hint=f"(in --set {setting})")
                change = {"recipe": change}
            base = plain["recipe"]
            plain = merge(plain, change, "--set")
            for row in [plain["recipe"], *plain["rows"].values()] if "recipe" in change else []:
                _change_earlier(row, base, change["recipe"])
        return Experiment.from_dict(plain)

    @classmethod
    def read(cls, path: str | Path) -> Experiment:
        """The experiment of a TOML file.

        Raises:
            BadSpec: the file is missing, is not TOML, or has an invalid setting; the message names file and key.
        """
        plain = read_toml(path)
        plain.pop(TUNE, None)
        return cls.from_dict(plain, source=str(path))


def merge(base: Mapping[str, Any], changes: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Plain values with changes applied.

    Tables are merged key by key; a table with a ``type`` or ``builder`` replaces the whole table. "2x" doubles a number of the base, and
    "none" removes a setting of the base.

    >>> merge({"epochs": 25, "optimizer": {"type": "SGD", "lr": 0.1}}, {"epochs": "2x", "optimizer": {"lr": 0.2}}, "")
    {'epochs': 50, 'optimizer': {'type': 'SGD', 'lr': 0.2}}
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not {"type", "builder"} & set(value):
            merged[key] = merge(old, value, f"{path}.{key}")
        elif value == NONE and not isinstance(old, str):
            merged.pop(key, None)
        elif isinstance(old, int | float) and isinstance(value, str) and value.endswith("x"):
            merged[key] = _multiple(old, value, f"{path}.{key}")
        else:
            merged[key] = value
    return merged


def _change_earlier(row: dict[str, Any], base: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    """Change settings of the earlier models of a row that have the value of the base, in place."""
    for name in ("start", "teacher"):
        if isinstance(row.get(name), Mapping):
            recipe = row[name]["recipe"]
            same = {key: value for key, value in change.items() if recipe.get(key) == base.get(key)}
            row[name] = {**row[name], "recipe": merge(recipe, same, "--set")}
            _change_earlier(row[name]["recipe"], base, change)


def _multiple(old: float, value: str, path: str) -> float:
    try:
        product = old * float(value[:-1])
        return round(product) if isinstance(old, int) else product
    except (ValueError, OverflowError):
        raise BadSpec(f'{path}: got {value!r}, expected a number or a multiple of the base such as "2x"') from None


def _changes(base: Mapping[str, Any], full: Mapping[str, Any]) -> dict[str, Any]:
    """The changes with which `merge` turns base into full."""
    changes: dict[str, Any] = {key: NONE for key in base if key not in full}
    for key, value in full.items():
        old = base.get(key)
        if key in base and value == old:
            continue
        if isinstance(old, Mapping) and isinstance(value, Mapping) and "type" not in value:
            changes[key] = _changes(old, value)
        elif key == "epochs" and isinstance(old, int) and value % old == 0:
            changes[key] = f"{value // old}x"
        else:
            changes[key] = value
    return changes


def _parse_setting(setting: str) -> dict[str, Any]:
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise BadSpec(f"--set {setting}: expected key=value, such as --set epochs=60")
    found = toml_of(key, value)
    if found is None:
        raise BadSpec(f"--set {setting}: the key is not valid TOML; write it as in the file, such as optimizer.lr=0.1")
    return found
