"""Progress of a comparison on standard error: rows and the time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from traintwice.progress import listening
from traintwice.tables.width import visible

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
        self._rows: tuple[int, int, float, float] | None = None
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()

    def hear(self, done: int, total: int) -> None:
        """Rows done, and rows in all; fewer than before start a new pass."""
        now = time.monotonic()
        started = now if self._rows is None or done < self._rows[0] else self._rows[2]
        self._rows = (done, total, started, now)

    def stop(self) -> None:
        """Say no more."""
        self._done.set()
        self._teller.join()

    def line(self) -> str:
        """What there is to say now."""
        said = f"traintwice: {self._doing}, {time.monotonic() - self._started:.0f} s so far"
        if self._rows is None:
            return said
        done, total, started, now = self._rows
        left = f", about {(now - started) / done * (total - done):.0f} s left" if now > started and done else ""
        return f"{said}, {done:,} of {total:,} rows{left}"

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
        with listening(lambda done, total: bars.update(bar, completed=done, total=total)):
            yield
