"""The loop of a study: train the missing replicas in worker processes, then gather the results."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from traintwice._processes import Started
from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine import DEFAULT_EXECUTION, Execution
from traintwice.errors import StoreError
from traintwice.specs import identity
from traintwice.study._experiment import Experiment
from traintwice.study._plan import Plan, plan
from traintwice.study._results import Results, gather
from traintwice.study._store import EVERY_MINUTE, Every, Store, as_store
from traintwice.study._workers import Finished, train_tasks


@typed
def run(
    experiment: Experiment,
    *,
    store: str | os.PathLike[str] | Store = "traintwice-runs",
    execution: Execution = DEFAULT_EXECUTION,
    mix_numerics: bool = False,
    mix_code: bool = False,
    save_weights: bool = False,
    checkpoint: Every = EVERY_MINUTE,
    trackers: Sequence[Callable[[Results], object]] = (),
) -> Results:
    """Train the replicas that the store does not have, and return the results of all replicas.

    Args:
        experiment: the experiment.
        store: directory of finished replicas; made where it does not exist.
        execution: engine, device, precision and number of worker processes.
        mix_numerics: allow old replicas of another engine, other threads, processor or versions together with new ones.
        mix_code: allow replicas of different versions of your code (networks, loaders, losses by import path) together.
        save_weights: store the weights of all networks, to export them or to start from them; replicas without are trained again.
        checkpoint: how often a training in progress is saved, to resume after an interruption.
        trackers: functions that get the results at the end, such as `traintwice.integrations.trackers.MLflow`.
    Returns:
        The results. Number of processes, group size and interruptions change no bit of them; with the vectorised engine on a CPU,
        they are the same up to rounding.
    Raises:
        StoreError: the store cannot be used. TrainingFailed: a replica could not be trained or a worker died; finished replicas are kept.
    """
    store, data = as_store(store), experiment.data.load()
    made = prepare(
        experiment, data, store, mix_numerics=mix_numerics, mix_code=mix_code, save_weights=save_weights, execution=execution
    )
    for row, note in made.notes.items():
        warnings.warn(f"{row}: {note}", stacklevel=2)
    for finished in train_missing(experiment, data, store, made, checkpoint=checkpoint):
        if finished.note:
            warnings.warn(f"{finished.task.row}, replica {finished.task.replica}: {finished.note}", stacklevel=2)
    results = gather(experiment, store, data)
    for tracker in trackers:
        tracker(results)
    return results


@typed
def prepare(
    experiment: Experiment,
    data: Dataset,
    store: Store,
    *,
    mix_numerics: bool = False,
    mix_code: bool = False,
    save_weights: bool = False,
    execution: Execution = DEFAULT_EXECUTION,
) -> Plan:
    """Plan the study. The store gets its name with the first finished replica.

    Raises:
        StoreError: the store has a study of that name with other settings, or replicas with other numerics or code.
    """
    known = store.study(experiment.name)
    if known is not None:
        source = f"{store.path}: study {experiment.name}"
        known = Experiment.from_dict(known, source=source).to_dict()  # adds settings that are newer than the file
        wanted = experiment.to_dict()
        wanted["rows"] = {row: changes for row, changes in wanted["rows"].items() if row in known["rows"]}  # rows may be added
        different = _differences({**known, "replicas": 0}, {**wanted, "replicas": 0})
        if different:
            raise StoreError(
                f"{store.path}: has a study named {experiment.name!r} with other settings ({'; '.join(different[:3])}). Give this one "
                f"another name (--name {experiment.name}-2) or another --store"
            )
    made = plan(
        experiment, data, store, mix_numerics=mix_numerics, mix_code=mix_code, save_weights=save_weights, execution=execution
    )
    prepare_folders(experiment, data, store, made)
    return made


def prepare_folders(experiment: Experiment, data: Dataset, store: Store, made: Plan) -> None:
    """Make the folders of the rows of an experiment, and of the earlier models that are missing."""
    recipes = {made.keys[row]: recipe for row, recipe in experiment.rows.items()}
    for key, recipe in (recipes | {task.key: task.recipe for task in made.missing}).items():
        store.prepare(key, identity(recipe, data.digest, experiment.seed))


@typed
def train_missing(
    experiment: Experiment,
    data: Dataset,
    store: Store,
    made: Plan,
    *,
    checkpoint: Every = EVERY_MINUTE,
    started: list[Started] | None = None,
) -> Generator[Finished, None, None]:
    """Train the missing replicas of a plan in worker processes; yields each replica once it is in the store.

    A failed replica does not stop the others. Closing the iterator (as Ctrl-C does) ends the workers; finished replicas are kept.

    Args:
        experiment, data, store: of the study.
        made: the plan; its execution gives the number of worker processes.
        checkpoint: how often a training in progress is saved.
        started: idle workers; those that are used are removed from the list.
    Raises:
        TrainingFailed: replicas failed (raised after all others were trained), or a worker died (raised at once).
    """
    with closing(train_tasks(store, made, checkpoint, started)) as training:
        for finished in training:
            if store.study(experiment.name) is None:  # a longer study is written down at its end
                _write_down(experiment, store)
            yield finished
    _write_down(experiment, store)


def _write_down(experiment: Experiment, store: Store) -> None:
    """Save the experiment, unless the store has it with as many rows and replicas."""
    known = store.study(experiment.name)
    if known is None or known["replicas"] < experiment.replicas or len(known["rows"]) < len(experiment.rows):
        store.save_study(experiment.name, experiment.to_dict())


def _differences(known: Any, wanted: Any, path: str = "") -> list[str]:
    """Paths at which two plain values differ, each with both values."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        found = []
        for key in [*known, *[k for k in wanted if k not in known]]:
            found += _differences(known.get(key), wanted.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if known == wanted else [f"{path} {known!r} there, {wanted!r} here"]
