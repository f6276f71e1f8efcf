"""A worker of a study that trains in the process of the tests, which takes milliseconds where a process imports for seconds."""

import json
from types import SimpleNamespace

import pytest

from traintwice import _processes as processes
from traintwice.specs import decode
from traintwice.study import Every, Store
from traintwice.study import _worker as worker
from traintwice.study import _workers as workers


class InProcess(workers.Worker):
    """Answers each task as a worker process would, before `give` returns."""

    def __init__(self, started, store, checkpoint):
        self.setup = None
        worker._loaded.cache_clear()
        super().__init__(started, store, checkpoint)

    def listen(self, answers):
        self.answers = answers

    def _send(self, message):
        message = json.loads(json.dumps(message))
        if self.setup is None:
            self.setup = Store(message["store"], create=False), decode(Every, message["checkpoint"], "checkpoint")
            return
        for answer in worker._answers(message, *self.setup):
            self.answers.put((self, answer))

    def stop(self):
        pass

    def close(self):
        pass


class NothingStarted(processes.Started):
    """Stands for a process, where none is needed."""

    def discard(self):
        pass


def nothing_started():
    return NothingStarted(SimpleNamespace(stdin=None, stdout=None), None)


def in_process(patch: pytest.MonkeyPatch) -> None:
    """Train every study without worker processes."""
    patch.setattr(workers, "Worker", InProcess)
    for module in (workers, processes):
        patch.setattr(module, "start_worker", nothing_started)


def in_worker_processes(patch: pytest.MonkeyPatch, real=(workers.Worker, processes.start_worker)) -> None:
    """Train studies as for a user."""
    patch.setattr(workers, "Worker", real[0])
    for module in (workers, processes):
        patch.setattr(module, "start_worker", real[1])
