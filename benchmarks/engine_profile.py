"""Time of each part of a step of the stacked engine, and the speed of its matrix products alone.

    PYTHONPATH=src python benchmarks/engine_profile.py [--case narrow] [--repeat 5]

Calls into PyTorch are timed one by one in one run of the case (cProfile), the whole in others. Processor time on one thread; the
matrix peak is the best of products of 1024 x 1024.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import re
import sys
import time
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rivals import ours
from rivals.case import CASES, Case

GROUPS = {
    "matrix products": "bmm|baddbmm_",
    "gathering rows": "index_select|reshape",
    "bias and activation": "add_|clamp_min|_ops.aten.|tanh",
    "sums over the batch": "sum|mean",
    "softmax and loss": "sub|amax|exp|div_|scatter_add_|item|clone|mul_",
    "update of the biases": "_fused_sgd_|step",
}
"""Built-in functions by their part in a step."""


def seconds_by_group(case: Case) -> dict[str, float]:
    """Time in calls of a whole training, by group."""
    run = ours.stacked(case)
    run()
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(run)
    found = dict.fromkeys(GROUPS, 0.0)
    for (_, line, name), (_, _, own, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        called = re.search(r"<(?:method '|built-in method torch\.)([\w.]+)", name)
        if line == 0 and called is not None and "torch" in name:
            group = next((g for g, names in GROUPS.items() if re.fullmatch(names, called[1])), None)
            if group is not None:
                found[group] += own
    return found


def seconds(case: Case, repeat: int) -> float:
    """Processor time of a whole training, the median of several."""
    run = ours.stacked(case)
    times = []
    for _ in range(repeat):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return median(times)


def peak() -> float:
    """Operations per second of a product of 1024 x 1024, the best of ten."""
    a, out = torch.randn(1024, 1024), torch.empty(1024, 1024)
    times = []
    for _ in range(10):
        began = time.process_time()
        torch.mm(a, a, out=out)
        times.append(time.process_time() - began)
    return 2 * 1024**3 / min(times)


def main() -> None:
    """Print a table for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=["narrow", "middle", "wide"], default=["narrow", "middle", "wide"])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.case:
        case = CASES[name]
        whole, groups, best = seconds(case, options.repeat), seconds_by_group(case), peak()
        steps = case.steps * case.epochs
        groups["Python, set-up, the rest"] = max(whole - sum(groups.values()), 0.0)
        print(f"{case.name}: {1e3 * whole / steps:.2f} ms a step, {case.flops * case.examples / whole / best:.0%} of matmul peak")
        for group, took in groups.items():
            print(f"  {group:30}{1e3 * took / steps:8.3f} ms {took / whole:6.0%}")
        products = groups["matrix products"]
        print(
            f"  products alone would be {whole / products:.2f} times as fast, "
            f"{case.flops * case.examples / products / best:.0%} of peak"
        )


if __name__ == "__main__":
    main()
