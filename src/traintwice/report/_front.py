"""The front of a search: accuracy against churn against calibration."""

from __future__ import annotations

from typing import Any

import altair as alt

from traintwice import metrics
from traintwice._formatting import change
from traintwice.report._cards import Card, answer_of
from traintwice.report._style import PALETTE, SHAPES, Figure, finish, marks_of
from traintwice.study import Tuned

PANELS = ("accuracy (%)", "calibration error (%)", "log loss")


def front_of_search(found: Tuned) -> Figure:
    """Three panels with churn across: accuracy, calibration error and log loss, one point for each row, with intervals as crosses.

    Args:
        found: what a search found.
    """
    results, records = found.results, []
    for row in results.rows:
        churn = _percent(results.estimate(metrics.churn, row), 100)
        for panel, values in zip(
            PANELS,
            (
                _percent(results.estimate(metrics.accuracy, row), 100),
                (100 * found.calibration(row),) * 3,
                _percent(results.estimate(metrics.log_loss, row), 1),
            ),
            strict=True,
        ):
            numbers = dict(zip(("churn", "churn_low", "churn_high", "value", "low", "high"), (*churn, *values), strict=True))
            records.append({"recipe": row, "panel": panel, **{name: round(number, 4) for name, number in numbers.items()}})
    rows = list(results.rows)
    listed = "; ".join(
        f"{r['recipe']}: churn {r['churn']:.2f} %, accuracy {r['value']:.2f} %" for r in records if r["panel"] == PANELS[0]
    )
    text = f"Accuracy, calibration error and log loss against churn, one point for each setting. {listed}."

    def draw(columns: int, width: int, height: int) -> dict[str, Any]:
        legend = alt.Legend(title=None, orient="top", columns=columns, labelLimit=300)
        colour = alt.Color("recipe:N", scale=alt.Scale(domain=rows, range=marks_of(rows, PALETTE)), legend=legend)
        shape = alt.Shape("recipe:N", scale=alt.Scale(domain=rows, range=marks_of(rows, SHAPES)), legend=None)
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
        facet = alt.Facet("panel:N", sort=list(PANELS), header=alt.Header(title=None))
        chart = layered.facet(facet, columns=columns).resolve_scale(y="independent").resolve_axis(x="independent")
        return finish(chart, text, front=records)

    return Figure("front", text, draw(3, 240, 200), draw(1, 260, 180))


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
        answer, concern = answer_of(difference, better=better)
        about = (f"against {found.results.baseline.name}",)
        cards.append(Card(measure.definition.title.capitalize(), answer, concern, change(difference.estimate, "fraction"), about))
    return cards


def _percent(estimate: Any, times: float) -> tuple[float, float, float]:
    """Value and bounds; the value where there is no bound or no estimate."""
    if estimate is None:
        return (0.0, 0.0, 0.0)
    low, high = (estimate.value if bound != bound else bound for bound in (estimate.low, estimate.high))
    return (times * estimate.value, times * low, times * high)
