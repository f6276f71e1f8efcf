"""Run tables and figures of the papers and keep what came out, and make docs/papers.md from what is kept.

python docs/papers.py --run ad.table1 --run churn.table1 --date 2026-11-22   # runs (or reads the store), writes the evidence
python docs/papers.py --pages                                               # rewrites docs/papers.md from the evidence alone
"""

from __future__ import annotations

import datetime
import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from refresh import written

from traintwice import metrics
from traintwice.formatting import decimals_for, format_cell
from traintwice.papers import ARTEFACTS, Reproduced, reproduce
from traintwice.papers.beside import BesideTable
from traintwice.papers.cost import in_words
from traintwice.processes import cores

DOCS = Path(__file__).resolve().parent
EVIDENCE = DOCS.parent / "src" / "traintwice" / "papers" / "evidence"
PAGE = DOCS / "papers.md"


def evidence(done: Reproduced, seconds: float, date: str) -> dict[str, Any]:
    """What is kept of a table: when, how long, what came out."""
    environment = [p.results.environment() for p in done.parts]
    training = sum(found["training_seconds"] for found in environment)
    return {
        "schema": 1,
        "artefact": done.artefact.name,
        "scale": done.scale,
        "date": date,
        "took": f"{in_words(max(seconds, training / cores()))} ({training / 60:.0f} minutes of training)",
        "where": f"{cores()} cores",
        "said": said(done),
        "chosen": {p.part.name: dict(p.chosen) for p in done.parts},
        "tables": [table.to_dict() for table in done.tables],
        "versions": environment[0]["versions"] if environment else [],
    }


def said(done: Reproduced) -> str:
    """One line of what came out: churn, of a stream relative PD, of the first row and of the row that has least of it."""
    lines = [] if done.parts else ["drawn from a formula"]
    for p in done.parts:
        measure = metrics.churn if p.results.data.places is None else metrics.relative_pairwise
        found = {row: p.results.estimate(measure, row) for row in p.results.rows}
        known = {row: e for row, e in found.items() if e is not None}
        first = p.results.baseline.name
        if first not in known:
            lines.append(f"{p.part.heading}: nothing to report")
            continue
        rows, unit = (first, min(known, key=lambda row: known[row].value)), measure.definition.unit
        first, least = (f"{format_cell(known[row], unit, decimals_for([known[row]], unit))} (“{row}”)" for row in rows)
        lines.append(f"{p.part.heading}: {measure.definition.title} {first}; the least, not tested, {least}")
    return "; ".join(lines)


def page() -> str:
    """All tables that were run, and the commands of those that were not."""
    kept = {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in EVIDENCE.glob("*.json")}
    lines = [HEAD, "| name | shows | last run at small scale | took |", "| --- | --- | --- | --- |"]
    for name, artefact in ARTEFACTS.items():
        found = kept.get(f"{name}.small")
        lines.append(f"| `{name}` | {artefact.title} | {found['date'] if found else '–'} | {found['took'] if found else '–'} |")
    lines.append("")
    for name in ARTEFACTS:
        found = kept.get(f"{name}.small")
        if found is None or not found["tables"]:
            continue
        head = f"`traintwice run {name}`, {found['date']}, {found['took']} on {found['where']}."
        lines += [f"## {name}", "", f"{head} {found['said']}.", ""]
        lines += [BesideTable.from_dict(table).to_markdown() for table in found["tables"]]
    return "\n".join(lines).rstrip() + "\n"


HEAD = """# The papers' tables and figures

Each table and figure of both papers has a name; `traintwice run NAME` makes it at a scale that two cores train within an hour,
and `traintwice run NAME --scale paper` with the printed settings, which wants the real data and a GPU. `--part digits` runs one
data set only, and the same command goes on where it was interrupted. What comes out is a table in the paper's order of columns,
with the paper's numbers small beneath ours, as Markdown, LaTeX and JSON, and figures as SVG and PNG.

AD is "Anti-Distillation: Improving Reproducibility of Deep Networks", CH is "On the Reproducibility of Neural Network
Predictions". The paper's numbers are of other data and other networks, so only the order of rows may be compared. At small scale
digits stand for CIFAR-10 and MNIST-5k for CIFAR-100; for ImageNet the tables have a residual network that is trained for 52 steps,
to see that all of it runs, and the figures digits; AD Tables 1 and 2 add Fashion-MNIST where its files are
(`traintwice fetch FashionMNIST`). Where a weight is
chosen from a grid it is chosen on other replicas and on the validation split; CH picked the smallest churn on the
runs that it reports.
"""


def main() -> None:
    """Run, keep, make the page."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", action="append", default=[], choices=list(ARTEFACTS))
    parser.add_argument("--pages", action="store_true", help="from what is kept alone")
    parser.add_argument("--store", type=Path, default=DOCS.parent / "traintwice-runs")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="on which it was run")
    options = parser.parse_args()
    EVIDENCE.mkdir(exist_ok=True)
    for name in options.run:
        start = time.monotonic()
        done = reproduce(ARTEFACTS[name], store=options.store)
        kept = evidence(done, time.monotonic() - start, options.date)
        (EVIDENCE / f"{name}.small.json").write_text(written(kept) + "\n")
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
