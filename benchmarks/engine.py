"""Training speed compared with the usual loop, a tuned loop, hand-written JAX and an ensemble package.

    PYTHONPATH=src python benchmarks/engine.py [--case narrow] [--rival JAX] [--repeat 5] [--processes 1] [--cpu-time] [--json FILE]

Every rival trains the same number of networks of the same structure from the same distribution of initial weights, for the same number
of steps on mini-batches of the same size, with plain SGD (or momentum of 0.9, or AdaGrad), in float32, each in its own process on one
core. Rivals take turns, and the median of the repeats counts. With `--processes 3` there are three rounds in new processes: convolutions
are up to a tenth faster or slower from one process to the next. Compilation is reported separately. All data are random. Rivals that are
not installed are left out and named; benchmarks/requirements.txt lists them. torch-uncertainty is not compared: it cannot be imported
without torchvision.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import traintwice
from traintwice._processes import KEEPS_MEMORY

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rivals.case import CASES, OPTIMIZERS, Case
from rivals.server import PEAK_SIDE, PEAK_TIMES, RIVALS

OURS = ("ours, loop", "ours, stacked")


class Rival:
    """A server process; see rivals/server.py."""

    def __init__(self, name: str, case: str, args: argparse.Namespace, cores: list[int]) -> None:
        self.name = name
        count = str(len(cores))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(Path(traintwice.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
            ),
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), count),
            **(KEEPS_MEMORY if name in {*OURS, "tuned loop"} and not args.no_keep else {}),
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if len(cores) > 1 else 'false'}",
            "JAX_PLATFORMS": "cpu",
        }
        server = str(Path(__file__).resolve().parent / "rivals" / "server.py")
        pin = (lambda: os.sched_setaffinity(0, cores)) if hasattr(os, "sched_setaffinity") else None
        self._process = subprocess.Popen(
            [sys.executable, server, name, case, args.optimizer, count],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=pin,
        )
        self.answer: dict[str, Any] = {}

    def begin(self) -> None:
        """Start another run."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wait(self) -> dict[str, Any]:
        """Answer at the end of a run."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: ended with status {self._process.wait()}")
        self.answer = json.loads(line)
        return self.answer

    def close(self) -> None:
        self._process.communicate()


def measure(names: list[str], key: str, args: argparse.Namespace, copies: list[list[int]]) -> dict[str, Any]:
    """Seconds of each rival, run as several copies at once, each on its cores; and why some are left out."""
    found: dict[str, Any] = {}
    servers: dict[str, list[Rival]] = {}
    for name in names:
        started = [Rival(name, key, args, cores) for cores in copies]
        answers = [rival.wait() for rival in started]
        if "not_here" in answers[0]:
            found[name] = {"not_here": answers[0]["not_here"]}
            for rival in started:
                rival.close()
        else:
            servers[name] = started
            found[name] = {"ready": answers[0]["ready"], "how": answers[0]["how"], "seconds": []}
    for _ in range(args.repeat):
        for name, rivals in servers.items():
            for rival in rivals:
                rival.begin()
            took = [rival.wait()["cpu" if args.cpu_time else "wall"] for rival in rivals]
            found[name]["seconds"].append(max(took))
    for rivals in servers.values():
        for rival in rivals:
            rival.close()
    return found


def rates(case: Case, found: dict[str, Any], copies: int) -> dict[str, float]:
    """Examples per second of all copies together."""
    return {n: copies * case.examples / median(f["seconds"]) for n, f in found.items() if "seconds" in f and n != "matmul"}


def print_case(case: Case, found: dict[str, Any], rate: dict[str, float], peak: float) -> dict[str, Any]:
    """Print the table of a case, and whether its aims are reached."""
    print(f"\n{case.name}: {case.steps * case.epochs} steps, peak {peak / 1e9:.1f} GFLOP/s")
    print(f"  {'':18}{'examples/s':>12}{'x tuned loop':>14}{'of peak':>9}{'spread':>14}{'before':>9}")
    tuned = rate["tuned loop"]
    for name, f in found.items():
        if name == "matmul":
            continue
        if "not_here" in f:
            print(f"  {name:18}left out: {f['not_here']}")
            continue
        low, high = (case.examples / (rate[name] * s) for s in (max(f["seconds"]), min(f["seconds"])))
        share = rate[name] * case.flops / peak
        line = f"{rate[name]:12,.0f}{rate[name] / tuned:14.2f}{share:9.0%}{f'{low:.2f}-{high:.2f}':>14}{f['ready']:8.1f}s"
        print(f"  {name:18}{line}")
    if found["tuned loop"]["how"]:
        print(f"  tuned loop: {found['tuned loop']['how']} was the fastest optimiser")
    ours = max((name for name in OURS if name in rate), key=lambda name: rate[name])
    aims = {}
    for rival, wanted in case.wanted.items():
        if rival == "peak":
            reached = rate[ours] * case.flops / peak
        elif rival in rate:
            reached = rate[ours] / rate[rival]
        else:
            continue
        aims[rival] = {"wanted": wanted, "reached": reached}
        print(f"  {ours} against {rival}: {reached:.2f} (aim {wanted:.2f}) {'reached' if reached >= wanted else 'NOT reached'}")
    return {"ours": ours, "aims": aims}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="all by default")
    parser.add_argument("--rival", action="append", choices=sorted(set(RIVALS) - {"matmul"}), help="all by default")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--processes", type=int, default=1, help="rounds of repeats, each in new processes")
    parser.add_argument("--threads", type=int, default=1, help="threads and cores of each rival")
    parser.add_argument("--optimizer", choices=sorted(OPTIMIZERS), default="sgd")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of wall time, for a shared machine")
    parser.add_argument("--no-keep", action="store_true", help="glibc returns freed memory in all processes")
    parser.add_argument("--json", type=Path, help="also write everything to a JSON file")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    asked = set(args.rival or RIVALS) | {"tuned loop", "matmul"}
    names = [n for n in RIVALS if n in (asked if asked & set(OURS) else asked | set(OURS))]
    clock = "processor time" if args.cpu_time else "wall time"
    times = f"{args.processes} x {args.repeat}"
    print(
        f"{args.optimizer}, {args.threads} thread(s), {clock}, median of {times}; 'before' is the time of imports and compilation"
    )
    results = {}
    for key in args.case or CASES:
        case = replace(CASES[key], optimizer=OPTIMIZERS[args.optimizer])
        rounds = [measure(names, key, args, [cores[: args.threads]]) for _ in range(args.processes)]
        found = {
            name: {**f, "seconds": [s for r in rounds for s in r[name]["seconds"]]} if "seconds" in f else f
            for name, f in rounds[0].items()
        }
        rate = rates(case, found, 1)
        peak = 2 * PEAK_SIDE**3 * PEAK_TIMES / median(found["matmul"]["seconds"])
        told = print_case(case, found, rate, peak)
        results[key] = {"rivals": found, "rates": rate, "flops": case.flops, "peak": peak, **told}
        if args.threads == 1 and len(cores) > 1:
            pair = rates(case, measure(["tuned loop", told["ours"]], key, args, [[cores[0]], [cores[1]]]), 2)
            together, alone = pair[told["ours"]], pair["tuned loop"]
            print(
                f"  two processes: {told['ours']} {together / alone:.0%} of two copies of the tuned loop (aim at least 95%), ",
                end="",
            )
            print(f"{together / rate[told['ours']]:.2f} times one process")
            results[key]["two_processes"] = pair
    if args.json is not None:
        settings = {**vars(args), "json": None, "machine": machine()}
        args.json.write_text(json.dumps({"settings": settings, "cases": results}, indent=1))


def machine() -> dict[str, str]:
    """Processor and versions."""
    from traintwice.engine import Numerics

    numerics = Numerics.here(threads=1)
    return {"processor": numerics.processor, "torch": numerics.torch, "numpy": numerics.numpy}


if __name__ == "__main__":
    main()
