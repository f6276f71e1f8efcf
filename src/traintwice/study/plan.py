"""What is missing: the replicas that an experiment needs and a store does not have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from traintwice.data import Dataset
from traintwice.engine import Numerics
from traintwice.errors import StoreError
from traintwice.study.experiment import Experiment
from traintwice.study.store import Damage, Store


@dataclass(frozen=True)
class Task:
    """One replica to train. Rows that differ only in what is kept at inference share it."""

    key: str
    row: str
    replica: int


@dataclass(frozen=True)
class Plan:
    """What to train, and what was found.

    Attributes:
        keys: digest of each row.
        missing: replicas to train, the same replica number of all rows together.
        damaged: replicas found broken; they are among the missing.
    """

    keys: dict[str, str]
    missing: tuple[Task, ...]
    damaged: tuple[Damage, ...]


def plan(experiment: Experiment, data: Dataset, store: Store, *, mix_numerics: bool = False) -> Plan:
    """Compare an experiment with a store.

    Args:
        experiment, data: what is wanted.
        store: what there is.
        mix_numerics: allow replicas trained with other threads, processor or versions beside new ones in one row.
    Returns:
        The plan.
    Raises:
        StoreError: finished replicas of a row were trained with other numerics than this machine's.
    """
    keys = {row: experiment.key(row, data) for row in experiment.rows}
    rows = {key: row for row, key in reversed(keys.items())}
    missing: list[Task] = []
    damaged: list[Damage] = []
    found: dict[str, dict[int, dict[str, Any]]] = {key: {} for key in keys.values()}
    for replica in range(experiment.replicas):
        for key in found:
            record = store.record(key, replica)
            if isinstance(record, dict):
                found[key][replica] = record["numerics"]
                continue
            if isinstance(record, Damage):
                damaged.append(record)
            missing.append(Task(key, rows[key], replica))
    if not mix_numerics:
        for key in {task.key for task in missing}:
            _same_numerics(rows[key], found[key], store)
    return Plan(keys, tuple(missing), tuple(damaged))


def _same_numerics(row: str, finished: dict[int, dict[str, Any]], store: Store) -> None:
    here = asdict(Numerics.here(threads=1))
    for replica, there in finished.items():
        changed = [
            f"{name} {there.get(name)!r} there, {value!r} here" for name, value in here.items() if there.get(name) != value
        ]
        if changed:
            raise StoreError(
                f"{store.path}: replica {replica} of {row!r} was trained with other numerics ({'; '.join(changed)}). Use another "
                "--store, or --mix-numerics to have both in one row"
            )
