"""Progress of a study: a bar for each recipe on a terminal, plain lines elsewhere, nothing when quiet. Always on standard error."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from traintwice.study import Experiment, Plan

EVERY_SECONDS = 10


class Quiet:
    """Says nothing."""

    def advance(self, key: str) -> None:
        """A replica of a digest is in the store."""


class Lines(Quiet):
    """How far it is every ten seconds, and one line for each recipe when its last replica is in."""

    def __init__(self, experiment: Experiment, plan: Plan) -> None:
        self._plan, self._replicas = plan, experiment.replicas
        self._left = Counter(task.key for task in plan.missing)
        self._total, self._started = len(plan.missing), time.monotonic()
        self._said = self._started

    def advance(self, key: str) -> None:
        self._left[key] -= 1
        now, left = time.monotonic(), self._left.total()
        if self._left[key] == 0:
            for row in (row for row, of_row in self._plan.keys.items() if of_row == key):
                print(
                    f"{row}: {self._replicas}/{self._replicas} replicas after {now - self._started:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
        elif now - self._said >= EVERY_SECONDS:
            remaining = (now - self._started) / (self._total - left) * left
            print(f"{self._total - left} of {self._total} replicas, about {remaining:.0f} s left", file=sys.stderr, flush=True)
            self._said = now


class Bars(Quiet):
    """One bar for each recipe, with the time left."""

    def __init__(self, experiment: Experiment, plan: Plan, bars: Progress) -> None:
        left = Counter(task.key for task in plan.missing)
        self._bars = bars
        self._of_key: dict[str, list[int]] = {}
        for row, key in plan.keys.items():
            bar = bars.add_task(row, total=experiment.replicas, completed=experiment.replicas - left[key])
            self._of_key.setdefault(key, []).append(int(bar))

    def advance(self, key: str) -> None:
        for bar in self._of_key.get(key, ()):  # an earlier model has none
            self._bars.advance(bar)  # type: ignore[arg-type]


@contextmanager
def progress_for(experiment: Experiment, plan: Plan, *, quiet: bool) -> Iterator[Quiet]:
    """The progress that fits where the output goes."""
    console = Console(stderr=True)
    if quiet or not plan.missing:
        yield Quiet()
    elif not console.is_terminal:
        yield Lines(experiment, plan)
    else:
        left = TimeRemainingColumn(elapsed_when_finished=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), MofNCompleteColumn(), left)
        with Progress(*columns, console=console) as bars:
            yield Bars(experiment, plan, bars)
