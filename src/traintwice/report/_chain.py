"""The page of a chain of retrains: churn and accuracy, day by day."""

from __future__ import annotations

from typing import Any

import altair as alt

from traintwice._formatting import change, with_interval
from traintwice.report._cards import Card, answer_of
from traintwice.report._style import PALETTE, SHAPES, Figure, finish, marks_of
from traintwice.study import ChainResults
from traintwice.types import Estimate

PANELS = {
    "churn": "churn against the day before (%)",
    "drift": "churn against day 0 (%)",
    "floor": "churn between chains (%)",
    "accuracy": "next-day accuracy (%)",
}


def drift_of_chain(found: ChainResults) -> Figure:
    """A panel for each measure: one line for each way, with the intervals as bars.

    Args:
        found: results of a chain.
    """
    records = [
        {"way": w.way, "day": d.day, "measure": title, **_percent(value)}
        for w in found.ways
        for d in w.days
        for key, title in PANELS.items()
        if (value := getattr(d, key)) is not None
    ]
    ways = [w.way for w in found.ways]
    listed = "; ".join(f"{w.way}: {100 * w.churn.value:.2f} % a day, {100 * w.drift.value:.2f} % from day 0" for w in found.ways)
    text = f"Churn and accuracy along the chain, one line for each way of retraining. {listed}."

    def draw(columns: int, width: int, height: int) -> dict[str, Any]:
        colour = alt.Color(
            "way:N", scale=alt.Scale(domain=ways, range=marks_of(ways, PALETTE)), legend=alt.Legend(title=None, orient="top")
        )
        shape = alt.Shape("way:N", scale=alt.Scale(domain=ways, range=marks_of(ways, SHAPES)), legend=None)
        x = alt.X("day:Q", title="day", axis=alt.Axis(tickMinStep=1))
        y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
        tooltip = [
            alt.Tooltip("way:N"),
            alt.Tooltip("day:Q"),
            *(alt.Tooltip(f"{n}:Q", format=".2f") for n in ("value", "low", "high")),
        ]
        bars = (
            alt.Chart().mark_rule(opacity=0.45, aria=False).encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour)
        )
        lines = alt.Chart().mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour)
        points = alt.Chart().mark_point(filled=True, size=40).encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip)
        layered = alt.layer(bars, lines, points, data=alt.NamedData("days")).properties(width=width, height=height)
        facet = alt.Facet("measure:N", sort=list(PANELS.values()), header=alt.Header(title=None))
        chart = layered.facet(facet, columns=columns).resolve_scale(y="independent").resolve_axis(x="independent")
        return finish(chart, text, days=records)

    return Figure("chain", text, draw(2, 340, 180), draw(1, 260, 150))


def cards_of_chain(found: ChainResults) -> list[Card]:
    """One card for each way of retraining: its daily churn, compared with that of the first way."""
    cards = []
    for w in found.ways:
        parts = [f"churn a day; from day 0: {with_interval(w.drift, 'fraction')}"]
        answer, concern = "", ""
        if w.change is not None:
            answer, concern = answer_of(w.change)
            parts.append(f"difference from {found.ways[0].way}: {change(w.change.estimate, 'fraction')}")
        cards.append(Card(w.way, answer, concern, with_interval(w.churn, "fraction"), tuple(parts)))
    return cards


def _percent(value: Estimate) -> dict[str, float]:
    low, high = (value.value if bound != bound else bound for bound in (value.low, value.high))
    return {"value": round(100 * value.value, 4), "low": round(100 * low, 4), "high": round(100 * high, 4)}
