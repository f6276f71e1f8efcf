"""The replicas that an experiment needs and a store does not have, earlier models first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from traintwice._code import Code, changes, code_of_function
from traintwice._typed import typed
from traintwice._user_code import imported, named_code
from traintwice.data import Dataset, Source
from traintwice.engine import (
    DEFAULT_EXECUTION,
    Choice,
    Execution,
    choose,
    group_size,
    note_on_last_batch,
    numerics_of,
    with_chosen_engine,
)
from traintwice.errors import StoreError
from traintwice.recipes import Recipe
from traintwice.specs import encode, key_of
from traintwice.study._experiment import Experiment
from traintwice.study._replicas import Damage, Record
from traintwice.study._store import Store


@dataclass(frozen=True)
class Task:
    """One replica to train, under the digest of what determines it. Rows that differ only in what is kept at inference share it."""

    key: str
    row: str
    replica: int
    recipe: Recipe
    seed: int
    source: Source = field(compare=False)
    requires: tuple[tuple[str, int], ...] = ()
    save_weights: bool = False
    execution: Execution = DEFAULT_EXECUTION
    at_once: int = 1


@dataclass(frozen=True)
class Plan:
    """The replicas to train.

    Attributes:
        keys: digest of each row.
        missing: replicas to train, the same replica number of all rows together, earlier models before those that need them.
        damaged: damaged replicas in the store; they are among the missing.
        engines: the engine of each row, and why it was chosen.
        execution: how to train the missing replicas, as requested.
        notes: what the user has to know of a row's training, in words.
    """

    keys: dict[str, str]
    missing: tuple[Task, ...]
    damaged: tuple[Damage, ...]
    engines: dict[str, Choice]
    execution: Execution = DEFAULT_EXECUTION
    notes: dict[str, str] = field(default_factory=dict)


@typed
def plan(
    experiment: Experiment,
    data: Dataset,
    store: Store,
    *,
    mix_numerics: bool = False,
    mix_code: bool = False,
    save_weights: bool = False,
    execution: Execution = DEFAULT_EXECUTION,
) -> Plan:
    """Compare an experiment with a store.

    Args:
        experiment, data: the experiment and its data set.
        store: the store with finished replicas.
        mix_numerics: allow old replicas of another engine, other threads, processor or versions together with new ones in one row.
        mix_code: allow replicas of different versions of the user's code in one row.
        save_weights: store the weights of all replicas; otherwise only of those that others start or learn from.
        execution: how to train.
    Returns:
        The plan.
    Raises:
        BadSpec: an engine that cannot train a recipe, or a device that this machine does not have.
        StoreError: finished replicas of a row were trained with other numerics than this machine's, or with other code of the user's.
    """
    keys = {row: experiment.key(row, data) for row in experiment.rows}
    wanted: dict[tuple[str, int], Task] = {}
    for replica in range(experiment.replicas):
        for row, recipe in experiment.rows.items():
            _want(wanted, recipe, row, replica, data, experiment, save_weights)
    engines = {row: choose(recipe, data, execution) for row, recipe in experiment.rows.items()}
    mix = {"mix_numerics": mix_numerics, "mix_code": mix_code}
    missing, damaged = missing_of(wanted.values(), lambda _: data, store, execution=execution, **mix)
    notes = {row: note for row, recipe in experiment.rows.items() if (note := note_on_last_batch(recipe, data)) is not None}
    return Plan(keys, missing, damaged, engines, execution, notes)


def missing_of(
    wanted: Iterable[Task],
    data_of: Callable[[Task], Dataset],
    store: Store,
    *,
    mix_numerics: bool = False,
    mix_code: bool = False,
    execution: Execution = DEFAULT_EXECUTION,
) -> tuple[tuple[Task, ...], tuple[Damage, ...]]:
    """The tasks whose replicas a store lacks, with their engine, and the damaged replicas among them."""
    missing: list[Task] = []
    damaged: list[Damage] = []
    finished: dict[str, tuple[Task, dict[int, Record]]] = {}
    for task in wanted:
        record = store.record(task.key, task.replica)
        if isinstance(record, Damage):
            damaged.append(record)
        elif record is not None:
            finished.setdefault(task.key, (task, {}))[1][task.replica] = record
            if "diverged" in record or "weights" in record or not task.save_weights:
                continue
        missing.append(task)
    first = {task.key: task for task in reversed(missing)}
    by_key = {key: _with_engine(task, data_of(task), execution) for key, task in first.items()}
    for key, (task, records) in finished.items():
        if not mix_numerics and key in by_key:
            _same_numerics(by_key[key], data_of(task), records, store)
        if not mix_code:
            _same_code(task, code_of(task.source, task.recipe), records, store)
    chosen = (replace(t, execution=by_key[t.key].execution, at_once=by_key[t.key].at_once) for t in missing)
    return tuple(chosen), tuple(damaged)


def code_of(source: Source, recipe: Recipe) -> Code:
    """Digests of the user's functions that a data set and a recipe name, and of the modules of their project that these import."""
    found: Code = {}
    for maker in sorted({maker for maker, _ in named_code([encode(source), encode(recipe)])}):
        for name, digest in code_of_function(imported(maker, "maker")).items():
            found[f"{maker.partition(':')[2]} in {name}" if name in found and found[name] != digest else name] = digest
    return found


def _with_engine(task: Task, data: Dataset, execution: Execution) -> Task:
    chosen = with_chosen_engine(task.recipe, data, execution)
    return replace(task, execution=chosen, at_once=group_size(task.recipe, data, chosen))


def _want(
    wanted: dict[tuple[str, int], Task],
    recipe: Recipe,
    row: str,
    replica: int,
    data: Dataset,
    experiment: Experiment,
    save_weights: bool,
) -> tuple[str, int]:
    """Add a replica, and before it the earlier models that it needs."""
    requires = tuple(
        _want(wanted, earlier.recipe, row, earlier.replica_for(replica), data, experiment, True) for earlier in recipe.earlier()
    )
    at = (key_of(recipe, data.digest, experiment.seed), replica)
    known = wanted.get(at)
    save = save_weights or (known is not None and known.save_weights)
    wanted[at] = Task(at[0], known.row if known else row, replica, recipe, experiment.seed, experiment.data, requires, save)
    return at


def _same_code(task: Task, here: Code, finished: Mapping[int, Record], store: Store) -> None:
    """Raise `StoreError` where a finished replica of the row comes from other code of the user's."""
    for replica, record in finished.items():
        if "code" in record and (changed := changes(record["code"], here)):
            raise StoreError(
                f"{store.path}: replica {replica} of {task.row!r} was trained with other code ({', '.join(changed)} changed since). Use "
                "another --store, change a setting of the function, or pass --mix-code (mix_code=True) to have both"
            )


def _same_numerics(task: Task, data: Dataset, finished: Mapping[int, Record], store: Store) -> None:
    """Raise `StoreError` where a finished replica of the row has other numerics."""
    here = numerics_of(task.recipe, data, task.execution).plain()
    for replica, record in finished.items():
        there = record["numerics"]
        changed = [
            f"{name} {there.get(name)!r} there, {here.get(name)!r} here"
            for name in dict.fromkeys([*here, *there])
            if there.get(name) != here.get(name)
        ]
        if changed:
            raise StoreError(
                f"{store.path}: replica {replica} of {task.row!r} was trained with other numerics ({'; '.join(changed)}). Use another "
                "--store, or --mix-numerics to have both in one row"
            )
