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
from typing import Any, TypedDict

from traintwice._processes import claim_pipes


class Surroundings(TypedDict):
    """What the user's code finds in its process."""

    path: list[str]
    arguments: list[str]


def surroundings() -> Surroundings:
    """The surroundings of the user's code in this process."""
    return Surroundings(path=[entry or str(Path.cwd()) for entry in sys.path], arguments=sys.argv)


def message_of(task: Any, found: Surroundings | None = None) -> bytes:
    """What a worker reads: surroundings, by default those of this process, and the task, packed by itself: it is unpacked in them."""
    return pickle.dumps((found or surroundings(), pickle.dumps(task)))


def main() -> None:
    """Read the surroundings and the task, train, answer."""
    source, answers = claim_pipes()
    found, task = pickle.load(os.fdopen(source, "rb", closefd=False))  # noqa: S301  (from the parent process)
    sys.path[:], sys.argv[:] = found["path"], found["arguments"]
    threading.Thread(target=_end_with_parent, args=(source,), daemon=True).start()
    from traintwice.replication._executors import perform

    outcome = perform(pickle.loads(task))  # noqa: S301
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(answers, "wb") as pipe:
        pickle.dump(outcome, pipe)


def _end_with_parent(source: int) -> None:
    """End this process and its children when the parent does. A plain system call: no lock is held while the user's code forks."""
    if not os.read(source, 1):
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
