"""Progress of a comparison on standard error: rows and the time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from traintwice.formatting import visible
from traintwice.progress import Unit, listening

FIRST_SECONDS, EVERY_SECONDS = 10.0, 60.0
"""Where there is no terminal: when the first line comes, and how often the next."""


@contextmanager
def waiting(doing: str, *, quiet: bool) -> Iterator[None]:
    """Say how far it is while it takes long: a bar on a terminal, a line a minute elsewhere, nothing when quiet."""
    doing = visible(doing)
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _bar(doing):
            yield
    else:
        lines = Lines(doing)
        try:
            with listening(lines.hear):
                yield
        finally:
            lines.stop()


class Lines:
    """A line after `FIRST_SECONDS`, and one every `EVERY_SECONDS`; short work leaves none."""

    def __init__(self, doing: str) -> None:
        self._doing, self._started, self._done = doing, time.monotonic(), threading.Event()
        self._pass: tuple[float, float, Unit, float, float] | None = None
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()

    def hear(self, done: float, total: float, unit: Unit = "rows") -> None:
        """What is done of a pass, and what there is in all; less than before, or another unit, starts a new pass."""
        now = time.monotonic()
        goes_on = self._pass is not None and done >= self._pass[0] and unit == self._pass[2]
        self._pass = (done, total, unit, self._pass[3] if self._pass and goes_on else now, now)

    def stop(self) -> None:
        """Say no more."""
        self._done.set()
        self._teller.join()

    def line(self) -> str:
        """What there is to say now."""
        said = f"traintwice: {self._doing}, {time.monotonic() - self._started:.0f} s so far"
        if self._pass is None:
            return said
        done, total, unit, started, now = self._pass
        left = f", about {(now - started) / done * (total - done):.0f} s left" if now > started and done else ""
        reached = f"{done:,} of {total:,} rows" if unit == "rows" else f"{done:.0f} % of this step"
        return f"{said}, {reached}{left}"

    def _tell(self) -> None:
        wait = FIRST_SECONDS
        while not self._done.wait(wait):
            print(self.line(), file=sys.stderr, flush=True)
            wait = EVERY_SECONDS


@contextmanager
def _bar(doing: str) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(doing, total=None)
        with listening(lambda done, total, unit: bars.update(bar, completed=done, total=total)):
            yield
