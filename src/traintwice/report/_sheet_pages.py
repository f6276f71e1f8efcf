"""Pages of a chain of retrains and of a search for weights: cards, one chart, and the tables of their sheets."""

from __future__ import annotations

from typing import Any

import altair as alt
import tomli_w

from traintwice import metrics
from traintwice._formatting import change, with_interval
from traintwice.compare._estimates import Difference
from traintwice.report._document import Card, render
from traintwice.report._style import Figure, bounds, by_row, drawn
from traintwice.study import ChainResults, Tuned
from traintwice.types import Estimate

CHAIN_PANELS = {
    "churn": "churn against the day before (%)",
    "drift": "churn against day 0 (%)",
    "floor": "churn between chains (%)",
    "accuracy": "next-day accuracy (%)",
}

SEARCH_PANELS = ("accuracy (%)", "calibration error (%)", "log loss")


def chain_page(found: ChainResults) -> str:
    """Churn and accuracy of a chain of retrains, day by day."""
    title = f"{found.chain.name}: how far do daily retrains drift?"
    toml = tomli_w.dumps(found.chain.to_dict())
    return _page(found, drift_of_chain(found), cards_of_chain(found), title, "chain of retrains", toml)


def search_page(found: Tuned) -> str:
    """The front of a search: accuracy against churn against calibration."""
    title = f"{found.tuning.study.name}: accuracy, churn and calibration by setting"
    return _page(found, front_of_search(found), cards_of_search(found), title, "search for weights", found.toml())


def _page(found: ChainResults | Tuned, figure: Figure, cards: list[Card], title: str, kicker: str, toml: str) -> str:
    values = {"sheet": found.sheet(), "chart": figure.name, "cards": cards, "title": title, "kicker": kicker, "toml": toml}
    return render("sheet.html.j2", [figure], **values)


def drift_of_chain(found: ChainResults) -> Figure:
    """A panel for each measure: one line for each way, with the intervals as bars."""
    records = [
        {"way": w.way, "day": d.day, "measure": title, **_rounded(_percent(value))}
        for w in found.ways
        for d in w.days
        for key, title in CHAIN_PANELS.items()
        if (value := getattr(d, key)) is not None
    ]
    ways = [w.way for w in found.ways]
    listed = "; ".join(f"{w.way}: {100 * w.churn.value:.2f} % a day, {100 * w.drift.value:.2f} % from day 0" for w in found.ways)
    text = f"Churn and accuracy along the chain, one line for each way of retraining. {listed}."

    def draw(columns: int, width: int, height: int) -> Any:
        colour, shape, _ = by_row(ways, "way:N", alt.Legend(title=None, orient="top"))
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
        return _faceted(layered, "measure:N", list(CHAIN_PANELS.values()), columns)

    return drawn("chain", text, draw, (2, 340, 180), (1, 260, 150), {"days": records})


def cards_of_chain(found: ChainResults) -> list[Card]:
    """One card for each way of retraining: its daily churn, compared with that of the first way."""
    cards = []
    for w in found.ways:
        parts = [f"churn a day; from day 0: {with_interval(w.drift, 'fraction')}"]
        answer, concern = "", ""
        if w.change is not None:
            answer, concern = _answer(w.change)
            parts.append(f"difference from {found.ways[0].way}: {change(w.change.estimate, 'fraction')}")
        cards.append(Card(w.way, answer, concern, with_interval(w.churn, "fraction"), tuple(parts)))
    return cards


def front_of_search(found: Tuned) -> Figure:
    """Three panels with churn across: accuracy, calibration error and log loss, one point for each row, with intervals as crosses."""
    results, records = found.results, []
    for row in results.rows:
        churn = _percent(results.estimate(metrics.churn, row))
        across = {"churn": churn["value"], "churn_low": churn["low"], "churn_high": churn["high"]}
        numbers = (
            _percent(results.estimate(metrics.accuracy, row)),
            dict.fromkeys(("value", "low", "high"), 100 * found.calibration(row)),
            _percent(results.estimate(metrics.log_loss, row), 1),
        )
        for panel, values in zip(SEARCH_PANELS, numbers, strict=True):
            records.append({"recipe": row, "panel": panel, **_rounded(across | values)})
    rows = list(results.rows)
    listed = "; ".join(
        f"{r['recipe']}: churn {r['churn']:.2f} %, accuracy {r['value']:.2f} %" for r in records if r["panel"] == SEARCH_PANELS[0]
    )
    text = f"Accuracy, calibration error and log loss against churn, one point for each setting. {listed}."

    def draw(columns: int, width: int, height: int) -> Any:
        colour, shape, _ = by_row(rows, legend=alt.Legend(title=None, orient="top", columns=columns, labelLimit=300))
        x = alt.X("churn:Q", title="churn (%)", scale=alt.Scale(zero=False))
        y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
        base = alt.Chart()
        tooltip = [alt.Tooltip("recipe:N"), *(alt.Tooltip(f"{n}:Q", format=".3f") for n in ("churn", "value", "low", "high"))]
        layers = (
            base.mark_rule(opacity=0.45, aria=False).encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour),
            base.mark_rule(opacity=0.45, aria=False).encode(x=alt.X("churn_low:Q"), x2="churn_high:Q", y=y, color=colour),
            base.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
        )
        layered = alt.layer(*layers, data=alt.NamedData("front")).properties(width=width, height=height)
        return _faceted(layered, "panel:N", list(SEARCH_PANELS), columns)

    return drawn("front", text, draw, (3, 240, 200), (1, 260, 180), {"front": records})


def cards_of_search(found: Tuned) -> list[Card]:
    """The setting that was chosen, and its churn and accuracy against the baseline."""
    if found.chosen is None:
        return [
            Card(
                "Setting", "none keeps the accuracy", "inconclusive", parts=("leave the study as it is, or search other ranges",)
            )
        ]
    cards = [Card("Setting", found.chosen, parts=tuple(found.toml().strip().splitlines()))]
    for measure, better in ((metrics.churn, "lower"), (metrics.accuracy, "higher")):
        difference = found.results.compare(measure)[found.chosen]
        answer, concern = _answer(difference, better=better)
        about = (f"against {found.results.baseline.name}",)
        cards.append(Card(measure.definition.title.capitalize(), answer, concern, change(difference.estimate, "fraction"), about))
    return cards


def _answer(difference: Difference, *, better: str = "lower") -> tuple[str, str]:
    """A paired difference in a word, and its concern: "lower" or "higher" if significant."""
    if not difference.significant:
        return "inconclusive", "inconclusive"
    word = "lower" if difference.estimate.value < 0 else "higher"
    return f"significantly {word}", "fine" if word == better else "problem"


def _faceted(chart: Any, field: str, panels: list[str], columns: int) -> Any:
    """A panel for each measure, with axes of its own."""
    facet = alt.Facet(field, sort=panels, header=alt.Header(title=None))
    return chart.facet(facet, columns=columns).resolve_scale(y="independent").resolve_axis(x="independent")


def _percent(estimate: Estimate | None, scale: float = 100.0) -> dict[str, float]:
    """Value and bounds; zeros without an estimate."""
    if estimate is None:
        return dict.fromkeys(("value", "low", "high"), 0.0)
    return {"value": scale * estimate.value, **bounds(estimate, scale)}


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 4) for name, number in numbers.items()}
