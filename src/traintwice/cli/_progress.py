"""Progress on standard error: of a comparison of files, and of the training of a study. Nothing where --quiet is set."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from traintwice._addresses import without_secrets
from traintwice._formatting import visible
from traintwice.progress import ProgressUnit, reporting_to

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from traintwice.study import Plan

Advance = Callable[[str], None]
"""Counts a replica of a digest as finished."""

FIRST_SECONDS, EVERY_SECONDS = 10.0, 60.0
"""Without a terminal: time of the first line of a comparison, and time between the next ones."""

STUDY_SECONDS = 10
"""Without a terminal: time between two lines of a study."""


@contextmanager
def waiting(doing: str, *, quiet: bool) -> Iterator[None]:
    """Report progress of long work: a bar on a terminal, a line a minute elsewhere, nothing when quiet."""
    doing = visible(without_secrets(doing))
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _bar(doing):
            yield
    else:
        lines = Lines(doing)
        try:
            with reporting_to(lines.update):
                yield
        finally:
            lines.stop()


class Lines:
    """A line after `FIRST_SECONDS`, then one every `EVERY_SECONDS`; short work prints none."""

    def __init__(self, doing: str) -> None:
        self._doing, self._started, self._done = doing, time.monotonic(), threading.Event()
        self._pass: tuple[float, float, ProgressUnit, float, float] | None = None
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._thread.start()

    def update(self, done: float, total: float, unit: ProgressUnit = "rows") -> None:
        """Progress of a pass: done, and total. A smaller ``done``, or another unit, starts a new pass."""
        now = time.monotonic()
        same_pass = self._pass is not None and done >= self._pass[0] and unit == self._pass[2]
        self._pass = (done, total, unit, self._pass[3] if self._pass and same_pass else now, now)

    def stop(self) -> None:
        """Print no more lines."""
        self._done.set()
        self._thread.join()

    def line(self) -> str:
        """The line to print now."""
        text = f"traintwice: {self._doing}, {time.monotonic() - self._started:.0f} s so far"
        if self._pass is None:
            return text
        done, total, unit, started, now = self._pass
        left = f", about {(now - started) / done * (total - done):.0f} s left" if now > started and done else ""
        reached = f"{done:,} of {total:,} rows" if unit == "rows" else f"{done:.0f} % of this step"
        return f"{text}, {reached}{left}"

    def _print_lines(self) -> None:
        wait = FIRST_SECONDS
        while not self._done.wait(wait):
            print(self.line(), file=sys.stderr, flush=True)
            wait = EVERY_SECONDS


@contextmanager
def _bar(doing: str) -> Iterator[None]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(doing, total=None)
        with reporting_to(lambda done, total, unit: bars.update(bar, completed=done, total=total)):
            yield


@contextmanager
def progress_for(replicas: int, plan: Plan, shown: Mapping[str, Sequence[str]], *, quiet: bool) -> Iterator[Advance]:
    """A function that counts a replica of a digest as finished: bars on a terminal, lines elsewhere, nothing when quiet.

    ``shown`` has the digests that each bar counts; there are so many replicas of each digest.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not plan.missing:
        yield lambda key: None
    elif not console.is_terminal:
        yield _in_lines(replicas, plan)
    else:
        left = TimeRemainingColumn(elapsed_when_finished=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), MofNCompleteColumn(), left)
        with Progress(*columns, console=console) as bars:
            yield _in_bars(replicas, plan, shown, bars)


def _in_lines(replicas: int, plan: Plan) -> Advance:
    """A line every ten seconds, and one for each finished recipe."""
    left = Counter(task.key for task in plan.missing)
    total, started = len(plan.missing), time.monotonic()
    printed = started

    def advance(key: str) -> None:
        nonlocal printed
        left[key] -= 1
        now, remaining = time.monotonic(), left.total()
        if left[key] == 0:
            for row in (row for row, of_row in plan.keys.items() if of_row == key):
                print(f"{row}: {replicas}/{replicas} replicas after {now - started:.0f} s", file=sys.stderr, flush=True)
        elif now - printed >= STUDY_SECONDS:
            seconds = (now - started) / (total - remaining) * remaining
            print(f"{total - remaining} of {total} replicas, about {seconds:.0f} s left", file=sys.stderr, flush=True)
            printed = now

    return advance


def _in_bars(replicas: int, plan: Plan, shown: Mapping[str, Sequence[str]], bars: Progress) -> Advance:
    """A bar for each recipe, or each way of a chain, with the time left."""
    left = Counter(task.key for task in plan.missing)
    of_key: dict[str, list[TaskID]] = {}
    for name, keys in shown.items():
        total = replicas * len(keys)
        bar = bars.add_task(name, total=total, completed=total - sum(left[key] for key in keys))
        for key in keys:
            of_key.setdefault(key, []).append(bar)

    def advance(key: str) -> None:
        for bar in of_key.get(key, ()):  # earlier models have no bar
            bars.advance(bar)

    return advance
