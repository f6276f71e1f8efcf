"""A worker process: reads one task, trains it, writes its outcome to the standard output, and ends.

The process ends when its standard input closes, which it does however the parent ends, and it takes its child processes with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import TypedDict

from traintwice._processes import claim_pipes

LENGTH = 8
"""Bytes of the length before each message."""


class Message(TypedDict):
    """The first part of what a worker reads: the surroundings of the user's code."""

    path: list[str]
    arguments: list[str]


def surroundings() -> Message:
    """The surroundings of the user's code in this process."""
    return Message(path=[entry or str(Path.cwd()) for entry in sys.path], arguments=sys.argv)


def main() -> None:
    """Read the surroundings and the task, train, answer."""
    source, answers = claim_pipes()
    message: Message = pickle.loads(read_message(source))  # noqa: S301  (from the parent process)
    sys.path[:], sys.argv[:] = message["path"], message["arguments"]
    task = read_message(source)
    threading.Thread(target=_end_with_parent, args=(source,), daemon=True).start()
    from traintwice.replication._tasks import perform

    outcome = perform(pickle.loads(task))  # noqa: S301
    if outcome.reason is not None:
        sys.stderr.flush()
    content = pickle.dumps(outcome)
    sys.stdout.flush()
    write_all(answers, len(content).to_bytes(LENGTH, "big") + content)
    os.close(answers)


def read_message(source: int) -> bytes:
    """A message, which has its length first; ends the process where the input ends."""
    length = int.from_bytes(_read(source, LENGTH), "big")
    return _read(source, length)


def write_all(target: int, content: bytes) -> None:
    """Write all bytes to a file descriptor."""
    view = memoryview(content)
    while view:
        view = view[os.write(target, view) :]


def _read(source: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.read(source, min(length, 1 << 20))
        if not part:
            os._exit(1)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _end_with_parent(source: int) -> None:
    """End this process and its children when the parent does. A plain system call: no lock is held while the user's code forks."""
    if not os.read(source, 1):
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
