"""What intervals cover, how often verdicts are false, and the power that plans promise, in simulated worlds.

    python benchmarks/coverage.py                              # prints the table
    python benchmarks/coverage.py --write docs/concepts/coverage.md     # puts the table between the markers of the page
    python benchmarks/coverage.py --trials 200 --part recipe --json

Everything is computed by the public functions of traintwice. The true values come from simulated/worlds.py.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from simulated import estimates, launches
from simulated.cells import Cell
from simulated.worlds import WORLDS

PARTS = {
    "recipe": "Intervals of one recipe, for new replicas and new rows",
    "two models": "Intervals of two models, for new rows",
    "difference": "Two recipes that do not differ: how often p is at most the level",
    "noise floor": "Verdicts against the noise floor, and the gate `churn / floor ≤ 1.5`",
    "slices": "Files in which any slice is significant, with nothing to find",
    "planning": "Power: promised by `plan`, and simulated by `compare_recipes`",
}

REASONS = {
    (
        "recipe",
        "high",
    ): "The jackknife is conservative where replicas err independently: the noise of single rows is in the replica part and "
    "again in the example part.",
    (
        "recipe",
        "low",
    ): "Few replicas contain the extreme one too rarely; then the measure and its standard error are both too small.",
    ("recipe", "above"): "As for low coverage: the churn of replicas is skewed, and few replicas show too little of it.",
    (
        "two models",
        "high",
    ): "Counts near zero: the exact bound, and the row added to each count by Bonett and Price, are conservative.",
    (
        "two models",
        "low",
    ): "A handful of rows carries the measure: with one or two changed rows in 1,000, most samples hold too few of them.",
    ("two models", "above"): "As for low coverage: most samples hold too few of the rows that carry the measure.",
    ("difference", "high"): "Three replicas do not show how skewed the churn of replicas is.",
    ("noise floor", "high"): "Counts of few rows are discrete and skewed; more retrains or rows help.",
    ("slices", "high"): "Counts of few rows in few clusters.",
    ("planning", "low"): "The plan takes estimates as normal; with few replicas the difference of two churns is skewed.",
    (
        "planning",
        "high",
    ): "With a pilot of one recipe the other is taken to vary as much; one with less churn varies less, and is easier to "
    "distinguish than promised. Give pilots of both.",
}
"""Why a cell of a part falls short, by how it does."""

MARKED = re.compile(r"(<!-- coverage:begin -->\n).*?(<!-- coverage:end -->)", re.DOTALL)


def cells(trials: int, seed: int, parts: Iterable[str] = PARTS) -> Iterator[Cell]:
    """Every cell of the parts. Comparisons of files are slower, so they have fewer trials."""
    some, few = max(trials // 2, 1), max(trials // 5, 1)
    for world in WORLDS:
        if "recipe" in parts:
            yield from estimates.recipe(world, trials, seed)
        if "two models" in parts:
            yield from estimates.two_models(world, some, seed)
    if "difference" in parts:
        for world in estimates.RECIPES:
            yield from estimates.difference(world, some, seed)
    if "noise floor" in parts:
        for world in launches.FLOORS:
            yield from launches.noise_floor(world, some, seed)
    if "slices" in parts:
        yield from launches.slices(few, seed)
    if "planning" in parts:
        yield from launches.planning(some, seed)


def markdown(found: list[Cell], seed: int) -> str:
    """The tables of all parts, what each world is, and why cells fall short."""
    lines = [
        f"Made on {datetime.date.today()} with seed {seed}. Shares are percentages of the trials. At 95 % the error of simulation is",
        "± 1.4 pp with 1,000 trials and ± 2.5 pp with 300. **Bold**: the target is missed by more than two standard errors.",
        "",
    ]
    for part, title in PARTS.items():
        own = [c for c in found if c.part == part]
        if own:
            lines += [f"### {title}", "", *_table(own), "", *_reasons(own)]
    lines += ["### Worlds", "", *[f"- **{w.name}**: {w.meaning}" for w in WORLDS]]
    return "\n".join(lines)


def _table(found: list[Cell]) -> list[str]:
    """A row for each world and setting, a column for each question; planning has its own promise in every row."""
    if found[0].part == "planning":
        lines = ["| world | setting | promised | simulated | trials |", "|---|---|---:|---:|---:|"]
        return lines + [
            f"| {c.world} | {c.setting} | {c.question.removeprefix('promised ')} | {c} % | {c.trials:,} |" for c in found
        ]
    questions = list(dict.fromkeys(c.question for c in found))
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for c in found:
        rows.setdefault((c.world, c.setting), {})[c.question] = c
    titles = [q.replace("_", " ") for q in questions]
    lines = [f"| world | setting | {' | '.join(titles)} | trials |", f"|---|---|{'---:|' * (len(questions) + 1)}"]
    for (world, setting), of in rows.items():
        shown = " | ".join(str(of[q]) if q in of else "–" for q in questions)
        lines.append(f"| {world} | {setting} | {shown} | {max(c.trials for c in of.values()):,} |")
    targets = dict.fromkeys(f"{c.question.replace('_', ' ')}: {c.target}" for c in found if str(c.target) != "–")
    if found[0].above is not None:
        held, but = found[-1].target, "; none at M = 3" if found[0].part == "recipe" else ""
        return [
            f"Each cell: coverage (truth below / above the interval). Target: {held}{but}.",
            "",
            *lines,
        ]
    return [f"Targets: {'; '.join(targets)}.", "", *lines]


def _reasons(found: list[Cell]) -> list[str]:
    """How many cells fall short, and why."""
    missed = [c for c in found if c.verdict != "met"]
    if not missed:
        return ["Every cell meets its target.", ""]
    words = {"low": "below the target", "high": "above the target", "above": "with too many truths above the interval"}
    lines = []
    for verdict, word in words.items():
        own = [c for c in missed if c.verdict == verdict]
        if own:
            where = ", ".join(dict.fromkeys(c.world for c in own))
            lines.append(f"- {len(own)} of {len(found)} cells are {word} ({where}). {REASONS[own[0].part, verdict]}")
    return [*lines, ""]


def write(path: Path, table: str) -> None:
    """Put the table between the markers of a page."""
    text = path.read_text()
    if not MARKED.search(text):
        raise SystemExit(f"{path}: no markers <!-- coverage:begin --> and <!-- coverage:end -->")
    path.write_text(MARKED.sub(lambda m: f"{m[1]}\n{table}\n\n{m[2]}", text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=600, help="of a cell; comparisons of files take a half or a fifth of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; may be repeated")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between the markers of a page")
    options = parser.parse_args()
    found = []
    for cell in cells(options.trials, options.seed, options.part or PARTS):
        if not found or (cell.part, cell.world) != (found[-1].part, found[-1].world):
            print(f"{cell.part}: {cell.world}", file=sys.stderr)
        found.append(cell)
    if options.json:
        print(json.dumps([{**asdict(c), "verdict": c.verdict} for c in found], indent=1))
    else:
        print(markdown(found, options.seed))
    if options.write:
        write(options.write, markdown(found, options.seed))


if __name__ == "__main__":
    main()
