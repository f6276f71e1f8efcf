"""How far long work is, for whoever wants to know: the work tells, the command line listens, nobody has to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Unit = Literal["rows", "%"]

Listener = Callable[[float, float, Unit], None]
"""Called with what is done of a pass, what there is in all, and whether that is rows or percent."""

ASK_SECONDS = 1.0
"""How often work that cannot tell is asked."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell(done: float, total: float, unit: Unit = "rows") -> None:
    """Say how far a pass over rows is; costs nothing where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total, unit)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hear what is told inside.

    >>> heard = []
    >>> with listening(lambda done, total, unit: heard.append((done, total, unit))):
    ...     tell(3, 10)
    >>> tell(4, 10), heard
    (None, [(3, 10, 'rows')])
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def asking(percent: Callable[[], float]) -> Iterator[None]:
    """Where somebody listens, ask every second how far the work inside is; a negative answer is none."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    ended = threading.Event()

    def ask(heard: Listener) -> None:
        while not ended.wait(ASK_SECONDS):
            if (done := percent()) >= 0:
                heard(done, 100.0, "%")

    asker = threading.Thread(target=ask, args=(listener,), daemon=True)
    asker.start()
    try:
        yield
    finally:
        ended.set()
        asker.join()
