"""One replica to train and what came of it; `perform` is what every executor runs."""

from __future__ import annotations

import hashlib
import pickle
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._user_errors import reason_of, traceback_of
from traintwice.replication._answers import Answers, KnownRows, answers_of
from traintwice.replication._replica_run import Run
from traintwice.replication._trainers import Reference, Trainer


@dataclass(frozen=True)
class Task:
    """A replica to train.

    Attributes:
        trainer: the function or command.
        run: the replica.
        test: what is known of the test rows.
        log: file for what the replica prints; None where the executor does not collect it.
        watch: report which global generators the training draws from.
    """

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
    """What came of a training: answers by split, or the reason of its failure.

    Attributes:
        answers: by split; empty where the training failed.
        seconds: duration of the training.
        reason: of the failure in one sentence; None where the training succeeded.
        traceback: of the failure, from the first frame outside this package.
        history: what `Run.log` recorded.
        costs: what `Run.cost` recorded.
        generators: digest of each global generator after the training, of those that it changed; see `Task.watch`.
    """

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
        before = _scrambled_generators() if task.watch else {}
        returned = trainer.train(run)
        after = _generators() if task.watch else {}
        seconds = time.perf_counter() - started
        answers = answers_of(returned, task.test)
    except (Exception, SystemExit) as error:
        return Outcome({}, time.perf_counter() - started, reason_of(error), traceback_of(error), run.history)
    drawn = {name: digest for name, digest in after.items() if before.get(name) != digest}
    return Outcome(answers, seconds, history=run.history, costs=run.costs, generators=drawn)


def _scrambled_generators() -> dict[str, str]:
    """`_generators`, after PyTorch's was given a seed of the system: the others start from one, PyTorch's from a constant."""
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    return _generators()


def _generators() -> dict[str, str]:
    """Digests of the states of the global generators."""
    states: dict[str, Any] = {"Python's random": random.getstate(), "NumPy's global generator": np.random.get_state()}  # noqa: NPY002
    if "torch" in sys.modules:
        states["PyTorch's global generator"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return {name: hashlib.blake2b(pickle.dumps(state), digest_size=16).hexdigest() for name, state in states.items()}
