"""What intervals cover, how often verdicts are false, and the power that plans promise, in simulated worlds.

    python benchmarks/coverage.py                              # prints the table
    python benchmarks/coverage.py --write docs/concepts/coverage.md     # puts it between the markers of the page
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
    "both recipes": "The same verdicts with retrains of both recipes",
    "self-test": "`gate --self-test`: what it reports of a gate, on retrains of one recipe",
    "slices": "Files in which any slice is significant, with nothing to find",
    "planning": "Power: promised by `plan`, and simulated by `compare_recipes`",
}

REASONS = {
    (
        "recipe",
        "high",
    ): "The jackknife is conservative where replicas err independently: the noise of single rows is in the replica part and "
    "again in the example part. Where one or two clusters hold all changed rows, the interval is nearly the whole range.",
    (
        "recipe",
        "low",
    ): "Few replicas contain the extreme one too rarely; then the measure and its standard error are both too small.",
    ("recipe", "above"): "The churn of replicas is skewed, and few replicas show too little of it.",
    (
        "two models",
        "high",
    ): "Counts near zero: the exact bound, and the row added to each count by Bonett and Price, are conservative.",
    (
        "two models",
        "low",
    ): "A handful of rows carries the measure: with one or two changed rows in 1,000, most samples hold too few of them.",
    ("two models", "above"): "Most samples hold too few of the rows that carry the measure.",
    ("difference", "high"): "Three replicas do not show how skewed the churn of replicas is.",
    (
        "noise floor",
        "high",
    ): "Counts of few rows are discrete, and retrains with a shared factor churn unevenly.",
    ("both recipes", "high"): "As with retrains of one recipe.",
    (
        "self-test",
        "low",
    ): "The jackknife over a handful of models shows too little of how skewed the share is.",
    ("self-test", "high"): "Every pair of retrains shares its models with others, so the interval is wide.",
    ("self-test", "above"): "As for low coverage.",
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
    if "both recipes" in parts:
        for world in launches.FLOORS:
            yield from launches.both_recipes(world, some, seed)
    if "self-test" in parts:
        for world in launches.SELF_TESTS:
            yield from launches.gate_self_test(world, few // 2, seed)
    if "slices" in parts:
        yield from launches.slices(few, seed)
    if "planning" in parts:
        yield from launches.planning(some, seed)


def sections(found: list[Cell], seed: int) -> dict[str, str]:
    """The table of each part with the reasons for what falls short, and what each world is, by heading."""
    made = f"Made on {datetime.date.today()} with seed {seed}."
    of = {part: [c for c in found if c.part == part] for part in PARTS}
    parts = {PARTS[part]: "\n".join([made, *_table(own), "", *_reasons(own)]) for part, own in of.items() if own}
    return parts | {"Worlds": "\n".join([*[f"- **{w.name}**: {w.meaning}" for w in WORLDS], ""])}


def markdown(parts: dict[str, str]) -> str:
    """The parts, in their order."""
    head = [
        "Shares are percentages of the trials. At 95 % the error of simulation is ± 1.4 pp with 1,000 trials and ± 2.5 pp with 300.",
        "**Bold**: the target is missed by more than two standard errors.",
        "",
    ]
    order = [title for title in (*PARTS.values(), "Worlds") if title in parts]
    return "\n".join([*head, *[f"### {title}\n\n{parts[title]}" for title in order]])


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
    held = dict.fromkeys(str(c.target) for c in found if c.above is not None and str(c.target) != "–")
    but = "; none at M = 3" if found[0].part == "recipe" else ""
    with_ends = f"Two numbers in brackets: truth below / above the interval. Target of coverage: {', '.join(held)}{but}."
    targets = dict.fromkeys(
        f"{c.question.replace('_', ' ')}: {c.target}" for c in found if c.above is None and str(c.target) != "–"
    )
    said = [with_ends] if held else []
    return [*said, *([f"Targets: {'; '.join(targets)}."] if targets else []), "", *lines]


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
            lines.append(
                f"- {len(own)} of {len(found)} cells {'is' if len(own) == 1 else 'are'} {word} ({where}). {REASONS[own[0].part, verdict]}"
            )
    return [*lines, ""]


def write(path: Path, parts: dict[str, str]) -> None:
    """Put parts between the markers of a page; its other parts stay."""
    text = path.read_text()
    if not (marked := MARKED.search(text)):
        raise SystemExit(f"{path}: no markers <!-- coverage:begin --> and <!-- coverage:end -->")
    kept = dict(re.findall(r"^### (.*)\n\n((?:(?!^### ).*\n)*)", marked[0].removesuffix(marked[2]), re.MULTILINE))
    kept = {title: body.rstrip("\n") + "\n" for title, body in kept.items()}
    path.write_text(MARKED.sub(lambda m: f"{m[1]}\n{markdown(kept | parts)}\n{m[2]}", text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=600, help="of a cell; comparisons of files take a half or a fifth of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; may be repeated")
    parser.add_argument("--json", action="store_true", help="print the cells as JSON")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the parts between the markers of a page")
    options = parser.parse_args()
    found: list[Cell] = []
    for part in options.part or PARTS:
        for cell in cells(options.trials, options.seed, [part]):
            if not found or (cell.part, cell.world) != (found[-1].part, found[-1].world):
                print(f"{cell.part}: {cell.world}", file=sys.stderr)
            found.append(cell)
        if options.write:
            write(options.write, sections(found, options.seed))
    if options.json:
        print(json.dumps([{**asdict(c), "verdict": c.verdict} for c in found], indent=1))
    else:
        print(markdown(sections(found, options.seed)))


if __name__ == "__main__":
    main()
