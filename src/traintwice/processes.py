"""How Python processes of this package are started; nothing heavy is imported here, so that they can be started first of all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

WORKER = "traintwice.study.worker"

KEEPS_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**24),
}
"""What has glibc keep memory that was freed. Otherwise every step of a convolutional network returns its buffers to the system and is
given others, page by page, each filled with zeros first (docs/engine.md says what that costs). 2**25 is the most that glibc takes."""


def command_of(module: str) -> list[str]:
    """The command that runs ``main`` of a module of this package in a process of its own.

    It finds this very package, installed or not, and (with -P) nothing in the folder that the user happens to stand in.

    >>> command_of("traintwice.study.worker")[1:3]
    ['-P', '-c']
    """
    start = f"import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, "-P", "-c", start, str(Path(__file__).resolve().parents[1])]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Started:
    """A worker process that loads what it needs and waits to be told about data and store.

    Attributes:
        process: with pipes to its input and output.
        errors: what it writes to standard error.
    """

    process: subprocess.Popen[str]
    errors: IO[str]

    def discard(self) -> None:
        """End it; it was given nothing to do."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                pipe.close()


def worker_environment() -> dict[str, str]:
    """Of a worker process: one thread, and what the user did not set differently."""
    return {**KEEPS_MEMORY, **os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def start_worker() -> Started:
    """A new worker process, of one thread."""
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
    process = subprocess.Popen(
        command_of(WORKER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=worker_environment(),
        start_new_session=True,  # Ctrl-C is for the parent, which closes the worker's input
    )
    return Started(process, errors)


@contextmanager
def started_early(jobs: int | None) -> Iterator[list[Started]]:
    """Worker processes that load PyTorch while this one does; those still in the list at the end are discarded.

    One core is left to this process: until it has planned, a further worker would only slow it down.
    """
    waiting = [start_worker() for _ in range(min(jobs or cores(), max(cores() - 1, 1)))]
    try:
        yield waiting
    finally:
        for started in waiting:
            started.discard()
