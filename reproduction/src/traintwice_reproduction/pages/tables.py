"""Kept results of the tables and figures, and docs/papers.md made from them."""

from __future__ import annotations

from typing import Any

from traintwice import metrics
from traintwice.formatting import decimals_for, format_cell
from traintwice.processes import cores
from traintwice_reproduction.kept import DOCS, KEPT, read
from traintwice_reproduction.tables import ARTEFACTS, Reproduced
from traintwice_reproduction.tables.cost import in_words
from traintwice_reproduction.tables.side_by_side import Pair, PaperTable

FOLDER = KEPT / "tables"
PAGE = DOCS / "papers.md"


def evidence(done: Reproduced, seconds: float, date: str) -> dict[str, Any]:
    """What is kept of a table: date, duration, results."""
    environment = [p.results.environment() for p in done.parts]
    training = sum(found["training_seconds"] for found in environment)
    return {
        "schema": 1,
        "artefact": done.artefact.name,
        "scale": done.scale,
        "date": date,
        "took": f"{in_words(max(seconds, training / cores()))} ({training / 60:.0f} minutes of training)",
        "where": f"{cores()} cores",
        "said": outcome(done),
        "chosen": {p.part.name: dict(p.chosen) for p in done.parts},
        "tables": [table.to_dict() for table in done.tables],
        "versions": environment[0]["versions"] if environment else [],
    }


def outcome(done: Reproduced) -> str:
    """One line: churn (on a stream relative PD) of the first row and of the row with the least."""
    lines = [] if done.parts else ["drawn from a formula"]
    for p in done.parts:
        measure = metrics.churn if p.results.data.places is None else metrics.relative_pairwise
        found = {row: p.results.estimate(measure, row) for row in p.results.rows}
        known = {row: e for row, e in found.items() if e is not None}
        first = p.results.baseline.name
        if first not in known:
            lines.append(f"{p.part.heading}: no value")
            continue
        rows, unit = (first, min(known, key=lambda row: known[row].value)), measure.definition.unit
        first, least = (f"{format_cell(known[row], unit, decimals_for([known[row]], unit))} (“{row}”)" for row in rows)
        lines.append(f"{p.part.heading}: {measure.definition.title} {first}; lowest, without a test, {least}")
    return "; ".join(lines)


def page() -> str:
    """The whole page."""
    kept = {path.name.removesuffix(".json"): read(path) for path in FOLDER.glob("*.json")}
    tables = {name: [PaperTable.from_dict(table) for table in found["tables"]] for name, found in kept.items()}
    lines = [
        HEAD,
        *([SYMMETRIC] if any(_symmetric(table) for of in tables.values() for table in of) else []),
        "| name | title | last run at small scale | time |",
        "| --- | --- | --- | --- |",
    ]
    for name, artefact in ARTEFACTS.items():
        found = kept.get(f"{name}.small")
        lines.append(f"| `{name}` | {artefact.title} | {found['date'] if found else '–'} | {found['took'] if found else '–'} |")
    lines.append("")
    for name in ARTEFACTS:
        found = kept.get(f"{name}.small")
        if found is None or not tables[f"{name}.small"]:
            continue
        head = f"`traintwice run {name}`, {found['date']}, {found['took']} on {found['where']}."
        lines += [f"## {name}", "", f"{head} {found['said']}.", ""]
        lines += [table.to_markdown() for table in tables[f"{name}.small"]]
    return "\n".join(lines).rstrip() + "\n"


def _symmetric(table: PaperTable) -> bool:
    """Whether our numbers have symmetric intervals."""
    return any("±" in cell.ours for row in table.rows for cell in row if isinstance(cell, Pair))


HEAD = """# The papers' tables and figures

Each table and figure of both papers has a name. `traintwice run NAME` reproduces it at a scale that two cores train within an hour;
`traintwice run NAME --scale paper` has the printed settings and needs the real data and a GPU. `--part digits` runs one
data set only. An interrupted command continues where it stopped. The result is a table in the paper's order of columns,
with the paper's numbers small below ours, as Markdown, LaTeX and JSON, and figures as SVG and PNG. The studies are in the package
`traintwice-reproduction`, in the folder `reproduction` of this repository; `make demo` installs it.

AD is "Anti-Distillation: Improving Reproducibility of Deep Networks", CH is "On the Reproducibility of Neural Network
Predictions". The paper's numbers are for other data and other networks, so only the order of rows can be compared. At small scale
digits replace CIFAR-10 and MNIST-5k replaces CIFAR-100; for ImageNet the tables have a residual network trained for 52 steps,
which shows that the code runs, and the figures have digits; AD Tables 1 and 2 add Fashion-MNIST where its files are
(`traintwice fetch FashionMNIST`). A weight that is chosen from a grid is chosen on other replicas and on the validation split; CH takes
the smallest churn on the runs that it reports.
"""

SYMMETRIC = """Where a table below has ±, its 95 % intervals are symmetric around the value and ± is half of their width. They
are not the intervals of the present [definitions](definitions.md), which a new run prints as "value (low to high)".
"""
