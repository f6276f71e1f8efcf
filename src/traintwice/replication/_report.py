"""The table and the page of a study of functions or commands: its sheets, and what the trainings logged."""

from __future__ import annotations

import importlib.util
import math
import statistics
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traintwice._files import write_whole
from traintwice.compare import Against
from traintwice.errors import StoreError, TooFewReplicas, TraintwiceError
from traintwice.metrics._identical import identical_in_words
from traintwice.tables import Column, Line, Row, Sheet, Table
from traintwice.tables._sheet import Cell
from traintwice.tables._words import sentence

if TYPE_CHECKING:
    from traintwice.replication._results import Replication

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; margin: 1rem 0 }} td, th {{ padding: .2rem .8rem .2rem 0; text-align: left }}
caption {{ text-align: left; color: #555 }}</style>
{body}
</html>
"""

MOST_POINTS = 400
"""Points of a line on the page; a longer log is thinned evenly."""

Logged = dict[str, dict[str, dict[int, list[tuple[int, float]]]]]
"""Name to recipe to replica to its steps and values."""


def logged_values(records: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> Logged:
    """What `Run.log` recorded. Values that are not finite are left out.

    >>> logged_values({"base": {0: {"history": [{"step": 5, "loss": 0.5}]}}})
    {'loss': {'base': {0: [(5, 0.5)]}}}
    """
    found: Logged = {}
    for recipe, replicas in records.items():
        for replica, record in replicas.items():
            for entry in record["history"]:
                for name, value in entry.items():
                    if name != "step" and math.isfinite(value):
                        points = found.setdefault(name, {}).setdefault(recipe, {}).setdefault(replica, [])
                        points.append((entry["step"], float(value)))
    return found


def sheet_of(found: Replication) -> Sheet:
    """One row for each recipe: accuracy, churn, finished replicas, seconds and costs of a replica; then the failures."""
    stated = sorted(
        {name for of_recipe in found.records.values() for record in of_recipe.values() for name in record.get("costs", {})}
    )
    columns = (
        Column("accuracy", "accuracy", "fraction"),
        Column("churn", "churn", "fraction"),
        Column("replicas", "replicas", "text"),
        Column("seconds", "seconds per replica", "text"),
        *(Column(f"cost {name}", f"{name} per replica", "text") for name in stated),
    )
    rows, warnings = [], []
    for recipe in found.recipes:
        records = found.records.get(recipe, {})
        cells: dict[str, Cell] = {"replicas": f"{len(records)} of {found.wanted}"}
        if records:
            cells["seconds"] = f"{statistics.mean(record['seconds'] for record in records.values()):.3g}"
            for name in stated:
                amounts = [record["costs"][name] for record in records.values() if name in record.get("costs", {})]
                cells[f"cost {name}"] = f"{statistics.mean(amounts):.3g}" if amounts else ""
        try:
            measured = found.measure(recipe, which=["churn", "accuracy"])
            cells |= {name: measured[name] for name in ("accuracy", "churn") if name in measured}
            warnings += [("Warning", sentence(clause)) for clause in identical_in_words(measured.identical)]
        except TooFewReplicas:
            pass
        except TraintwiceError as error:
            warnings.append(("Not measured", f"{recipe}: {error}"))
        rows.append(Row(recipe, cells))
    lines = tuple(Line(where, "failed", reason) for where, reason in found.failures_together())
    finished = sum(map(len, found.records.values()))
    headline = f"{finished} of {found.wanted * len(found.recipes)} replicas · {found.store}"
    return Sheet(headline, "", lines, tuple(warnings), (Table("", columns, tuple(rows)),))


def write_page(found: Replication, out: Path, against: Against | None) -> Path:
    """Write the page; charts of the logged values need the extra ``report``."""
    sheets = [found.sheet(), *([] if against is None else [against.sheet()])]
    with suppress(TooFewReplicas):
        sheets += [comparison.sheet() for comparison in found.compare().values()]
    for recipe in found.recipes:
        with suppress(TooFewReplicas):
            sheets.append(found.measure(recipe).sheet())
    body = [sheet.to_html() for sheet in sheets]
    if logged := logged_values(found.records):
        body.append(f"<h2>Logged by the trainings</h2>\n{_charts(logged)}")
    text = PAGE.format(title=escape(f"Replicas in {found.store.name}"), body="\n<hr>\n".join(body))
    path = out / "index.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written there ({error.strerror})") from None
    return path


def _charts(logged: Logged) -> str:
    """A chart of each name, or the way to have them."""
    if any(importlib.util.find_spec(name) is None for name in ("altair", "vl_convert")):
        return f"<p>Logged: {escape(', '.join(logged))}. Charts need the extra report: pip install 'traintwice[report]'</p>"
    from traintwice.report._document import embedded
    from traintwice.report._panels import over_training

    return embedded(
        over_training(
            {recipe: {m: _thinned(points) for m, points in replicas.items()} for recipe, replicas in recipes.items()},
            f"logged-{number}",
            value=name,
            along="step",
        )
        for number, (name, recipes) in enumerate(sorted(logged.items()))
    )


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MOST_POINTS` points in the order of their steps; the last one stays."""
    ordered = sorted(points)
    apart = -(-len(ordered) // MOST_POINTS)
    return ordered[(len(ordered) - 1) % apart :: apart]
