"""One replica to train and what came of it; `perform` is what every executor runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traintwice._user_code import reason_of, traceback_of
from traintwice.replication._answers import Answers, KnownRows, answers_of
from traintwice.replication._generators import drawn_generators
from traintwice.replication._replica_run import Run
from traintwice.replication._trainers import Reference, Trainer


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
