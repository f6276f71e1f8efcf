"""Pages of a chain of retrains, of a search for weights and of a ledger: cards, charts, and the tables of their sheets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import tomli_w

from traintwice import metrics
from traintwice._formatting import change, value_of, visible, with_interval
from traintwice.compare._estimates import Difference
from traintwice.compare._ledger import History, Launch
from traintwice.report._comparison_charts import BLUE, ORANGE, unique
from traintwice.report._document import Card, render
from traintwice.report._style import INK, QUIET, Figure, bounds, by_row, drawn, faceted, numbers
from traintwice.tables._gate import CONCERNS, history_sheet, launches_table, quality_of
from traintwice.types import Estimate

if TYPE_CHECKING:
    from traintwice.study import ChainResults, Tuned

CHAIN_PANELS = {
    "churn": "churn against the day before (%)",
    "drift": "churn against day 0 (%)",
    "floor": "churn between chains (%)",
    "accuracy": "next-day accuracy (%)",
}

SEARCH_PANELS = ("accuracy (%)", "calibration error (%)", "log loss")

TITLES = {
    "churn": "Churn",
    "regression_difference": "Difference of predictions",
    "negative_flips": "Rows right → wrong",
    "accuracy": "Change of accuracy",
}
"""Measures that are drawn, in the order of the page."""


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
        tooltip = [alt.Tooltip("way:N"), alt.Tooltip("day:Q"), *numbers(".2f", "value", "low", "high")]
        bars = (
            alt.Chart().mark_rule(opacity=0.45, aria=False).encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour)
        )
        lines = alt.Chart().mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour)
        points = alt.Chart().mark_point(filled=True, size=40).encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip)
        layered = alt.layer(bars, lines, points, data=alt.NamedData("days"), width=width, height=height)
        return faceted(layered, "measure:N", list(CHAIN_PANELS.values()), columns, width).resolve_scale(y="independent")

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
        of_panels = (
            _percent(results.estimate(metrics.accuracy, row)),
            dict.fromkeys(("value", "low", "high"), 100 * found.calibration(row)),
            _percent(results.estimate(metrics.log_loss, row), 1),
        )
        for panel, values in zip(SEARCH_PANELS, of_panels, strict=True):
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
        tooltip = [alt.Tooltip("recipe:N"), *numbers(".3f", "churn", "value", "low", "high")]
        layers = (
            base.mark_rule(opacity=0.45, aria=False).encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour),
            base.mark_rule(opacity=0.45, aria=False).encode(x=alt.X("churn_low:Q"), x2="churn_high:Q", y=y, color=colour),
            base.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
        )
        layered = alt.layer(*layers, data=alt.NamedData("front"), width=width, height=height)
        return faceted(layered, "panel:N", SEARCH_PANELS, columns, width).resolve_scale(y="independent")

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


def _percent(estimate: Estimate | None, scale: float = 100.0) -> dict[str, float]:
    """Value and bounds; zeros without an estimate."""
    if estimate is None:
        return dict.fromkeys(("value", "low", "high"), 0.0)
    return {"value": scale * estimate.value, **bounds(estimate, scale)}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def history_page(found: History) -> str:
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
        charts=[(figure.name, TITLES[name], _how_to_read(figure)) for name, figure in figures.items()],
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
    every = ((launch, (launch.quality if name == "accuracy" else launch.numbers).get(name)) for launch in found.launches)
    known = [(launch, e) for launch, e in every if e is not None]
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
            *numbers(".3g", value=title, low="from", high="to"),
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
        return alt.layer(*layers, width=width, height=220)

    return drawn(f"launches-{name.replace('_', '-')}", text, draw, (620,), (240,), {"launches": records, "limits": limits})


def _record(launch: Launch, name: str, e: Estimate, scale: float) -> dict[str, Any]:
    models = f"{visible(launch.old.name)} → {visible(launch.new.name)}"
    record = {"models": models, "value": scale * e.value, **bounds(e, scale), "outcome": launch.outcome or "no gate"}
    return record | ({"floor": scale * launch.floors[name]} if name in launch.floors else {})


def _how_to_read(figure: Figure) -> str:
    records, limits = figure.wide["datasets"]["launches"], figure.wide["datasets"]["limits"]
    further = {
        "orange where the gate is over": any(r["outcome"] == "over" for r in records),
        "a black tick is the noise floor": any("floor" in r for r in records),
        "dashed lines are the limits of the last launch's budgets": bool(limits),
    }
    return f"{'; '.join(['Points with intervals are launches', *(part for part, shown in further.items() if shown)])}."
