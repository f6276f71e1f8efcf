"""Kept results of the tables and figures, and the page of the papers made from them."""

from __future__ import annotations

from typing import Any

from traintwice import metrics
from traintwice._formatting import decimals_for, format_cell
from traintwice._processes import cores
from traintwice_reproduction.kept import KEPT, read
from traintwice_reproduction.pages.claims import NOT_RUN
from traintwice_reproduction.tables import ARTEFACTS, Reproduced
from traintwice_reproduction.tables.cost import in_words
from traintwice_reproduction.tables.flags import flags
from traintwice_reproduction.tables.side_by_side import Pair, PaperTable

FOLDER = KEPT / "tables"
EARLIER = "of an earlier version"


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
        "version": done.artefact.version,
        "where": where(environment),
        "said": outcome(done),
        "chosen": {p.part.name: dict(p.chosen) for p in done.parts},
        "tables": [table.to_dict() for table in done.tables],
        "versions": environment[0]["versions"] if environment else [],
    }


def where(environment: list[dict[str, Any]]) -> str:
    """Cores and processors of a run."""
    processors = sorted({str(n["processor"]) for found in environment for n in found["numerics"]})
    return ", ".join([f"{cores()} cores", *processors])


def outcome(done: Reproduced) -> str:
    """One line: churn (on a stream relative PD) of the first row and of the row with the least, flagged rows apart."""
    lines = [] if done.parts else ["drawn from a formula"]
    for p in done.parts:
        measure = metrics.churn if p.results.data.places is None else metrics.relative_pairwise
        found = {row: p.results.estimate(measure, row) for row in p.results.rows}
        flagged = flags(p)
        known = {row: e for row, e in found.items() if e is not None}
        first = p.results.baseline.name
        if first not in known:
            lines.append(f"{p.part.heading}: no value")
            continue
        rows, unit = [row for row in known if row not in flagged], measure.definition.unit
        shown = {row: f"{format_cell(e, unit, decimals_for([e], unit))} (“{row}”)" for row, e in known.items()}
        least = shown[min(rows, key=lambda row: known[row].value)] if rows else "no row to compare"
        lines.append(f"{p.part.heading}: {measure.definition.title} {shown[first]}; lowest, without a test, {least}")
        lines += [f"not compared: “{row}”, {reason}" for row, reason in flagged.items() if row in known]
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
        date = "–" if found is None else found["date"] if is_current(found) else f"{found['date']}, {EARLIER}"
        lines.append(f"| `{name}` | {artefact.title} | {date} | {found['took'] if found else '–'} |")
    lines.append("")
    for name in ARTEFACTS:
        found = kept.get(f"{name}.small")
        if found is None or not tables[f"{name}.small"]:
            continue
        place = found["where"] if "," in found["where"] else f"{found['where']}, processor not recorded"
        head = f"`traintwice run {name}`, {found['date']}, {found['took']} on {place}."
        lines += [f"## {name}", "", f"{head} {found['said']}.", ""]
        lines += [] if is_current(found) else [f"The table has changed since: this is {EARLIER}, and {NOT_RUN}.", ""]
        lines += [table.to_markdown() for table in tables[f"{name}.small"]]
    return "\n".join(lines).rstrip() + "\n"


def is_current(found: dict[str, Any]) -> bool:
    """Whether a kept run is of the rows and recipes of the table as it is now."""
    return bool(found.get("version", 1) == ARTEFACTS[found["artefact"]].version)


def _symmetric(table: PaperTable) -> bool:
    """Whether our numbers have symmetric intervals."""
    return any("±" in cell.ours for row in table.rows for cell in row if isinstance(cell, Pair))


HEAD = """# The papers' tables and figures

Each table and figure of both papers has a name, and so have the comparisons that they report in the text only (`ad.text`,
`churn.text`). `traintwice run NAME` reproduces it at a scale that two cores train within an hour. The result is a table in the paper's
order of columns, with the paper's numbers small below ours, as Markdown, LaTeX and JSON, and figures as SVG and PNG. An interrupted
command continues where it stopped. The studies are in the package `traintwice-reproduction`, in the folder `reproduction` of this
repository; `make demo` installs it.

| option | for |
| --- | --- |
| `--scale paper` | the printed settings, all training pictures, the printed grids of weights; needs the real data and a GPU |
| `--scale extended` | the same with larger grids of weights |
| `--part digits` | one data set only |
| `--set epochs=20`, `--set data.validation=5000` | another value of a setting in every recipe |
| `--device cuda` | a GPU; estimates of the time are for that device |

`traintwice show churn.table2 --scale paper --toml` prints the study file of each part, to edit and run.

AD is "Anti-Distillation: Improving Reproducibility of Deep Networks", CH is "On the Reproducibility of Neural Network
Predictions". The paper's numbers are for other data and other networks, so only the order of rows can be compared. At small scale
digits replace CIFAR-10 and MNIST-5k replaces CIFAR-100; for ImageNet the tables have a residual network trained for 52 steps,
which shows that the code runs, and the figures have digits; AD Tables 1 and 2 add Fashion-MNIST where its files are
(`traintwice fetch FashionMNIST`). A weight that is chosen from a grid is chosen on other replicas: at small scale on the validation split,
at paper scale on the test pictures unless `--set data.validation=N` keeps N training pictures for it. CH takes the smallest churn on
the runs that it reports.

† marks rows whose replicas are copies of one another, constant, or never differ in a label; they are not compared.
"""

SYMMETRIC = """Where a table below has ±, its 95 % intervals are symmetric around the value and ± is half of their width. They
are not the intervals of the present [definitions](../concepts/definitions.md), which a new run prints as "value (low to high)".
"""
