"""The executor of a Ray cluster: replicas are trained on its nodes, and their results come back to the driver."""

from __future__ import annotations

import os
import socket
import tempfile
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traintwice._files import write_whole
from traintwice.errors import BadSpec, require
from traintwice.replication._executors import Outcome, Processes, Surroundings, Task, perform, surroundings
from traintwice.replication._trainers import CommandTrainer, Reference

__all__ = ["Ray"]


ANSWERS_WITHIN_SECONDS = 10.0


class Ray:
    """Trains replicas on the nodes of a Ray cluster, each in a fresh process. Needs the extra ``ray``.

    Predictions, logs and the files of `Run.folder` come back to this process, so the nodes need no shared disk. The replicas of a lost
    node are trained again on the others. A connection that exists already (``ray.init``) is used as it is.

    Args:
        address: of the cluster, such as "auto" (the cluster that this machine belongs to) or "10.0.0.1:6379"; None starts Ray on this
            machine alone, unless RAY_ADDRESS is set.
        threads: cores and threads of each replica; None takes one core and leaves the number of threads as it is.
        gpus: of each replica; a fraction shares one.
        timeout: seconds after which a replica is ended and counts as failed; None: no limit.
        retries: how many lost nodes a replica survives.
        working_dir: a directory that Ray copies to every node, with the user's code and data; replicas run in the copy. None: the nodes
            have the files at the same paths.
    Raises:
        MissingExtra: Ray is not installed. BadSpec: an argument is not valid, or no cluster answers at the address.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        threads: int | None = 1,
        gpus: float = 0,
        timeout: float | None = None,
        retries: int = 3,
        working_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        require("ray", extra="ray", purpose='executor "ray"')
        import ray

        if (threads is not None and threads < 1) or gpus < 0 or (timeout is not None and timeout <= 0) or retries < 0:
            raise BadSpec(
                f"got threads {threads}, gpus {gpus:g}, timeout {timeout} and retries {retries}; expected threads and timeout above 0, "
                "gpus and retries of at least 0"
            )
        self._ray: Any = ray
        self._threads, self._timeout = threads, timeout
        self._root = None if working_dir is None else Path(working_dir).resolve()
        self._references: list[Any] = []
        self._connects = not ray.is_initialized()
        if self._connects:
            _connect(ray, address, self._root)
        elif address is not None or self._root is not None:
            raise BadSpec(
                "address, working_dir: Ray is connected already; leave them out, or pass them to ray.init as address and runtime_env"
            )
        needs = {"num_cpus": threads or 1, "num_gpus": gpus, "max_retries": retries}
        self._train = ray.remote(**needs)(train_on_node)

    def submit(self, fn: Any, task: Task, /) -> Future[Outcome]:
        """Train a task on a node. ``fn`` is always `perform`."""
        reference = self._train.remote(task, surroundings(), self._threads, self._timeout, self._root)
        self._references.append(reference)
        found: Future[Outcome] = Future()

        def receive(done: Future[Returned]) -> None:
            try:
                found.set_result(done.result().kept(task))
            except Exception as error:  # the cluster lost the task: _finished makes it a failed outcome
                found.set_exception(error)

        reference.future().add_done_callback(receive)
        return found

    def close(self) -> None:
        """End the replicas that are still training; end the connection if this executor made it."""
        for reference in self._references:
            if not self._ray.wait([reference], timeout=0)[0]:
                self._ray.cancel(reference, force=True)
        self._references = []
        if self._connects:
            self._ray.shutdown()


@dataclass(frozen=True)
class Returned:
    """What comes back from a node: the outcome, what the replica printed, and the files of its folder by their path."""

    outcome: Outcome
    log: bytes
    files: dict[str, bytes]

    def kept(self, task: Task) -> Outcome:
        """The outcome, after the log and the files of the replica were written where the task wants them."""
        if task.log is not None:
            task.log.parent.mkdir(parents=True, exist_ok=True)
            write_whole(task.log, self.log)
        for name, content in self.files.items():
            path = task.run.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        return self.outcome


def train_on_node(task: Task, found: Surroundings, threads: int | None, timeout: float | None, root: Path | None) -> Returned:
    """Train a task in a fresh process of this node, in a folder of its own; ``root`` is the directory that was copied to here."""
    if root is not None:
        here = Path.cwd()
        task = replace(task, trainer=_moved(task.trainer, root, here))
        found = {**found, "path": [_moved_path(entry, root, here) for entry in found["path"]]}
    with tempfile.TemporaryDirectory(prefix="traintwice-replica-") as place:
        folder, log = Path(place) / "folder", Path(place) / "log"
        with closing(Processes(1, threads=threads, timeout=timeout, surroundings=found)) as pool:
            outcome = pool.submit(perform, replace(task, run=replace(task.run, folder=folder), log=log)).result()
        files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        return Returned(outcome, log.read_bytes(), files)


def _moved(trainer: Any, root: Path, here: Path) -> Any:
    """A trainer whose files are in a copy of a directory."""
    if isinstance(trainer, Reference) and trainer.script is not None:
        return replace(trainer, script=_moved_path(trainer.script, root, here))
    if isinstance(trainer, CommandTrainer):
        return replace(trainer, directory=_moved_path(trainer.directory, root, here))
    return trainer


def _moved_path(path: str, root: Path, here: Path) -> str:
    return str(here / Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def _check_answers(address: str | None) -> None:
    """Raise soon where no machine listens at an address; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_SECONDS).close()


def _connect(ray: Any, address: str | None, root: Path | None) -> None:
    """Connect to a cluster, or start Ray on this machine."""
    if root is not None and not root.is_dir():
        raise BadSpec(f"working_dir: {root} is not a directory")
    try:
        _check_answers(address)
        # Without an address Ray would join, or wait for, the last cluster of this machine, also after that one has ended.
        where = address or (None if "RAY_ADDRESS" in os.environ else "local")
        ray.init(
            where,
            log_to_driver=False,
            logging_level="error",
            runtime_env={} if root is None else {"working_dir": str(root)},
            **({"include_dashboard": False} if where == "local" else {}),
        )
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadSpec(
            f"address: no Ray cluster could be used at {address or 'this machine'} ({reason}). Start one with `ray start --head`, or leave "
            "the address out to use this machine alone"
        ) from None
