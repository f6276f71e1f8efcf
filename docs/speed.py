"""Put what benchmarks/engine.py measured into docs/engine.md.

python docs/speed.py --take narrow.json --take middle.json --date 2026-11-22   # from its --json into docs/results/speed.json, and the page
python docs/speed.py --pages                                                   # rewrites the page from docs/results/speed.json alone
"""

from __future__ import annotations

import datetime
import json
import re
from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from typing import Any

from refresh import rounded, written

DOCS = Path(__file__).resolve().parent
KEPT = DOCS / "results" / "speed.json"
PAGE = DOCS / "engine.md"
RIVALS = ("DataLoader loop", "tuned loop", "torchensemble", "JAX")
NETWORKS = {
    "narrow": "64-128-128-10, batch 64, R = 20",
    "middle": "784-256-256-10, batch 128, R = 8",
    "wide": "784-1200-1200-10, batch 128, R = 4",
    "lenet5": "LeNet5, batch 128, R = 4",
    "resnet20": "ResNet-20, batch 64, R = 2",
}


def taken(measured: dict[str, Any], date: str) -> dict[str, Any]:
    """What the page shows of the benchmark's JSON, by case: nothing of the machine but the versions of its software."""
    settings = measured["settings"]
    shown = {key: settings[key] for key in ("optimizer", "threads", "processes", "repeat", "cpu_time")}
    shown |= {"date": date, "versions": {key: settings["machine"][key] for key in ("torch", "numpy")}}
    return {
        name: {
            **shown,
            "ours": case["ours"],
            "seconds": {rival: found["seconds"] for rival, found in case["rivals"].items() if "seconds" in found},
            "of_peak": case["rates"][case["ours"]] * case["flops"] / case["peak"],
            "tuned_of_peak": case["rates"]["tuned loop"] * case["flops"] / case["peak"],
            "expected": case["expected"],
            "two_processes": case.get("two_processes"),
        }
        for name, case in measured["cases"].items()
    }


def ratio(case: dict[str, Any], rival: str) -> str:
    """How many times as fast as a rival: of the medians, and from the least to the greatest of all turns."""
    if rival not in case["seconds"]:
        return "–"
    theirs, ours = case["seconds"][rival], case["seconds"][case["ours"]]
    turns = [a / b for a, b in zip(theirs, ours, strict=True)]
    return f"{median(theirs) / median(ours):.2f} ({min(turns):.2f}–{max(turns):.2f})"


def pair(case: dict[str, Any]) -> str:
    """What two processes reach, of two copies of the tuned loop."""
    both = case["two_processes"]
    return "–" if both is None else f"{both[case['ours']] / both['tuned loop']:.0%}"


def table(kept: dict[str, Any]) -> str:
    """The marked part of the page."""
    lines = [
        f"| network | engine | {' | '.join(RIVALS)} | of matmul peak | the tuned loop's | two processes | measured |",
        "|" + " --- |" * (6 + len(RIVALS)),
    ]
    for name, title in NETWORKS.items():
        if name in kept:
            case = kept[name]
            ratios = " | ".join(ratio(case, rival) for rival in RIVALS)
            shares = f"{case['of_peak']:.0%} | {case['tuned_of_peak']:.0%} | {pair(case)}"
            taken_in = f"{case['processes']} × {case['repeat']} turns, {case['date']}"
            lines.append(f"| {title} | `{case['ours'].removeprefix('ours, ')}` | {ratios} | {shares} | {taken_in} |")
    return "\n".join(lines)


def page(text: str, kept: dict[str, Any]) -> str:
    """The page with what is kept in it."""
    return re.sub(
        r"(<!-- speed:begin -->\n).*?(<!-- speed:end -->)", lambda m: f"{m[1]}{table(kept)}\n{m[2]}", text, flags=re.DOTALL
    )


def main() -> None:
    """Keep what was measured, and rewrite the page."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--take", type=Path, action="append", default=[], help="what benchmarks/engine.py --json wrote")
    what.add_argument("--pages", action="store_true", help="from what is kept alone")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="on which it was measured")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for path in options.take:
        kept |= taken(json.loads(path.read_text()), options.date)
    if options.take:
        KEPT.write_text(written(rounded({name: kept[name] for name in NETWORKS if name in kept})) + "\n")
    PAGE.write_text(page(PAGE.read_text(), json.loads(KEPT.read_text())))


if __name__ == "__main__":
    main()
