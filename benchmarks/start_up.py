"""Seconds from a command to the first training and to the first finished replica.

    PYTHONPATH=src python benchmarks/start_up.py [--repeat 5] [--study digits]

Each run is `traintwice run` in a new process on an empty store, stopped after its first replica. A replica's lock is taken just before its
first step, and its record is written last. The best of several runs is what the program takes; the others say what else the machine did.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import traintwice

ENTRY = "from traintwice.cli import main; main()"


def once(study: str, limit: float = 120.0) -> tuple[float, float]:
    """Seconds to the first lock and to the first record."""
    environment = {**os.environ, "PYTHONPATH": str(Path(traintwice.__file__).resolve().parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs"
        command = [sys.executable, "-P", "-c", ENTRY, "run", study, "--store", str(store), "--no-report", "--quiet"]
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            found = [seconds_until(began, limit, process, store, pattern) for pattern in ("*.lock", "0*.json")]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    return found[0], found[1]


def seconds_until(began: float, limit: float, process: subprocess.Popen[str], store: Path, pattern: str) -> float:
    """Seconds from ``began`` until a file of that name lies in the store."""
    while True:
        if next(store.rglob(pattern), None) is not None:
            return time.perf_counter() - began
        if process.poll() is not None or time.perf_counter() - began > limit:
            process.kill()
            raise SystemExit(f"no {pattern} after {time.perf_counter() - began:.0f} s: {process.communicate()[1]}")
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--study", default="digits")
    args = parser.parse_args()
    runs = [once(args.study) for _ in range(args.repeat)]
    for place, name in enumerate(("first step", "first replica")):
        times = sorted(run[place] for run in runs)
        print(f"command to {name:14} best {times[0]:.2f} s   median {times[len(times) // 2]:.2f} s   worst {times[-1]:.2f} s")


if __name__ == "__main__":
    main()
