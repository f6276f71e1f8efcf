"""Optional progress reporting: work reports to a listener if there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

__all__ = ["Listener", "ProgressUnit", "polling", "report", "reporting_to"]

ProgressUnit = Literal["rows", "%"]

Listener = Callable[[float, float, ProgressUnit], None]
"""Called with the amount done, the total, and the unit of both."""

POLL_SECONDS = 1.0
"""Interval of `polling`."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report(done: float, total: float, unit: ProgressUnit = "rows") -> None:
    """Report the progress of a pass over rows to the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total, unit)


@contextmanager
def reporting_to(listener: Listener) -> Iterator[None]:
    """Set the listener of the progress inside.

    >>> reports = []
    >>> with reporting_to(lambda done, total, unit: reports.append((done, total, unit))):
    ...     report(3, 10)
    >>> report(4, 10), reports
    (None, [(3, 10, 'rows')])
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def polling(percent: Callable[[], float]) -> Iterator[None]:
    """Report the result of ``percent`` every second while the work inside runs; negative results are ignored."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    ended = threading.Event()

    def poll(to: Listener) -> None:
        while not ended.wait(POLL_SECONDS):
            if (done := percent()) >= 0:
                to(done, 100.0, "%")

    thread = threading.Thread(target=poll, args=(listener,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
