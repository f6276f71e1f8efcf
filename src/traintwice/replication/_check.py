"""Whether two trainings with the same seed, in two processes, give the same predictions; and which randomness was not seeded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from traintwice._typed import typed
from traintwice.compare._shown import Shown
from traintwice.errors import TrainingFailed
from traintwice.predictions import Reading
from traintwice.replication._answers import Answers
from traintwice.replication._executors import Outcome, Processes, Task, perform
from traintwice.replication._store import ReplicaStore
from traintwice.replication._study import replicas_of_study
from traintwice.replication._trainers import stop_if_loading
from traintwice.tables import Line, Sheet

__all__ = ["SameSeed", "check_same_seed"]

HASH_SEED = "PYTHONHASHSEED"


@dataclass(frozen=True, repr=False)
class SameSeed(Shown):
    """Two trainings with the same seed in two processes.

    Attributes:
        name: of the function or command.
        rows: number of test rows.
        equal: the predictions are equal, bit for bit.
        churn: share of rows whose predicted label differs; None for numbers of a regression.
        largest: largest absolute difference of two predictions.
        where: the row of that difference, by its id, or its number where rows have no ids; None where the predictions are equal.
        unseeded: global generators that the training draws from without seeding them.
        hash_seed: the predictions are equal with a fixed PYTHONHASHSEED, and differ otherwise.
    """

    name: str
    rows: int
    equal: bool
    churn: float | None
    largest: float
    where: str | None = None
    unseeded: tuple[str, ...] = ()
    hash_seed: bool = False

    def sheet(self) -> Sheet:
        """The result in a sentence, and the causes that were found."""
        if self.equal:
            verdict = (
                f"Two trainings with the same seed give equal predictions on {self.rows:,} rows. No churn is unavoidable here."
            )
        else:
            share = "" if self.churn is None else f"{100 * self.churn:.3g} % of the rows change their answer, and "
            verdict = f"Two trainings with the same seed differ: {share}predictions differ by up to {self.largest:.3g} (row {self.where})."
        how = "seed it with {seed}" if self.name.startswith("command ") else "seed it (run.seed_everything()) or use run.rng()"
        if self.equal:
            how = "these predictions do not depend on it"
        causes = [f"{name} is drawn from without a seed; {how}" for name in self.unseeded]
        if self.hash_seed:
            causes.append(
                f"the order of sets or hashes matters: with {HASH_SEED}=0 the predictions are equal; sort what comes out of sets"
            )
        if not self.equal and not causes:
            causes.append(
                "the cause was not found: look for threads, GPU kernels, clocks, and generators that are created without a seed"
            )
        return Sheet(self.name, verdict, tuple(Line("note" if self.equal else "cause", cause) for cause in causes))


@typed
def check_same_seed(
    train: Callable[..., Any] | str | Sequence[str],
    *,
    settings: Any = None,
    labels: Any = None,
    ids: Any = None,
    seed: int = 0,
    jobs: int | None = None,
    threads: int | None = 1,
    **reading: Unpack[Reading],
) -> SameSeed:
    """Train one replica twice with the same seed, each in a process of its own, and compare the predictions.

    If they differ, two more trainings with a fixed PYTHONHASHSEED show whether the order of sets is the cause.

    Args:
        train: see `traintwice.replicate`.
        settings: of the recipe.
        labels, ids, seed, jobs, threads, reading: see `traintwice.replicate`.
    Returns:
        `SameSeed`. A churn of 0.05 reads: of 100 rows 5 change their answer although every seed is the same. No recipe of this
        training can have less churn than that.
    Raises:
        TrainingFailed: a training failed; the message has the traceback.
    """
    stop_if_loading(train)
    wanted = replicas_of_study(
        train, replicas=1, recipes={"base": settings or {}}, labels=labels, ids=ids, seed=seed, reading=reading
    )
    with tempfile.TemporaryDirectory() as folder, closing(Processes(jobs, threads=threads)) as pool:
        first, second = _two(pool, wanted.task("base", 0, ReplicaStore(folder)), Path(folder), "1", "2")
        equal, churn, largest, where = _difference(first.answers, second.answers)
        hash_seed = False
        if not equal:
            again = _two(pool, wanted.task("base", 0, ReplicaStore(folder)), Path(folder), "0", "0")
            hash_seed = _difference(again[0].answers, again[1].answers)[0]
    unseeded = tuple(name for name, after in first.generators.items() if second.generators.get(name) != after)
    rows = sum(len(answers.values) for answers in first.answers.values())
    return SameSeed(wanted.trainer.name, rows, equal, churn, largest, where, unseeded, hash_seed)


def _two(pool: Processes, task: Task, folder: Path, *hash_seeds: str) -> list[Outcome]:
    """Two trainings of a task, each in a folder of its own."""
    futures: list[Future[Outcome]] = []
    task = replace(task, trainer=task.trainer.for_another_process())
    for number, hash_seed in enumerate(hash_seeds):
        run = replace(task.run, folder=folder / f"{number}-{hash_seed}")
        own = replace(task, run=run, log=folder / f"{number}-{hash_seed}.log", watch=True)
        futures.append(pool.submit(perform, own, **{HASH_SEED: hash_seed}))
    outcomes = [future.result() for future in futures]
    for outcome in outcomes:
        if outcome.reason is not None:
            raise TrainingFailed(f"{outcome.reason}\n\n{outcome.traceback}".rstrip())
    return outcomes


def _difference(first: Mapping[str, Answers], second: Mapping[str, Answers]) -> tuple[bool, float | None, float, str | None]:
    """Whether two answers are equal, the share of rows with another label, the largest difference, and its row."""
    if {s: a.shape() for s, a in first.items()} != {s: a.shape() for s, a in second.items()}:
        raise TrainingFailed(
            "two trainings with the same seed return other rows, or rows in another order; return a table with a column of ids, and "
            "the same rows each time"
        )
    changed, rows, largest, where, equal, numbers = 0, 0, 0.0, None, True, False
    for split, one in first.items():
        a, b = (_by_id(answers) for answers in (one, second[split]))
        equal = equal and np.array_equal(a, b)
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(len(a), -1).max(axis=1)
        if apart.max() > largest:
            row, largest = int(apart.argmax()), float(apart.max())
            where = f"{row if one.ids is None else np.sort(one.ids)[row]}{f' of {split}' if split else ''}"
        numbers = numbers or (a.ndim == 1 and a.dtype.kind == "f")
        labels = [values.argmax(axis=1) if values.ndim == 2 else values for values in (a, b)]
        changed, rows = changed + int((labels[0] != labels[1]).sum()), rows + len(a)
    return equal, None if numbers else changed / rows, largest, where


def _by_id(answers: Answers) -> np.ndarray:
    return answers.values if answers.ids is None else answers.values[np.argsort(answers.ids, kind="stable")]
