"""Training any function or command several times: replicas in a store, executors, array jobs, and the check of determinism.

Names are loaded on first use: a worker process imports this package and needs a small part of it.
"""

from typing import TYPE_CHECKING

from traintwice._names import lazy

if TYPE_CHECKING:
    from traintwice.replication._check import SameSeed, check_same_seed
    from traintwice.replication._executors import Executor, Processes
    from traintwice.replication._ray import Ray
    from traintwice.replication._replica_run import Run
    from traintwice.replication._results import Failure, Replication, add_replicas_to_bank
    from traintwice.replication._store import ReplicaStore
    from traintwice.replication._study import replicate

_PLACES = {
    **dict.fromkeys(["Failure", "Replication", "add_replicas_to_bank"], "_results"),
    **dict.fromkeys(["SameSeed", "check_same_seed"], "_check"),
    **dict.fromkeys(["Executor", "Processes"], "_executors"),
    "Ray": "_ray",
    "ReplicaStore": "_store",
    "Run": "_replica_run",
    "replicate": "_study",
}

__all__ = [
    "Executor",
    "Failure",
    "Processes",
    "Ray",
    "ReplicaStore",
    "Replication",
    "Run",
    "SameSeed",
    "add_replicas_to_bank",
    "check_same_seed",
    "replicate",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, __all__, {name: f"{__name__}.{place}" for name, place in _PLACES.items()})
