"""Training any function or command several times: replicas in a store, executors, array jobs, and the check of determinism."""

from traintwice.replication.check import SameSeed, check_same_seed
from traintwice.replication.executors import Executor, Processes
from traintwice.replication.replica_run import Run
from traintwice.replication.results import Failure, Replication
from traintwice.replication.store import ReplicaStore
from traintwice.replication.study import replicate

__all__ = ["Executor", "Failure", "Processes", "ReplicaStore", "Replication", "Run", "SameSeed", "check_same_seed", "replicate"]
