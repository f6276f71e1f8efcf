"""A chain of retrains: every day the model is trained again on the data up to that day, and takes over from the one before."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from traintwice._study_files import MOST_REPLICAS, named_in_errors, read_toml
from traintwice._typed import check_types, typed
from traintwice.data import Dataset, Days, Source
from traintwice.engine import DEFAULT_EXECUTION, Execution
from traintwice.errors import BadSpec, StoreError
from traintwice.methods import baseline, logged_distillation
from traintwice.recipes import Recipe
from traintwice.served import Stored
from traintwice.specs import decode, encode, identity, key_of
from traintwice.study._experiment import Experiment
from traintwice.study._plan import Plan, Task, missing_of
from traintwice.study._store import EVERY_MINUTE, Every, Store
from traintwice.study._workers import Finished, train_tasks

Way = Literal["fresh", "warm", "logged", "warm and logged"]
"""``fresh``: new initial weights. ``warm``: start from the weights of the day before. ``logged``: learn from the labels mixed with the
predictions of the model of the day before."""

WAYS: tuple[Way, ...] = get_args(Way)

TABLE = "chain"
"""Table of a TOML file with the settings of a chain."""


@dataclass(frozen=True)
class Chain:
    """M chains of daily retrains of a recipe, in several ways.

    Args:
        name: of the chain in its store.
        data: a source with dates (`Flights`, or `Table` with ``date``).
        recipe: of every retrain.
        days, history, window, test_days, test: see `Days`.
        ways: "fresh", "warm", "logged" and "warm and logged"; the first is compared with the others. All share the model of day 0.
        share: of the old predictions in the targets of "logged", see `LoggedDistillation`.
        replicas: M, number of chains, >= 2. Chain m of all ways has the same random streams, each day others.
        seed: of day 0; day t has seed + t.
    Raises:
        BadSpec: a setting outside its range, or a recipe that has no such way.
    Source:
        Ours. Warm start: AD section 1. Logged distillation: Jiang et al. 2022.
    Example:
        >>> from traintwice.data import Flights
        >>> chain = Chain("daily", Flights(), Recipe(), days=3, ways=("fresh", "warm"))
        >>> Chain.from_dict(chain.to_dict()) == chain
        True
    """

    name: str
    data: Source
    recipe: Recipe
    days: int = 7
    history: int = 7
    window: int | None = None
    test_days: int = 7
    test: int = 10_000
    ways: tuple[Way, ...] = ("fresh", "warm", "logged")
    share: float = 0.5
    replicas: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        Experiment(self.name, self.data, {"base": self.recipe}, self.replicas, self.seed)
        self.day(0)
        if not self.ways or len(set(self.ways)) < len(self.ways) or not set(self.ways) <= set(WAYS):
            raise BadSpec(f"ways: got {list(self.ways)}, expected some of {', '.join(WAYS)}, each once")
        if self.recipe.start is not None or self.recipe.progressive is not None:
            raise BadSpec("recipe: a chain sets the start of each day, and trains on whole days; leave start and progressive out")
        if any("logged" in way for way in self.ways) and self.recipe.method != baseline():
            raise BadSpec(
                'recipe.method: "logged" replaces the baseline\'s loss; leave the method out, or leave "logged" out of the ways'
            )
        if not 0 <= self.share <= 1 or self.days * self.replicas > MOST_REPLICAS:
            raise BadSpec(
                f"share, days: got {self.share} and {self.days}, expected a share in [0, 1] and fewer days and replicas"
            )
        object.__setattr__(self, "recipe", decode(Recipe, encode(self.recipe), "recipe"))
        object.__setattr__(self, "ways", tuple(self.ways))

    def day(self, day: int) -> Days:
        """The data of a day."""
        return Days(self.data, day, self.days, self.history, self.window, self.test_days, self.test)

    def recipe_of(self, way: Way, before: str) -> Recipe:
        """The recipe of a day after the first; ``before`` is the digest of the replicas of the day before."""
        found = self.recipe
        if "warm" in way:
            found = found.change(start=Stored(before))
        if "logged" in way:
            found = found.change(method=logged_distillation(self.share), teacher=Stored(before))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in a file."""
        settings = {"days", "history", "window", "test_days", "test", "ways", "share"}
        plain = encode(self)
        return {key: value for key, value in plain.items() if key not in settings} | {
            TABLE: {key: value for key, value in plain.items() if key in settings}
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], source: str = "") -> Chain:
        """The chain that plain values describe: a study's without rows, with a table ``chain``.

        Raises:
            BadSpec, UnknownName: see `traintwice.specs.decode`.
        """
        with named_in_errors(source):
            settings = plain.get(TABLE, {})
            if not isinstance(settings, Mapping):
                raise BadSpec(f"{TABLE}: got {settings!r}, expected a table")
            if "rows" in plain:
                raise BadSpec("rows: a chain has one recipe; name its ways under chain.ways")
            return decode(cls, {**{key: value for key, value in plain.items() if key != TABLE}, **settings})

    @classmethod
    def read(cls, path: str | Path) -> Chain:
        """The chain of a TOML file.

        Raises:
            BadSpec: the file is missing, is not TOML, or has an invalid setting; the message names file and key.
        """
        return cls.from_dict(read_toml(path), source=str(path))


@dataclass(frozen=True)
class ChainPlan:
    """The replicas of a chain.

    Attributes:
        data: of each day.
        keys: digest of the replicas of each day, by way.
        plan: what is missing.
    """

    data: tuple[Dataset, ...]
    keys: Mapping[Way, tuple[str, ...]]
    plan: Plan


@typed
def prepare_chain(
    chain: Chain, store: Store, *, mix_numerics: bool = False, execution: Execution = DEFAULT_EXECUTION
) -> ChainPlan:
    """Plan the replicas of every day and way, and write the chain down in the store.

    The digest of a day's replicas contains that of the day before, and so all that came before.

    Raises:
        StoreError: the store has a chain of that name with other settings, or replicas with other numerics.
    """
    sources = [chain.day(day) for day in range(chain.days + 1)]
    data = tuple(source.load() for source in sources)
    first = key_of(chain.recipe, data[0].digest, chain.seed)
    keys: dict[Way, list[str]] = {way: [first] for way in chain.ways}
    recipes = {first: (chain.recipe, 0)}
    wanted = [Task(first, "day 0", m, chain.recipe, chain.seed, sources[0], (), True) for m in range(chain.replicas)]
    for day in range(1, chain.days + 1):
        for way, found in keys.items():
            recipe = chain.recipe_of(way, found[-1])
            seed, saved = chain.seed + day, way != "fresh" and day < chain.days
            key = key_of(recipe, data[day].digest, seed)
            for m in range(chain.replicas):
                requires = () if way == "fresh" else ((found[-1], m),)
                wanted.append(Task(key, f"{way}, day {day}", m, recipe, seed, sources[day], requires, saved))
            recipes[key] = (recipe, day)
            found.append(key)
    missing, damaged = missing_of(
        wanted, lambda task: data[recipes[task.key][1]], store, mix_numerics=mix_numerics, execution=execution
    )
    if (known := store.note("chains", chain.name)) is not None:
        there = Chain.from_dict({key: value for key, value in known.items() if key not in ("keys", "schema")})
        if replace(there, replicas=chain.replicas) != chain:
            raise StoreError(
                f"{store.path}: has a chain named {chain.name!r} with other settings; use another name or another --store"
            )
    for key, (recipe, day) in recipes.items():
        store.prepare(key, identity(recipe, data[day].digest, chain.seed + day))
    days = {key: f"day {day}" for key, (_, day) in recipes.items()}
    store.save_note("chains", chain.name, {**chain.to_dict(), "keys": days})
    rows = {task.row: task.key for task in wanted}
    return ChainPlan(data, {way: tuple(found) for way, found in keys.items()}, Plan(rows, missing, damaged, {}, execution))


@typed
def train_chain(
    chain: Chain, store: Store, made: ChainPlan, *, checkpoint: Every = EVERY_MINUTE
) -> Generator[Finished, None, None]:
    """Train the missing replicas, each day after the day before; yields each once it is in the store.

    Raises:
        TrainingFailed: see `traintwice.study.train_missing`.
    """
    return train_tasks(store, made.plan, checkpoint)
