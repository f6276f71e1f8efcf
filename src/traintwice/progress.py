"""How far long work is, for whoever wants to know: the work tells, the command line listens, nobody has to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int], None]
"""Called with the rows done and the rows in all."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell(done: int, total: int) -> None:
    """Say how far a pass over rows is; costs nothing where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hear what is told inside.

    >>> heard = []
    >>> with listening(lambda done, total: heard.append((done, total))):
    ...     tell(3, 10)
    >>> tell(4, 10), heard
    (None, [(3, 10)])
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
