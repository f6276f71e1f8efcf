"""A rival in a process of its own, on cores of its own: each line on its input is a run, each line of its output the seconds it took.

python benchmarks/rivals/server.py RIVAL CASE OPTIMIZER THREADS
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from rivals import ensembles, in_jax, ours, plain_torch
from rivals.case import CASES, OPTIMIZERS, Case, NotHere

PEAK_SIDE, PEAK_TIMES = 1024, 8


def matmul(case: Case) -> Callable[[], None]:
    """Products of large matrices: the most that this machine gives."""
    a, b = torch.randn(2, PEAK_SIDE, PEAK_SIDE, generator=torch.Generator().manual_seed(0)).unbind()
    out = torch.empty_like(a)

    def run() -> None:
        for _ in range(PEAK_TIMES):
            torch.mm(a, b, out=out)

    return run


RIVALS: dict[str, Callable[[Case], Callable[[], None]]] = {
    "DataLoader loop": plain_torch.data_loader_loop,
    "tuned loop": plain_torch.tuned_loop,
    "JAX": in_jax.jax_loop,
    "torchensemble": ensembles.torchensemble,
    "ours, loop": ours.loop,
    "ours, stacked": ours.stacked,
    "matmul": matmul,
}


def main() -> None:
    rival, case, optimizer, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what rivals print is no answer
    torch.set_num_threads(int(threads))

    def say(**answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    began = time.perf_counter()
    try:
        chosen = replace(CASES[case], optimizer=OPTIMIZERS[optimizer])
        run = RIVALS[rival](chosen)
        ready = time.perf_counter() - began
        run()  # first runs fill caches and import what is imported late
    except NotHere as reason:
        say(not_here=str(reason))
        return
    say(ready=ready, how=run.__doc__)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        say(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


if __name__ == "__main__":
    main()
