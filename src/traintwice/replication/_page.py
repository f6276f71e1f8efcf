"""The page of a study of functions or commands: its sheets, and what the trainings logged."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from traintwice.tables import Sheet

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


def page(title: str, sheets: Sequence[Sheet], logged: Logged) -> str:
    """The page as HTML; charts of the logged values need the extra ``report``."""
    parts = [sheet.to_html() for sheet in sheets]
    if logged:
        parts.append(f"<h2>Logged by the trainings</h2>\n{_charts(logged)}")
    return PAGE.format(title=escape(title), body="\n<hr>\n".join(parts))


def _charts(logged: Logged) -> str:
    """A chart of each name, or the way to have them."""
    if any(importlib.util.find_spec(name) is None for name in ("altair", "vl_convert")):
        return f"<p>Logged: {escape(', '.join(logged))}. Charts need the extra report: pip install 'traintwice[report]'</p>"
    from traintwice.report._curves import over_training
    from traintwice.report._document import embedded

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
