"""Seconds that `replicate` adds to each training in a process of its own, next to the same process without traintwice.

Prints wall-clock and processor time per replica. The aim: under 0.3 s beyond the imports of the user's script (NumPy here).
"""

import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

import traintwice

REPLICAS = 10


def train(seed):
    return np.random.default_rng(seed).dirichlet([1, 1, 1], 1000)


def seconds(work):
    """Wall-clock and processor time of the child processes of a piece of work, per replica."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.perf_counter() - started) / REPLICAS, cpu / REPLICAS


def alone():
    for _ in range(REPLICAS):
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)


def replicated():
    traintwice.replicate(train, replicas=REPLICAS, store=tempfile.mkdtemp(), jobs=1)


def in_this_process():
    traintwice.replicate(train, replicas=REPLICAS, store=tempfile.mkdtemp(), executor="in-process")


if __name__ == "__main__":
    in_this_process()  # imports
    for name, work in [
        ("python and numpy", alone),
        ("replicate, processes", replicated),
        ("replicate, in-process", in_this_process),
    ]:
        wall, cpu = seconds(work)
        print(f"{name:22} {wall:.3f} s wall-clock, {cpu:.3f} s processor time of children, per replica")
