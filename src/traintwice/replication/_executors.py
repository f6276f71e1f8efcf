"""One replica to train, what comes of it, and where it is trained: in a fresh process, this process, or by any object with ``submit``."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Protocol, TypedDict, cast

from traintwice._processes import claim_pipes, close_pipes, cores, end, kill, start
from traintwice._typed import check_arguments
from traintwice._user_code import reason_of, traceback_of
from traintwice.errors import BadSpec, UnknownName, unknown
from traintwice.replication._answers import Answers, KnownRows, answers_of
from traintwice.replication._generators import drawn_generators
from traintwice.replication._replica_run import Run
from traintwice.replication._trainers import LAST_LINES, Reference, Trainer

__all__ = ["Executor", "Processes"]

POLL_SECONDS = 0.05
ENDS_WITHIN_SECONDS = 10.0
"""Time for a worker to end after its outcome was read; then it is killed, with its child processes."""

WORKER = "traintwice.replication._executors"

PROCESSES, IN_PROCESS = "processes", "in-process"
EXECUTORS = (PROCESSES, IN_PROCESS, "ray")


@dataclass(frozen=True)
class Task:
    """A replica to train. ``watch`` reports which global generators the training draws from."""

    trainer: Trainer | Reference
    run: Run
    test: KnownRows
    log: Path | None = None
    watch: bool = False

    @property
    def name(self) -> str:
        """The replica, for messages."""
        return f"{self.run.recipe}, replica {self.run.replica}"


@dataclass(frozen=True)
class Outcome:
    """What came of a training: answers by split, or the reason of its failure; what `Run.log` and `Run.cost` recorded."""

    answers: Mapping[str, Answers]
    seconds: float
    reason: str | None = None
    traceback: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    costs: Mapping[str, float] = field(default_factory=dict)
    generators: Mapping[str, str] = field(default_factory=dict)


def perform(task: Task) -> Outcome:
    """Train one replica and check its predictions; an error of the user's code becomes a failed outcome."""
    started = time.perf_counter()
    run = task.run
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        trainer = task.trainer.loaded()
        watched: AbstractContextManager[dict[str, str]] = drawn_generators() if task.watch else nullcontext({})
        with watched as drawn:
            returned = trainer.train(run)
        seconds = time.perf_counter() - started
        answers = answers_of(returned, task.test)
    except (Exception, SystemExit) as error:
        return Outcome({}, time.perf_counter() - started, reason_of(error), traceback_of(error), run.history)
    return Outcome(answers, seconds, history=run.history, costs=run.costs, generators=drawn)


class Executor(Protocol):
    """Anything that runs functions somewhere: pools of `concurrent.futures`, clusters."""

    def submit(self, fn: Any, /, *args: Any) -> Any:
        """A future of ``fn(*args)``, with ``result()``."""


class Surroundings(TypedDict):
    """What the user's code finds in its process."""

    path: list[str]
    arguments: list[str]


def surroundings() -> Surroundings:
    """The surroundings of the user's code in this process."""
    return Surroundings(path=[entry or str(Path.cwd()) for entry in sys.path], arguments=sys.argv)


def message_of(task: Any, found: Surroundings | None = None) -> bytes:
    """What a worker reads: surroundings, by default those of this process, and the task, packed by itself: it is unpacked in them."""
    return pickle.dumps((found or surroundings(), pickle.dumps(task)))


class Processes:
    """Trains each replica in a fresh process, so that no replica depends on another.

    Args:
        jobs: processes at a time; None: as many as there are cores, within the quota of the container.
        threads: of each process, by the usual environment variables; None leaves them as they are.
        timeout: seconds after which a replica is ended and counts as failed; None: no limit.
        surroundings: of the user's code; None: those of this process.
    """

    def __init__(
        self,
        jobs: int | None = None,
        *,
        threads: int | None = 1,
        timeout: float | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        check_arguments(Processes.__init__, {"jobs": jobs, "threads": threads, "timeout": timeout})
        if any(value is not None and value <= 0 for value in (jobs, threads, timeout)):
            raise BadSpec(f"got jobs {jobs}, threads {threads}, timeout {timeout}; expected numbers above 0")
        self.jobs = jobs or cores()
        self._threads, self._timeout, self._surroundings = threads, timeout, surroundings
        self._pool = ThreadPoolExecutor(self.jobs)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False
        self._guard = threading.Lock()

    def submit(self, fn: Any, task: Task, /, **environment: str) -> Future[Outcome]:
        """Train a task; ``environment`` is added to that of the process. ``fn`` is always `perform`."""
        return self._pool.submit(self._train, task, environment)

    def close(self) -> None:
        """End the running processes and drop the waiting tasks."""
        with self._guard:
            self._closed = True
            for process in self._running:
                kill(process)
        self._pool.shutdown(cancel_futures=True)

    def _train(self, task: Task, environment: dict[str, str]) -> Outcome:
        started = time.perf_counter()
        message = message_of(task, self._surroundings)
        if task.log is not None:
            task.log.parent.mkdir(parents=True, exist_ok=True)
        with Path(task.log or os.devnull).open("wb") as log, self._guard:
            if self._closed:
                return Outcome({}, 0.0, "was not trained: the run was interrupted")
            process = start(WORKER, threads=self._threads, environment=environment, stderr=log)
            self._running.add(process)
        timer = threading.Timer(self._timeout or 0, kill, [process])
        if self._timeout is not None:
            timer.start()
        try:
            outcome = _exchange(process, message)
            timer.cancel()
            if outcome is not None:
                return outcome
            seconds = time.perf_counter() - started
            printed = [] if task.log is None else task.log.read_text(errors="replace").splitlines()
            return Outcome({}, seconds, self._last_words(process, seconds), "\n".join(printed[-LAST_LINES:]))
        finally:
            timer.cancel()
            end(process, within=ENDS_WITHIN_SECONDS)
            with self._guard:
                self._running.discard(process)
            close_pipes(process)

    def _last_words(self, process: subprocess.Popen[bytes], seconds: float) -> str:
        if self._timeout is not None and seconds >= self._timeout:
            return f"took longer than {self._timeout:g} s and was ended (--timeout)"
        status = process.wait()
        if status < 0:
            return f"its process was killed (signal {-status}; if memory was short, use fewer --jobs)"
        return f"its process ended with status {status} before it returned predictions"


def _exchange(process: subprocess.Popen[bytes], message: bytes) -> Outcome | None:
    """Send the task and read its outcome; None where the process ended without one. Its input stays open, for as long as it trains."""
    to, answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    try:
        to.write(message)
        to.flush()
        return cast(Outcome, pickle.load(answers))  # noqa: S301  (from the worker)
    except (BrokenPipeError, EOFError, pickle.UnpicklingError):
        return None


def main() -> None:
    """The process of one replica: read its surroundings and its task, train, answer."""
    source, answers = claim_pipes()
    found, task = pickle.load(os.fdopen(source, "rb", closefd=False))  # noqa: S301  (from the parent process)
    sys.path[:], sys.argv[:] = found["path"], found["arguments"]
    threading.Thread(target=_end_with_parent, args=(source,), daemon=True).start()
    outcome = perform(pickle.loads(task))  # noqa: S301
    for printed in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed by the user's code
            printed.flush()
    with os.fdopen(answers, "wb") as pipe:
        pickle.dump(outcome, pipe)


def _end_with_parent(source: int) -> None:
    """End this process and its children when the parent does. A plain system call: no lock is held while the user's code forks."""
    if not os.read(source, 1):
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def train_all(tasks: Sequence[Task], executor: str | Executor, **options: Any) -> Generator[tuple[Task, Outcome], None, None]:
    """Train tasks with an executor or the one of a name; yields each with its outcome as soon as it is known."""
    if not tasks:
        return
    if executor == IN_PROCESS:
        for task in tasks:
            yield task, perform(task)
        return
    if isinstance(executor, str) and executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    remote = tasks[0].trainer.for_another_process()
    sent = [replace(task, trainer=remote) for task in tasks]
    if not isinstance(executor, str):
        if not hasattr(executor, "submit"):
            raise UnknownName(
                f"executor: got {type(executor).__name__}, expected a name or an object with submit(function, *arguments)"
            )
        yield from _finished(tasks, [executor.submit(perform, task) for task in sent])
        return
    with closing(_named(executor, **options)) as pool:
        yield from _finished(tasks, [pool.submit(perform, task) for task in sent])


def _named(
    executor: str,
    *,
    jobs: int | None = None,
    threads: int | None = 1,
    timeout: float | None = None,
    address: str | None = None,
    gpus: float = 0,
) -> Any:
    """The executor of a name."""
    if executor == "ray":
        if jobs is not None:
            raise BadSpec(
                f"jobs: got {jobs}; Ray trains as many replicas at a time as its nodes have cores for. Leave jobs out; threads sets the "
                "cores of each replica"
            )
        from traintwice.replication._ray import Ray

        return Ray(address, threads=threads, gpus=gpus, timeout=timeout)
    if address is not None or gpus:
        raise BadSpec('address, gpus: these are for executor "ray" (--on ray)')
    return Processes(jobs, threads=threads, timeout=timeout)


def _finished(tasks: Sequence[Task], futures: Sequence[Any]) -> Generator[tuple[Task, Outcome], None, None]:
    """Tasks and outcomes in the order in which they finish, for any kind of future."""
    waiting = dict(enumerate(futures))
    while waiting:
        ready = [at for at, future in waiting.items() if not hasattr(future, "done") or future.done()]
        for at in ready:
            yield tasks[at], _outcome(waiting.pop(at))
        if not ready:
            time.sleep(POLL_SECONDS)


def _outcome(future: Any) -> Outcome:
    try:
        found: Outcome = future.result()
    except Exception as error:  # the executor lost the task: a broken pool, a lost node
        return Outcome({}, 0.0, f"the executor failed: {type(error).__name__}: {error}")
    return found
