"""Progress of a comparison: how long it has been going, on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_SECONDS, EVERY_SECONDS = 10.0, 60.0
"""Where there is no terminal: when the first line comes, and how often the next."""


@contextmanager
def waiting(doing: str, *, quiet: bool) -> Iterator[None]:
    """Say what is going on while it takes long: a moving line on a terminal, a line a minute elsewhere, nothing when quiet."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bars.add_task(doing, total=None)
            yield
    else:
        done = threading.Event()
        teller = threading.Thread(target=_tell, args=(doing, done), daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()


def _tell(doing: str, done: threading.Event) -> None:
    started, wait = time.monotonic(), FIRST_SECONDS
    while not done.wait(wait):
        print(f"traintwice: {doing}, {time.monotonic() - started:.0f} s so far", file=sys.stderr, flush=True)
        wait = EVERY_SECONDS
