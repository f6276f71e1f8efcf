"""One replica to train and what came of it, with the global generators it draws from; `perform` is what every executor runs."""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._study_files import content_digest
from traintwice._user_code import reason_of, traceback_of
from traintwice.replication import _child_generators as child
from traintwice.replication._answers import Answers, KnownRows, answers_of
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


@contextmanager
def drawn_generators() -> Iterator[dict[str, str]]:
    """A dict that has, after the block, the digest of each global generator that was drawn from within it."""
    found: dict[str, str] = {}
    before = _scrambled()
    with tempfile.TemporaryDirectory() as folder, _watched_children(Path(folder)) as notes:
        yield found
        of_children: dict[str, list[str]] = {}
        for note in notes.glob("*.json"):
            for name, digest in json.loads(note.read_text()).items():
                of_children.setdefault(name, []).append(digest)
    found |= {name: _digest(sorted(digests)) for name, digests in of_children.items()}
    found |= {name: digest for name, digest in _states().items() if before.get(name) != digest}


@contextmanager
def _watched_children(folder: Path) -> Iterator[Path]:
    """Within the block, Python processes that start leave a note in the folder that is returned."""
    notes, hook = folder / "notes", folder / "hook"
    for made in (notes, hook):
        made.mkdir()
    (hook / "sitecustomize.py").write_text(Path(child.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", child.FOLDER)}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(hook), before["PYTHONPATH"]]))
    os.environ[child.FOLDER] = str(notes)
    try:
        yield notes
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _scrambled() -> dict[str, str]:
    """`_states`, after PyTorch's was given a seed of the system: the others start from one, PyTorch's from a constant."""
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    return _states()


def _states() -> dict[str, str]:
    """Digests of the states of the global generators of this process."""
    states: dict[str, Any] = {"Python's random": random.getstate(), "NumPy's global generator": np.random.get_state()}  # noqa: NPY002
    if "torch" in sys.modules:
        states["PyTorch's global generator"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return {name: _digest(state) for name, state in states.items()}


def _digest(state: Any) -> str:
    return content_digest(pickle.dumps(state))
