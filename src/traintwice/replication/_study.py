"""`replicate`: trains the replicas that are missing, with any function or command; its arguments as a TOML file and as words."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from traintwice._study_files import MOST_REPLICAS, read_toml, toml_of
from traintwice._typed import shown, typed
from traintwice.errors import BadSpec, TrainingFailed, TraintwiceError, unknown
from traintwice.predictions import Reading
from traintwice.predictions._reading import OPTIONS, reading_of
from traintwice.replication._answers import KnownRows, known_rows
from traintwice.replication._executors import IN_PROCESS, PROCESSES, Executor, Task, train_all
from traintwice.replication._replica_run import SEED, Run, check_sources
from traintwice.replication._store import ReplicaStore, check_names, origin_of
from traintwice.replication._trainers import CommandTrainer, Trainer, settings_of, split_words, stop_if_loading, trainer_of

if TYPE_CHECKING:
    from traintwice.replication._results import Replication

__all__ = ["Replicas", "replicate"]


BASELINE: Mapping[str, Any] = {"base": {}}

Vary = Mapping[str, Sequence[str] | None] | Sequence[str] | None
"""Free sources of randomness, of all recipes or by recipe."""


@dataclass(frozen=True)
class Replicas:
    """What to train: M replicas of each recipe, with the sources of randomness that are free in it (None: all)."""

    trainer: Trainer
    recipes: Mapping[str, Mapping[str, Any]]
    replicas: int
    seed: int = 0
    vary: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    test: KnownRows = field(default_factory=KnownRows)

    def origins(self) -> dict[str, dict[str, Any]]:
        """What determines the replicas of each recipe, see `origin_of`."""
        name, code = self.trainer.name, self.trainer.code()
        return {
            recipe: origin_of(name, settings, self.seed, self.vary.get(recipe), code | self.trainer.code_of(settings))
            for recipe, settings in self.recipes.items()
        }

    def task(self, recipe: str, replica: int, store: ReplicaStore) -> Task:
        """The task of a replica."""
        run = Run(
            recipe, replica, self.recipes[recipe], store.folder(recipe, replica), study_seed=self.seed, vary=self.vary.get(recipe)
        )
        return Task(self.trainer, run, self.test, store.log(recipe, replica))

    def check_program(self, executor: str | Executor, index: int | None) -> None:
        """Raise unless a command that is to run on this machine starts with a program of it."""
        if isinstance(self.trainer, CommandTrainer) and (index is not None or executor in (PROCESSES, IN_PROCESS)):
            self.trainer.check_program()

    def all(self) -> list[tuple[str, int]]:
        """Recipe and number of every replica, in the order of the indices of an array job."""
        return [(recipe, replica) for recipe in self.recipes for replica in range(self.replicas)]

    def described(self) -> dict[str, Any]:
        """What `gather` needs: names of the recipes, M, and how the files are read again."""
        regression: Reading = {"regression": True} if self.test.reading.get("regression") else {}
        return {"recipes": list(self.recipes), "replicas": self.replicas, "reading": regression}

    def missing(self, store: ReplicaStore) -> list[Task]:
        """The replicas that a store lacks, the same number of all recipes together."""
        wanted = sorted(self.all(), key=lambda at: at[1])
        return [self.task(*at, store) for at in wanted if store.record(*at) is None]


def replicas_of_study(
    train: Callable[..., Any] | str | Sequence[str],
    *,
    replicas: int = 10,
    recipes: Mapping[str, Any] = BASELINE,
    labels: Any = None,
    ids: Any = None,
    seed: int = 0,
    vary: Vary = None,
    reading: Reading | None = None,
) -> Replicas:
    """Checked arguments of `replicate`."""
    if replicas > MOST_REPLICAS:
        raise BadSpec(f"replicas: got {replicas}, expected at most {MOST_REPLICAS:,}")
    if replicas < 1 or seed < 0:
        raise BadSpec(f"got {replicas} replicas and seed {seed}, expected at least one replica and a seed of at least 0")
    reading_of(reading or {})
    trainer = trainer_of(train)
    check_names(list(recipes))
    sources = check_sources(vary, list(recipes))
    takes_seed = trainer.takes_seed()
    for recipe, free in sources.items():
        if takes_seed and free is not None and SEED not in free:
            how = "{seed:init}" if isinstance(trainer, CommandTrainer) else "train(run) and run.seed_of"
            raise BadSpec(
                f"vary: {recipe} varies {', '.join(free)}, but {trainer.name} takes one seed for everything, which would be the same "
                f'for all replicas. Use {how}, or add "seed" to vary'
            )
    return Replicas(trainer, settings_of(recipes, trainer), replicas, seed, sources, known_rows(labels, ids, reading or {}))


@typed
def replicate(
    train: Callable[..., Any] | str | Sequence[str],
    *,
    replicas: int = 10,
    recipes: Mapping[str, Any] = BASELINE,
    labels: Any = None,
    ids: Any = None,
    store: str | os.PathLike[str] = "traintwice-replicas",
    seed: int = 0,
    vary: Vary = None,
    executor: str | Executor = "processes",
    jobs: int | None = None,
    threads: int | None = 1,
    timeout: float | None = None,
    address: str | None = None,
    gpus: float = 0,
    index: int | None = None,
    mix_code: bool = False,
    trackers: Sequence[Callable[[Replication], object]] = (),
    **reading: Unpack[Reading],
) -> Replication:
    """Train a model several times with other seeds and keep the predictions of every training.

    Replicas that the store has are not trained again: after an interruption the same call continues, and more replicas or recipes
    train what is missing. Replica m of every recipe has the same random streams, so that recipes are compared pair by pair.

    Args:
        train: ``train(run, **settings)`` (see `Run`) or ``train(seed, **settings)``, which returns predictions of the test rows; or its
            name "package.module:function"; or a command as a text or list of words, in which ``{seed}`` and ``{out}`` are replaced by a
            seed and by the path to write predictions to. Predictions are probabilities ``N K``, predicted labels ``N``, scores ``N`` in
            [0, 1] of a binary model, numbers ``N`` (with ``regression=True``), a table with a column of ids, the path of a file, or a dict
            of these by split.
        replicas: M, number of trainings of each recipe.
        recipes: name of each recipe to its settings: keyword arguments of the function, or words to add to the command. The first
            recipe is the baseline.
        labels, ids: true labels (class numbers, truth values or texts) and ids of the test rows, or dicts by split. A table in another
            order is aligned by its ids; pandas objects without ids must have the same index in all replicas.
        store: directory of the replicas; made where it does not exist.
        seed: of all random streams.
        vary: sources of randomness that differ between replicas, such as ("init", "order", "data"), for all recipes or as a dict by
            recipe; the other sources are those of replica 0. None: every source differs.
        executor: "processes" (a fresh process for each replica), "in-process", "ray" (the nodes of a cluster; see
            `traintwice.replication.Ray`), or an object with ``submit(function, *arguments)`` that returns a future, such as a pool of
            `concurrent.futures`.
        jobs, threads, timeout: of "processes": processes at a time (by default one for each core), threads of each, and seconds after
            which a replica is ended and counts as failed. threads and timeout are of "ray" too.
        address, gpus: of "ray": the cluster, such as "auto", and GPUs of each replica.
        index: train only the replica of this number, counted from 0 over the replicas of the first recipe, then of the second …: for
            array jobs. It is trained in this process.
        mix_code: allow replicas of different code in one recipe.
        trackers: functions that get the result at the end, such as `traintwice.integrations.trackers.MLflow`.
        reading: how tables and files of predictions are read, see `traintwice.open_predictions`.
    Returns:
        A `Replication` of all replicas in the store. Failed replicas are its ``failures``, with a warning.
    Raises:
        BadSpec, UnknownName: an argument is not valid. BadInput: labels or ids are not valid. StoreError: the directory cannot be used,
        or has replicas of other settings or other code. TrainingFailed: no replica could be trained; the message has the traceback.
    Example:
        >>> import tempfile
        >>> def train(run):
        ...     return 0.5 + 0.4 * run.stream("init").choice([-1, 1], size=(8, 1)) * np.array([1, -1])
        >>> study = replicate(train, replicas=3, store=tempfile.mkdtemp(), executor="in-process")
        >>> study.measure()["churn"].replicas
        3
    """
    stop_if_loading(train)
    if not all(map(callable, trackers)):
        raise BadSpec(f"trackers: got {shown(trackers)}, expected functions of the result")
    wanted = replicas_of_study(
        train, replicas=replicas, recipes=recipes, labels=labels, ids=ids, seed=seed, vary=vary, reading=reading
    )
    wanted.check_program(executor, index)
    opened = ReplicaStore(store)
    options = {"jobs": jobs, "threads": threads, "timeout": timeout, "address": address, "gpus": gpus}
    for _ in train_missing(wanted, opened, executor=executor, index=index, mix_code=mix_code, **options):
        pass
    found = gather(opened, **wanted.described())
    if found.failures and (index is not None or not any(found.paths.values())):
        raise TrainingFailed(found.failures_in_words())
    if found.failures:
        warnings.warn(found.failures_in_words(), stacklevel=2)
    for tracker in trackers:
        tracker(found)
    return found


def train_missing(
    wanted: Replicas,
    store: ReplicaStore,
    *,
    executor: str | Executor = "processes",
    index: int | None = None,
    mix_code: bool = False,
    **options: Any,
) -> Generator[tuple[Task, str | None], None, None]:
    """Train the missing replicas; yields each with the reason of its failure, or None once it is in the store."""
    origins = wanted.origins()
    store.remember(wanted.described())
    for recipe, origin in origins.items():
        store.check_origin(recipe, origin, mix_code=mix_code)
    if index is None:
        tasks = wanted.missing(store)
    else:
        every = wanted.all()
        if not 0 <= index < len(every):
            raise BadSpec(
                f"index: got {index}, expected 0 to {len(every) - 1}: {wanted.replicas} replicas of each of "
                f"{len(wanted.recipes)} recipes"
            )
        tasks = [wanted.task(*every[index], store)] if store.record(*every[index]) is None else []
        executor = IN_PROCESS
    with closing(train_all(tasks, executor, **options)) as finishing:
        for task, outcome in finishing:
            yield task, store.save(task.run.recipe, task.run.replica, outcome, origins[task.run.recipe])


def stored(path: str | os.PathLike[str]) -> Replication:
    """The replicas of the last study in a directory. Nothing is trained or imported."""
    store = ReplicaStore(path)
    return gather(store, **store.remembered())


def gather(store: ReplicaStore, *, recipes: Sequence[str], replicas: int, reading: Reading) -> Replication:
    """The replicas that the store has of those wanted, and the failures of the others."""
    from traintwice.replication._results import Failure, Replication  # loads the measures, which a worker process does not need

    records = {recipe: {m: r for m in range(replicas) if (r := store.record(recipe, m))} for recipe in recipes}
    failures = [
        Failure(recipe, replica, note["reason"], note["traceback"], store.log(recipe, replica))
        for recipe, found in records.items()
        for replica in range(replicas)
        if replica not in found and (note := store.failure(recipe, replica)) is not None
    ]
    splits: list[str] = list(next((r["splits"] for of_recipe in records.values() for r in of_recipe.values()), ()))
    paths: dict[str, dict[str, dict[int, Path]]] = {
        split: {recipe: {m: store.predictions(recipe, m, split) for m in found} for recipe, found in records.items()}
        for split in splits
    }
    return Replication(store.path, replicas, tuple(recipes), paths, records, tuple(failures), reading)


TRAINER = "trainer"
KEYS = ("name", "replicas", "seed", "vary", TRAINER, "recipes", "reading")


def is_replication(path: str | Path) -> bool:
    """Whether a file is a TOML file with a table ``[trainer]``; False also for files that cannot be read."""
    try:
        return TRAINER in read_toml(path)
    except TraintwiceError:
        return False


def read_study(path: str | Path) -> dict[str, Any]:
    """The arguments of `traintwice.replicate` that a TOML file gives; its folder is added to the places of imports.

        replicas = 10

        [trainer]
        function = "train:main"      # or command = "python train.py --seed {seed} --out {out}"

        [recipes.base]
        [recipes.ema]
        ema = true                   # for a command: [recipes] base = "" and ema = "--ema"

    Raises:
        BadSpec, UnknownName: a key is missing, unknown or of a wrong type; the message starts with the name of the file.
    """
    plain = read_toml(path)
    for key in plain:
        if key not in KEYS:
            raise unknown("setting of a study with a trainer", key, KEYS, hint=f"(in {path})")
    trainer, reading = plain.get(TRAINER), plain.get("reading", {})
    if not isinstance(trainer, Mapping) or set(trainer) not in ({"function"}, {"command"}):
        raise BadSpec(f'{path}: trainer: expected function = "module:name" or command = "…", got {trainer!r}')
    for key, kind in (("replicas", int), ("seed", int), ("recipes", dict), ("reading", dict), ("vary", list | dict)):
        if key in plain and not isinstance(plain[key], kind):
            raise BadSpec(f"{path}: {key}: got {plain[key]!r}, expected {'a table' if kind is dict else 'another type'}")
    for name in reading:
        if name not in OPTIONS:
            raise unknown("option of reading", name, OPTIONS, hint=f"(in {path})", listed="")
    folder = str(Path(path).resolve().parent)
    if "function" in trainer and folder not in sys.path:
        sys.path.insert(0, folder)
    (train,) = trainer.values()
    kept: dict[str, Any] = {key: plain[key] for key in ("replicas", "seed", "vary", "recipes") if key in plain}
    return {"train": train, **kept, **({"reading": reading} if reading else {})}


def recipes_of(words: Sequence[str], *, of_command: bool) -> dict[str, Any]:
    """Recipes from texts ``NAME=WORDS``: words to add to a command, or ``key=value`` settings of a function.

    Raises:
        BadSpec: another form.

    >>> recipes_of(["base=", "ema=--ema --decay 0.9"], of_command=True)
    {'base': '', 'ema': '--ema --decay 0.9'}
    >>> recipes_of(["ema=ema=true rate=0.1 kind=fast"], of_command=False)
    {'ema': {'ema': True, 'rate': 0.1, 'kind': 'fast'}}
    """
    found: dict[str, Any] = {}
    for text in words:
        name, equals, rest = text.partition("=")
        if not equals or name in found:
            raise BadSpec(f"--recipe {text}: expected NAME=WORDS, such as --recipe ema='--ema', each name once")
        found[name] = rest if of_command else dict(_setting(word, text) for word in split_words(rest, f"--recipe {name}"))
    return found


def _setting(word: str, text: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals or not key.isidentifier():
        raise BadSpec(f"--recipe {text}: got {word!r}, expected settings of the function as key=value")
    found = toml_of("v", value)
    if found is None:
        raise BadSpec(f"--recipe {text}: the value of {key} cannot be read")
    return key, found["v"]
