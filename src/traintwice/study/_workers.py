"""Worker processes of a study, the tasks that wait for one, and the loop that gives them out."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from typing import IO, Any, TypeAlias

from traintwice._processes import Started, close_pipes, cores, end, start_worker
from traintwice._user_code import together
from traintwice.errors import TrainingFailed
from traintwice.specs import encode
from traintwice.study._plan import Plan, Task
from traintwice.study._store import Every, Store
from traintwice.study._worker import ANSWER, Answer

WAIT_FOR_OTHERS_SECONDS = 0.5
ENDS_WITHIN_SECONDS = 5.0


@dataclass(frozen=True)
class Finished:
    """A replica that is in the store; of a diverged replica the store has the record only.

    Attributes:
        task: the replica's task.
        seconds: duration of the training.
        diverged: whether the replica diverged.
        note: a message to the user, such as the reason why a checkpoint could not be used.
    """

    task: Task
    seconds: float
    diverged: bool = False
    note: str | None = None


class Waiting:
    """Tasks without a worker, given out in groups of one recipe once the earlier models that they need are in the store."""

    def __init__(self, tasks: Iterable[Task], jobs: int) -> None:
        self._tasks = deque(tasks)
        count = Counter(task.key for task in self._tasks)
        groups = {task.key: ceil(count[task.key] / task.at_once) for task in self._tasks}
        for key in list(groups)[::-1]:
            missing = -sum(groups.values()) % jobs
            groups[key] += min(missing, count[key] - groups[key])
        self._at_once = {key: ceil(count[key] / groups[key]) for key in groups}
        self._open = {(task.key, task.replica) for task in self._tasks}

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def next(self) -> list[Task]:
        """The first ready task with others of its recipe; empty where no task is ready."""
        ready = [task for task in self._tasks if not self._open.intersection(task.requires)]
        alike = [t for t in ready if (t.key, t.save_weights) == (ready[0].key, ready[0].save_weights)]
        given = alike[: self._at_once[ready[0].key]] if ready else []
        for task in given:
            self._tasks.remove(task)
        return given

    def done(self, task: Task) -> None:
        """Note that a task is in the store."""
        self._open.discard((task.key, task.replica))

    def again(self, task: Task) -> None:
        """Put a task at the end of the queue."""
        self._tasks.append(task)

    def abandon(self, task: Task) -> dict[Task, str]:
        """Remove the tasks that need a failed task, directly or not; returns them with the reason."""
        lost: dict[Task, str] = {}
        for other in [t for t in self._tasks if (task.key, task.replica) in t.requires]:
            if other in self._tasks:
                self._tasks.remove(other)
                lost[other] = f"needs replica {task.replica} of an earlier model, which failed"
                lost.update(self.abandon(other))
        return lost


Answers: TypeAlias = "queue.Queue[tuple[Worker, Answer]]"


class Worker:
    """A process of `traintwice.study._worker`; messages are JSON lines."""

    def __init__(self, started: Started, store: Store, checkpoint: Every) -> None:
        self.tasks: dict[int, Task] = {}
        self._process, self._errors = started.process, started.errors
        self._input: IO[str] = self._process.stdin  # type: ignore[assignment]  # pipes
        self._output: IO[str] = self._process.stdout  # type: ignore[assignment]
        self._send({"store": str(store.path.resolve()), "checkpoint": encode(checkpoint)})

    def listen(self, answers: Answers) -> None:
        """Pass on the worker's answers in a thread of their own."""

        def pass_on() -> None:
            for line in self._output:
                if line.startswith(ANSWER):
                    answers.put((self, json.loads(line.removeprefix(ANSWER))))
            answers.put((self, Answer(replica=-1, outcome="died", reason=self._last_words())))

        self._listener = threading.Thread(target=pass_on, daemon=True)
        self._listener.start()

    def give(self, tasks: list[Task]) -> None:
        """Send tasks that differ only in their replicas."""
        self.tasks = {task.replica: task for task in tasks}
        self._send({"task": encode(replace(tasks[0], requires=())), "replicas": list(self.tasks)})

    def _send(self, message: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # the listening thread reports the death of a worker
            self._input.write(json.dumps(message) + "\n")
            self._input.flush()

    def _last_words(self) -> str:
        """Why the worker ended: its signal, or its status with the last line of its standard error."""
        status = self._process.wait()
        if status < 0:
            return f"a worker was killed (signal {-status}; if memory was short, use fewer --jobs)"
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return f"a worker ended with status {status} ({lines[-1].strip() if lines else 'without a message'})"

    def stop(self) -> None:
        """Close the input, which ends the worker."""
        with suppress(BrokenPipeError):
            self._input.close()

    def close(self) -> None:
        """Wait until the worker has ended."""
        end(self._process, within=ENDS_WITHIN_SECONDS)
        self._listener.join()  # the thread ends with the output
        close_pipes(self._process)
        self._errors.close()


def train_tasks(
    store: Store, made: Plan, checkpoint: Every, started: list[Started] | None = None
) -> Generator[Finished, None, None]:
    """Train the missing replicas of a plan, see `train_missing`."""
    if not made.missing:
        return
    jobs, started = made.execution.jobs or (1 if made.execution.on_gpu else cores()), [] if started is None else started
    waiting = Waiting(made.missing, jobs)
    failed: dict[Task, str] = {}
    tracebacks: dict[str, str] = {}
    wanted = range(min(jobs, len(made.missing)))
    workers = [Worker(started.pop() if started else start_worker(), store, checkpoint) for _ in wanted]
    answers: Answers = queue.Queue()
    try:
        for worker in workers:
            worker.listen(answers)
        idle, busy = list(workers), 0
        while waiting or busy:
            while idle and (tasks := waiting.next()):
                idle.pop().give(tasks)
                busy += 1
            worker, answer = answers.get()
            if answer["outcome"] == "died":
                lost = "; ".join(f"replica {task.replica} of {task.row!r}" for task in worker.tasks.values())
                raise TrainingFailed(
                    f"{answer['reason']} while training {lost or 'nothing'}. Finished replicas are kept; run again to continue"
                )
            task = worker.tasks.pop(answer["replica"])
            if not worker.tasks:
                busy -= 1
                idle.append(worker)
            if answer["outcome"] in ("done", "diverged"):
                waiting.done(task)
                yield Finished(task, answer["seconds"], answer["outcome"] == "diverged", answer.get("note"))
            elif answer["outcome"] == "failed":
                failed[task] = answer["reason"]
                tracebacks.setdefault(answer["reason"], answer.get("traceback", ""))
                failed.update(waiting.abandon(task))
            else:
                waiting.again(task)  # another run is training the replica
                time.sleep(WAIT_FOR_OTHERS_SECONDS)
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.close()
    if failed:
        raise TrainingFailed("\n".join(_failures_in_words(made, failed, tracebacks)))


def _failures_in_words(made: Plan, reasons: Mapping[Task, str], tracebacks: Mapping[str, str]) -> Iterator[str]:
    """The failed replicas, those with the same reason together, each reason with its traceback."""
    tasks = [task for task in made.missing if task in reasons]
    yield f"{len(tasks)} of {len(made.missing)} replicas failed, the others are kept:"
    for where, reason in together((task.row, task.replica, reasons[task]) for task in tasks):
        yield f"{where}: {reason}"
        if tracebacks.get(reason):
            yield tracebacks[reason].rstrip()
    if any(tracebacks.values()):
        yield "Fix the code and run again: the same command trains what is missing."
