"""The page of the launches of a ledger over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from traintwice._formatting import visible
from traintwice._versions import made_by
from traintwice.compare._ledger import History, Launch
from traintwice.report._cards import cards_of_launch
from traintwice.report._comparison_charts import BLUE, ORANGE, unique
from traintwice.report._document import render
from traintwice.report._style import INK, QUIET, Figure, finish
from traintwice.tables._history import history_sheet, launches_table
from traintwice.types import Estimate

TITLES = {
    "churn": "Churn",
    "regression_difference": "Difference of predictions",
    "negative_flips": "Rows right → wrong",
    "accuracy": "Change of accuracy",
}
"""Measures that are drawn, in the order of the page."""

LEGEND = "Points with intervals are launches"


def page(found: History) -> str:
    """The whole page: the last launch, a chart for each measure that has values, and the table.

    Args:
        found: of a ledger.
    """
    figures = {name: figure for name in TITLES if (figure := launches_chart(found, name)) is not None}
    sheet = history_sheet(found)
    return render(
        "history.html.j2",
        list(figures.values()),
        name=visible(Path(found.path).name),
        facts=sheet.headline,
        verdict=sheet.verdict.removeprefix("Last launch: "),
        cards=cards_of_launch(found.launches[-1]),
        charts=[(figure.name, TITLES[name], _reading(figure)) for name, figure in figures.items()],
        table=launches_table(found),
        notes=sheet.notes,
        made=made_by(),
    )


def launches_chart(found: History, name: str) -> Figure | None:
    """A measure of each launch with its interval, its noise floor, and the limits of budgets on it; None where no launch has it."""
    number = name == "regression_difference"
    scale, unit = (1, "") if number else (100, " (pp)" if name == "accuracy" else " (%)")
    known = [(launch, e) for launch in found.launches if (e := _of(launch, name)) is not None]
    if not known:
        return None
    labels = unique([launch.date[:16].replace("T", " ") for launch, _ in known])
    records = [{"launch": label, **_record(launch, name, e, scale)} for label, (launch, e) in zip(labels, known, strict=True)]
    limits = [{"limit": scale * limit} for limit in _limits(found.launches[-1], name)]
    title = f"{TITLES[name].lower()}{unit}"
    text = f"{TITLES[name]} of {len(records)} launches, the last {records[-1]['value']:.3g}{unit}."

    def draw(width: int) -> dict[str, Any]:
        base = alt.Chart(alt.NamedData("launches")).encode(
            x=alt.X("launch:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45, labelLimit=160, labelOverlap=True))
        )
        y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
        tooltip = [
            alt.Tooltip("launch:N"),
            alt.Tooltip("models:N", title="old → new"),
            alt.Tooltip("value:Q", title=title, format=".3g"),
            alt.Tooltip("low:Q", title="from", format=".3g"),
            alt.Tooltip("high:Q", title="to", format=".3g"),
            alt.Tooltip("outcome:N", title="gate"),
        ]
        colour = alt.condition("datum.outcome == 'over'", alt.value(ORANGE), alt.value(BLUE))
        layers = [
            base.mark_rule(strokeWidth=1.8, aria=False).encode(y=alt.Y("low:Q", title=title), y2="high:Q", color=colour),
            base.mark_point(filled=True, size=60, opacity=1).encode(y=y, color=colour, tooltip=tooltip),
        ]
        if any("floor" in record for record in records):
            layers.append(base.mark_tick(color=INK, thickness=2, size=14).encode(y="floor:Q"))
        if limits:
            rule = alt.Chart(alt.NamedData("limits")).mark_rule(color=QUIET, strokeDash=[3, 3], aria=False)
            layers.append(rule.encode(y="limit:Q"))
        return finish(alt.layer(*layers).properties(width=width, height=220), text, launches=records, limits=limits)

    return Figure(f"launches-{name.replace('_', '-')}", text, draw(620), draw(240))


def _of(launch: Launch, name: str) -> Estimate | None:
    return launch.quality.get(name) if name == "accuracy" else launch.numbers.get(name)


def _record(launch: Launch, name: str, e: Estimate, scale: float) -> dict[str, Any]:
    ends = {side: scale * (e.value if end != end else end) for side, end in (("low", e.low), ("high", e.high))}
    record = {"models": f"{visible(launch.old.name)} → {visible(launch.new.name)}", "value": scale * e.value, **ends}
    record["outcome"] = launch.outcome or "no gate"
    if name in launch.floors:
        record["floor"] = scale * launch.floors[name]
    return record


def _limits(launch: Launch, name: str) -> Sequence[float]:
    """The limits of the last launch's budgets on a measure of all rows."""
    return [limit for c in launch.checks if c.budget == name for limit in (c.max, c.min) if limit is not None]


def _reading(figure: Figure) -> str:
    records, limits = figure.wide["datasets"]["launches"], figure.wide["datasets"]["limits"]
    parts = [LEGEND, "orange where the gate is over" if any(r["outcome"] == "over" for r in records) else ""]
    parts.append("a black tick is the noise floor" if any("floor" in r for r in records) else "")
    parts.append("dashed lines are the limits of the last launch's budgets" if limits else "")
    return f"{'; '.join(part for part in parts if part)}."
