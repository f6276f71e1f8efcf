"""Runs a command line of its own and ends it by a signal in the middle of its work."""

import os
import subprocess
import sys
import time
from pathlib import Path

import traintwice


def interrupted(arguments, store, number, *, pattern, records, timeout=60.0):
    """Send a signal once the store has so many files of a pattern; returns the exit status."""
    paths = os.pathsep.join([str(Path(traintwice.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "traintwice", *map(str, arguments), "--store", str(store)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + timeout
    while len(list(Path(store).glob(pattern))) < records and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    return process.wait(timeout=timeout)
