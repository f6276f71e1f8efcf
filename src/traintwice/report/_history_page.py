"""The page of the launches of a ledger over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from traintwice._formatting import value_of, visible, with_interval
from traintwice.compare._ledger import History, Launch
from traintwice.report._comparison_charts import BLUE, ORANGE, unique
from traintwice.report._document import Card, render
from traintwice.report._style import INK, QUIET, Figure, bounds, drawn
from traintwice.tables._gate import CONCERNS
from traintwice.tables._kept import history_sheet, launches_table, quality_of
from traintwice.types import Estimate

TITLES = {
    "churn": "Churn",
    "regression_difference": "Difference of predictions",
    "negative_flips": "Rows right → wrong",
    "accuracy": "Change of accuracy",
}
"""Measures that are drawn, in the order of the page."""


def page(found: History) -> str:
    """The whole page: the last launch, a chart for each measure that has values, and the table."""
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
    )


def cards_of_launch(launch: Launch) -> list[Card]:
    """Gate, quality, regressions and disagreement of one launch; what it does not have is left out."""
    cards = []
    if launch.outcome is not None:
        over = [visible(c.budget) for c in launch.checks if c.outcome != "kept"]
        kept = f"{len(launch.checks) - len(over):,} of {len(launch.checks):,} budgets kept"
        parts = (kept, *([f"not kept: {', '.join(over[:3])}{', …' if len(over) > 3 else ''}"] if over else []))
        cards.append(Card("Gate", launch.outcome, CONCERNS[launch.outcome], parts=parts))
    if (quality := quality_of(launch)) is not None:
        cards.append(Card("Quality", value=quality[1], parts=(f"change of {quality[0]}",)))
    for title, name, what, unit in (
        ("Regressions", "negative_flips", "of labelled rows right → wrong", "fraction"),
        ("Disagreement", "churn", "churn", "fraction"),
        ("Disagreement", "regression_difference", "difference of predictions", "number"),
    ):
        if name in launch.numbers:
            floor = launch.floors.get(name)
            against = () if floor is None else (f"noise floor {value_of(floor, unit)}",)
            cards.append(Card(title, value=with_interval(launch.numbers[name], unit), parts=(what, *against)))
    return cards


def launches_chart(found: History, name: str) -> Figure | None:
    """A measure of each launch with its interval, its noise floor, and the limits of budgets on it; None where no launch has it."""
    number = name == "regression_difference"
    scale, unit = (1, "") if number else (100, " (pp)" if name == "accuracy" else " (%)")
    numbers = [(launch, (launch.quality if name == "accuracy" else launch.numbers).get(name)) for launch in found.launches]
    known = [(launch, e) for launch, e in numbers if e is not None]
    if not known:
        return None
    labels = unique([launch.date[:16].replace("T", " ") for launch, _ in known])
    records = [{"launch": label, **_record(launch, name, e, scale)} for label, (launch, e) in zip(labels, known, strict=True)]
    checks = [c for c in found.launches[-1].checks if c.budget == name]  # budgets on a measure of all rows
    limits = [{"limit": scale * limit} for c in checks for limit in (c.max, c.min) if limit is not None]
    title = f"{TITLES[name].lower()}{unit}"
    text = f"{TITLES[name]} of {len(records)} launches, the last {records[-1]['value']:.3g}{unit}."

    def draw(width: int) -> Any:
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
        return alt.layer(*layers).properties(width=width, height=220)

    return drawn(f"launches-{name.replace('_', '-')}", text, draw, (620,), (240,), {"launches": records, "limits": limits})


def _record(launch: Launch, name: str, e: Estimate, scale: float) -> dict[str, Any]:
    models = f"{visible(launch.old.name)} → {visible(launch.new.name)}"
    record = {"models": models, "value": scale * e.value, **bounds(e, scale), "outcome": launch.outcome or "no gate"}
    return record | ({"floor": scale * launch.floors[name]} if name in launch.floors else {})


def _reading(figure: Figure) -> str:
    records, limits = figure.wide["datasets"]["launches"], figure.wide["datasets"]["limits"]
    parts = [
        "Points with intervals are launches",
        "orange where the gate is over" if any(r["outcome"] == "over" for r in records) else "",
    ]
    parts.append("a black tick is the noise floor" if any("floor" in r for r in records) else "")
    parts.append("dashed lines are the limits of the last launch's budgets" if limits else "")
    return f"{'; '.join(part for part in parts if part)}."
