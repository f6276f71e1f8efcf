"""Starting and ending Python processes of this package. This module imports nothing heavy, so that processes can start first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

WORKER = "traintwice.study._worker"

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

KEEPS_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**24),
}
"""Environment variables that make glibc keep freed memory. Without them every step of a convolutional network returns its buffers to the
system and gets new pages, which are zeroed first (costs: docs/concepts/engines.md). 2**25 is the largest value that glibc accepts."""


def command_of(module: str) -> list[str]:
    """The command that runs ``main`` of a module of this package in another process.

    It imports this package, installed or not. With -P it imports nothing from the current directory.

    >>> command_of("traintwice.study._worker")[1:3]
    ['-P', '-c']
    """
    start = f"import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, "-P", "-c", start, str(Path(__file__).resolve().parents[1])]


def cores() -> int:
    """Number of cores that this process may use: those of its affinity, within the quota of its control group (container)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _control_groups(Path("/sys/fs/cgroup")) if (quota := _quota(folder)) is not None]
    return max(min([allowed, *map(round, quotas)]), 1)


def _control_groups(root: Path, own: Path = Path("/proc/self/cgroup")) -> list[Path]:
    """The folders of this process's control group and of those that hold it; of version 2, the root of version 1."""
    try:
        paths = [line.partition("::")[2].strip("/") for line in own.read_text().splitlines() if line.startswith("0::")]
    except OSError:
        paths = []
    inner = [root / path for path in paths if path and ".." not in path]
    return [
        root,
        *(folder for path in inner for folder in (path, *path.parents) if folder.is_relative_to(root) and folder != root),
    ]


def _quota(root: Path) -> float | None:
    """Processors that a control group may use, of version 2 or 1; None where there is no limit."""
    try:
        if (root / "cpu.max").exists():
            limit, period = (root / "cpu.max").read_text().split()
        else:
            limit, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return None if limit.strip() == "max" or int(limit) <= 0 else int(limit) / int(period)
    except (OSError, ValueError):
        return None


def worker_environment(threads: int | None = 1) -> dict[str, str]:
    """Environment of a worker process: its threads (None: as they are), and `KEEPS_MEMORY` unless the user set other values."""
    counts = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    return {**KEEPS_MEMORY, **os.environ, **counts, "PYTHONUNBUFFERED": "1"}


def start(
    module: str, *, threads: int | None = 1, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any]:
    """Start a process that runs ``main`` of a module, with pipes for its input and output.

    It has a session of its own: Ctrl-C is for the parent, which ends it.

    Args:
        module: of this package.
        threads: see `worker_environment`.
        environment: more variables.
        options: of `subprocess.Popen`.
    """
    variables = {**worker_environment(threads), **(environment or {})}
    pipe = subprocess.PIPE
    return subprocess.Popen(command_of(module), stdin=pipe, stdout=pipe, env=variables, start_new_session=True, **options)


def claim_pipes() -> tuple[int, int]:
    """The pipes from and to the parent; user code reads an empty standard input instead, and prints to standard error."""
    source, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, answers


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a started process and its children."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def end(process: subprocess.Popen[Any], *, within: float = 0.0) -> None:
    """Wait so many seconds for a started process to end, then kill it and its children."""
    try:
        process.wait(timeout=within)
    except subprocess.TimeoutExpired:
        kill(process)
        process.wait()


def close_pipes(process: subprocess.Popen[Any]) -> None:
    """Close the pipes of a process that has ended."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


@dataclass(frozen=True)
class Started:
    """A worker process of a study that has no task yet, and the file of its standard error."""

    process: subprocess.Popen[str]
    errors: IO[str]

    def discard(self) -> None:
        """End the process."""
        end(self.process)
        close_pipes(self.process)
        self.errors.close()


def start_worker() -> Started:
    """Start a worker process of one thread."""
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
    return Started(start(WORKER, stderr=errors, text=True), errors)


@contextmanager
def started_early(jobs: int | None) -> Iterator[list[Started]]:
    """Worker processes that import PyTorch at the same time as this process; those left in the list at the end are discarded.

    One core is kept for this process, which plans in the meantime.
    """
    waiting = [start_worker() for _ in range(min(jobs or cores(), max(cores() - 1, 1)))]
    try:
        yield waiting
    finally:
        for started in waiting:
            started.discard()
