"""Measurements of benchmarks/engine.py in docs/concepts/engines.md."""

from __future__ import annotations

from statistics import median
from typing import Any

from traintwice_reproduction.kept import KEPT

RESULTS = KEPT / "speed.json"
RIVALS = ("DataLoader loop", "tuned loop", "torchensemble", "JAX")
NETWORKS = {
    "narrow": "64-128-128-10, batch 64, R = 20",
    "middle": "784-256-256-10, batch 128, R = 8",
    "wide": "784-1200-1200-10, batch 128, R = 4",
    "lenet5": "LeNet5, batch 128, R = 4",
    "resnet20": "ResNet-20, batch 64, R = 2",
}


def taken(measured: dict[str, Any], date: str) -> dict[str, Any]:
    """What the page shows of the benchmark's JSON, by case."""
    settings = measured["settings"]
    shown = {key: settings[key] for key in ("optimizer", "threads", "processes", "repeat", "cpu_time")}
    machine = settings["machine"]
    shown |= {"date": date, "processor": machine["processor"], "versions": {key: machine[key] for key in ("torch", "numpy")}}
    return {
        name: {
            **shown,
            "ours": case["ours"],
            "seconds": {rival: found["seconds"] for rival, found in case["rivals"].items() if "seconds" in found},
            "of_peak": {rival: rate * case["flops"] / case["peak"] for rival, rate in case["rates"].items()},
            "two_processes": case.get("two_processes"),
        }
        for name, case in measured["cases"].items()
    }


def ratio(case: dict[str, Any], rival: str) -> str:
    """Speed as a multiple of a rival's: ratio of the medians, and range over all turns."""
    if rival not in case["seconds"]:
        return "–"
    theirs, ours = case["seconds"][rival], case["seconds"][case["ours"]]
    turns = [a / b for a, b in zip(theirs, ours, strict=True)]
    return f"{median(theirs) / median(ours):.2f} ({min(turns):.2f}–{max(turns):.2f})"


def of_peak(case: dict[str, Any], rival: str) -> str:
    """Arithmetic of a rival as a share of a large matrix product's."""
    share = case["of_peak"].get(rival)
    return "–" if share is None else f"{share:.0%}"


def pair(case: dict[str, Any]) -> str:
    """Speed of two processes as a share of two copies of the tuned loop."""
    both = case["two_processes"]
    return "–" if both is None else f"{both[case['ours']] / both['tuned loop']:.0%}"


def table(kept: dict[str, Any]) -> str:
    """The measurements in Markdown."""
    lines = [
        f"| network | engine | {' | '.join(RIVALS)} | of matmul peak | JAX's | the tuned loop's | two processes | processor | measured |",
        "|" + " --- |" * (8 + len(RIVALS)),
    ]
    for name, title in NETWORKS.items():
        if name in kept:
            case = kept[name]
            ratios = " | ".join(ratio(case, rival) for rival in RIVALS)
            shares = " | ".join(of_peak(case, rival) for rival in (case["ours"], "JAX", "tuned loop"))
            taken_in = f"{pair(case)} | {case['processor']} | {case['processes']} × {case['repeat']} turns, {case['date']}"
            lines.append(f"| {title} | `{case['ours'].removeprefix('ours, ')}` | {ratios} | {shares} | {taken_in} |")
    return "\n".join(lines)
