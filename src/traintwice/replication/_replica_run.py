"""One replica as the training function sees it: its random streams, its folder, its log, and the files that a command writes."""

from __future__ import annotations

import importlib
import json
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from traintwice._files import start_of
from traintwice.errors import BadInput, BadSpec, TrainingFailed, UnknownName, unknown
from traintwice.predictions._inputs import JSON_ARRAY, format_of, format_of_name
from traintwice.randomness import RandomSource, stream
from traintwice.served import Logged, ServedFile, Weights

__all__ = ["Run"]


S = TypeVar("S", bound=ServedFile)

SEED = "seed"
"""Name of the source of randomness behind `Run.seed`."""

LARGEST_SEED = 2**31
"""Seeds are below this number, which every library accepts."""

LIBRARIES = ("numpy", "torch", "jax")


@dataclass(frozen=True)
class Run:
    """A replica to train.

    Streams depend on the seed of the study, the source and the number of the replica, not on the recipe: replica m of every recipe
    has the same streams, so that recipes are compared pair by pair.

    Args:
        recipe: name of the recipe.
        replica: number of the replica, from 0.
        settings: of the recipe; the training function gets them as keyword arguments, except a model in service (`logged`, `start`).
        folder: a directory for files of this replica, such as checkpoints; it is kept.
        study_seed: seed of the study.
        vary: sources of randomness that differ between replicas; all others are those of replica 0. None: every source differs.
        history: the values of `log`.
        costs: the values of `cost`.
    Example:
        >>> first, second = (Run("base", m, vary=("order",)) for m in (0, 1))
        >>> first.seed_of("init") == second.seed_of("init"), first.seed_of("order") == second.seed_of("order")
        (True, False)
    """

    recipe: str
    replica: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    study_seed: int = 0
    vary: tuple[str, ...] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """A seed for all randomness of the replica, 0 <= seed < 2³¹."""
        return self.seed_of(SEED)

    def seed_of(self, source: str) -> int:
        """A seed for one source of randomness, such as "init", "order" or "data"; 0 <= seed < 2³¹."""
        return int(self.stream(source).integers(LARGEST_SEED))

    def stream(self, source: str) -> np.random.Generator:
        """The random stream of one source, as a NumPy generator that starts anew at each call."""
        free = self.vary is None or source in self.vary
        return stream(self.study_seed, cast(RandomSource, source), replica=self.replica if free else 0)

    def rng(self, library: str = "numpy", source: str = SEED) -> Any:
        """The random stream of one source as a generator of a library.

        Args:
            library: "numpy" (a ``Generator``), "torch" (a ``torch.Generator`` on the CPU) or "jax" (a key).
            source: of randomness.
        Raises:
            UnknownName: another library.
        """
        if library not in LIBRARIES:
            raise unknown("library of random generators", library, LIBRARIES)
        if library == "numpy":
            return self.stream(source)
        if library == "torch":
            return importlib.import_module("torch").Generator().manual_seed(self.seed_of(source))
        return importlib.import_module("jax").random.key(self.seed_of(source))

    def seed_everything(self) -> int:
        """Seed the global generators of Python, NumPy, and of PyTorch and TensorFlow where they are imported; returns the seed."""
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002  (the global generator is the one to seed)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(self.seed)
        if "tensorflow" in sys.modules:
            sys.modules["tensorflow"].random.set_seed(self.seed)
        return self.seed

    def sample(self, n: int, *, share: float | None = None) -> np.ndarray:
        """Training rows of this replica, drawn from the source "data".

        Args:
            n: number of training rows.
            share: draw so large a share of the rows, without replacement, in (0, 1]. None draws n rows with replacement (bootstrap).
        Returns:
            Indices in 0 … n−1, sorted.
        Raises:
            BadSpec: an empty training set, or a share outside (0, 1].
        Example:
            >>> len(Run("base", 0).sample(100, share=0.8)), len(Run("base", 0).sample(100))
            (80, 100)
        """
        if n < 1 or (share is not None and not 0 < share <= 1):
            raise BadSpec(f"run.sample: got {n} rows and share {share}, expected at least one row and a share in (0, 1]")
        rng = self.stream("data")
        drawn = rng.integers(n, size=n) if share is None else rng.permutation(n)[: max(round(share * n), 1)]
        return np.sort(drawn)

    @property
    def logged(self) -> Logged:
        """The logged predictions of the model in service that the recipe names, see `Logged.probs`.

        Raises:
            BadSpec: the recipe has no setting with a `Logged`.
        """
        return self._served(Logged)

    @property
    def start(self) -> Path:
        """The file of weights of the model in service that the recipe names, with the content that its digest says.

        Raises:
            BadSpec: the recipe has no setting with `Weights`. BadInput: the file has changed.
        """
        return self._served(Weights).path

    def _served(self, kind: type[S]) -> S:
        for value in self.settings.values():
            if isinstance(value, kind):
                return value
        raise BadSpec(
            f'recipe {self.recipe!r}: has no {kind.__name__}, expected one among its settings, such as {kind.__name__}("…")'
        )

    def log(self, step: int, **values: float) -> None:
        """Record numbers of a step, such as ``run.log(100, loss=0.3)``; they are kept in the record of the replica."""
        self.history.append({"step": int(step), **{name: float(value) for name, value in values.items()}})

    def cost(self, **amounts: float) -> None:
        """State what the replica cost, such as ``run.cost(gpu_hours=3.2)``; the table has a column for each name. Repeated names add up.

        Raises:
            BadSpec: an amount that is not a finite number of at least 0.
        """
        for name, amount in amounts.items():
            if isinstance(amount, bool) or not isinstance(amount, int | float | np.number) or not 0 <= amount < float("inf"):
                raise BadSpec(f"run.cost: {name}: got {amount!r}, expected a number of at least 0")
            self.costs[name] = self.costs.get(name, 0.0) + float(amount)


def check_sources(vary: Mapping[str, Sequence[str] | None] | Sequence[str] | None, recipes: Sequence[str]) -> dict[str, Any]:
    """The free sources of each recipe, as tuples in alphabetical order; None where every source is free.

    Raises:
        BadSpec: a text in place of a list of texts, or an empty list. UnknownName: a recipe that is not among the recipes.

    >>> check_sources(("order", "init"), ["base"]), check_sources(None, ["base"])
    ({'base': ('init', 'order')}, {'base': None})
    """
    by_recipe = dict(vary) if isinstance(vary, Mapping) else dict.fromkeys(recipes, vary)
    found: dict[str, tuple[str, ...] | None] = dict.fromkeys(recipes)
    for recipe, sources in by_recipe.items():
        if recipe not in found:
            raise UnknownName(f"vary: no recipe named {recipe!r}; the recipes are {', '.join(recipes)}")
        if sources is None:
            continue
        if (
            not isinstance(sources, list | tuple | set | frozenset)
            or not sources
            or not all(isinstance(source, str) for source in sources)
        ):
            raise BadSpec(f'vary: got {sources!r}, expected a list of sources of randomness, such as ("init", "order")')
        found[recipe] = tuple(sorted(set(sources)))
    return found


COSTS = "costs.json"
"""File in the folder of a replica in which a command may state what it cost."""


def remove_old(out: Path) -> None:
    """Delete what an earlier training of the replica wrote."""
    if out.is_dir():
        shutil.rmtree(out, ignore_errors=True)
    for old in [*_written(out), *_packed(out), out.parent / COSTS]:
        old.unlink(missing_ok=True)


def add_costs(run: Run) -> None:
    """The costs that a command states in a file of its folder."""
    path = run.folder / COSTS
    if not path.exists():
        return
    try:
        run.cost(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise TrainingFailed(f'{COSTS}: expected a JSON object of numbers, such as {{"gpu_hours": 3.2}} ({error})') from None


def _written(out: Path) -> list[Path]:
    """The files that a command wrote: the path itself or with an ending, or the files of the directory."""
    if out.is_dir():
        return sorted(path for path in out.iterdir() if path.is_file())
    return sorted(path for path in out.parent.glob(f"{out.name}*") if path.is_file() and path.stem == out.name)


def _packed(out: Path) -> list[Path]:
    """Files with more than one ending, such as .jsonl.gz."""
    found = (path for path in out.parent.glob(f"{out.name}.*") if path.is_file() and path.stem != out.name)
    return sorted(found)


def predictions_of(out: Path, command: str) -> Path | dict[str, Path]:
    """The file that a command wrote, or the files of its directory by split.

    Raises:
        TrainingFailed: no file, several files, or several of one split.
    """
    files = [_with_ending(path) for path in _written(out) or _packed(out)]
    if out.is_dir() and files:
        return _by_split(files)
    if len(files) != 1:
        raise TrainingFailed(
            f"the command wrote {len(files)} files of predictions, expected one: it must write to the path in place of {{out}}, with "
            f"or without an ending such as .csv or .parquet ({command})"
        )
    return files[0]


def _by_split(files: Sequence[Path]) -> dict[str, Path]:
    """Files by the split that their names say, without endings."""
    found: dict[str, Path] = {}
    for path in files:
        split = path.stem if format_of_name(Path(path.stem)) is None else Path(path.stem).stem
        if split in found:
            raise TrainingFailed(
                f"the command wrote two files of the split {split!r}: {found[split].name} and {path.name}; expected one"
            )
        found[split] = path
    return found


def _with_ending(path: Path) -> Path:
    """A file whose format its name or its first bytes say; a text of one column is named as CSV."""
    if path.suffix:
        return path
    try:
        format_of(path, path.name)
    except BadInput:
        return path if JSON_ARRAY.match(start_of(path, path.name)) else path.rename(path.with_suffix(".csv"))
    return path
