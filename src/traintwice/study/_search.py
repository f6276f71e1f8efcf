"""The settings of a search for weights: which row, which settings, within what range, at what price."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traintwice._study_files import named_in_errors, read_toml
from traintwice._typed import check_types, typed
from traintwice.errors import BadSpec, unknown
from traintwice.gates._budgets import parse_limit
from traintwice.specs import decode
from traintwice.study._experiment import TUNE, Experiment


@dataclass(frozen=True)
class Range:
    """The values that a setting may take: ``low`` to ``high``, on a logarithmic scale with ``log``.

    Raises:
        BadSpec: an empty range, or a logarithmic one that does not begin above 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if not self.low < self.high or (self.log and self.low <= 0):
            raise BadSpec(
                f"Range: got {self.low} to {self.high}, expected low below high{' and above 0 for log' if self.log else ''}"
            )


@dataclass(frozen=True)
class Search:
    """A search for the settings of one row of a study.

    Args:
        row: the row whose settings are searched.
        search: path of a setting inside the row, such as "method.weight", to its `Range`.
        trials: number of settings to try.
        replicas: of each trial and of the baseline, on streams apart from those of the study.
        seed: of the search and of its replicas; None: the seed after that of the study.
        together: trials that are proposed before their outcome is known, and trained together.
        front: number of settings that are trained again and reported, at most.
    Raises:
        BadSpec: a setting outside its range.
    """

    row: str
    search: Mapping[str, Mapping[str, Any]]
    trials: int = 20
    replicas: int = 3
    seed: int | None = None
    together: int = 4
    front: int = 4

    def __post_init__(self) -> None:
        check_types(self)
        for name, least in (("trials", 1), ("replicas", 2), ("together", 1), ("front", 1)):
            if getattr(self, name) < least:
                raise BadSpec(f"{name}: got {getattr(self, name)}, expected at least {least}")
        if not self.search:
            raise BadSpec('search: got none, expected settings such as "method.weight" = {low = 0.01, high = 1, log = true}')
        self.ranges()

    def ranges(self) -> dict[str, Range]:
        """The ranges by the path of their setting."""
        return {path: decode(Range, found, f"search.{path}") for path, found in self.search.items()}


@dataclass(frozen=True)
class Tuning:
    """A study with a search.

    Attributes:
        plain: the study as in its file, without the search.
        search: the search.
        least: smallest change of accuracy from the baseline that is allowed, such as −0.001.
    """

    plain: Mapping[str, Any]
    search: Search
    least: float

    @property
    def study(self) -> Experiment:
        """The study."""
        return Experiment.from_dict(self.plain)

    @property
    def seed(self) -> int:
        """Of the search."""
        return self.study.seed + 1 if self.search.seed is None else self.search.seed

    def changes(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The row as in the file, with other values."""
        row: dict[str, Any] = copy.deepcopy(dict(self.plain["rows"][self.search.row]))
        for path, value in values.items():
            *parents, last = path.split(".")
            at: Any = row
            for parent in parents:
                at = at.setdefault(parent, {}) if isinstance(at, dict) else None
            if not isinstance(at, dict):
                raise BadSpec(f"{TUNE}.search.{path}: {parents[-1]!r} is not a table in rows.{self.search.row}")
            at[last] = value
        return row

    def experiment(self, rows: Mapping[str, Mapping[str, float]], *, name: str, seed: int, replicas: int) -> Experiment:
        """The baseline, and rows with these values.

        Raises:
            BadSpec, UnknownName: the row has no such setting, or the value is out of its range.
        """
        baseline = self.study.baseline
        every = {baseline: self.plain["rows"][baseline], **{row: self.changes(values) for row, values in rows.items()}}
        return Experiment.from_dict({**self.plain, "name": name, "seed": seed, "replicas": replicas, "rows": every})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the record of the search."""
        return {"study": dict(self.plain), TUNE: {**vars(self.search), "seed": self.seed}, "least": self.least}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], *, least: float, source: str = "") -> Tuning:
        """The search that plain values of a file describe.

        Raises:
            BadSpec, UnknownName: a setting is missing, unknown or out of range.
        """
        with named_in_errors(source):
            if TUNE not in plain:
                raise BadSpec(f"{TUNE}: missing; a search needs a table with row and search")
            study = {key: value for key, value in plain.items() if key != TUNE}
            made = cls(study, decode(Search, plain[TUNE], TUNE), least)
            rows = made.study.rows
            if made.search.row not in rows:
                raise unknown("row of the study", made.search.row, rows, hint=f"(at {TUNE}.row)")
            if made.search.row == made.study.baseline:
                raise BadSpec(
                    f"{TUNE}.row: got the baseline {made.search.row!r}, which the others are compared with; name another row"
                )
            if made.seed == made.study.seed:
                raise BadSpec(f"{TUNE}.seed: got {made.seed}, the seed of the study; the search needs replicas of its own")
            for end in ("low", "high"):  # a path or range that the row does not have is an error before anything is trained
                made.experiment(
                    {made.search.row: {path: getattr(found, end) for path, found in made.search.ranges().items()}},
                    name="ends", seed=made.seed, replicas=made.search.replicas,
                )  # fmt: skip
            return made

    @classmethod
    def read(cls, path: str | Path, *, least: float) -> Tuning:
        """The search of a TOML file.

        Raises:
            BadSpec, UnknownName: as `from_dict`; the message names the file.
        """
        return cls.from_dict(read_toml(path), least=least, source=str(path))

    def change(self, *, trials: int | None) -> Tuning:
        """The same search with another number of trials."""
        return self if trials is None else replace(self, search=replace(self.search, trials=trials))


@typed
def least_change(text: str) -> float:
    """The smallest change of accuracy that ``--min`` allows.

    Raises:
        BadSpec: another form.

    >>> least_change("accuracy=-0.1%"), least_change("accuracy=-0.002")
    (-0.001, -0.002)
    """
    name, _, written = text.partition("=")
    value = parse_limit(written)
    if name.strip() != "accuracy" or value is None or not -1 < value <= 0:
        raise BadSpec(f"--min {text}: expected accuracy= and a change from -100% to 0%, such as accuracy=-0.1%")
    return value
