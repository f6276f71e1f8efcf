"""Charts with one panel for each recipe: churn by confidence, along a stream, between pairs of replicas, and training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from traintwice import metrics
from traintwice.metrics._definition import to_numpy
from traintwice.report._style import INK, PALETTE, QUIET, Figure, by_row, drawn, faceted, numbers, span_of_most

if TYPE_CHECKING:
    from traintwice.study import ProgressiveFindings, Results

BINS = 10
"""Bins of churn by confidence."""

MOST_REPLICAS = 30
"""Replicas of the matrix of pairs; the first ones are shown."""

LIGHT_TO_DARK = ["#f4f7fa", "#c6dbeb", "#7fb2d5", "#2f7fb3", "#0b4a78"]

Lines = Mapping[str, Mapping[int, Sequence[tuple[float, float | None]]]]
"""Recipe to replica to its points."""


def by_confidence(results: Results, row: str, bins: int = BINS) -> list[dict[str, Any]]:
    """Churn in bins of equally many test examples, least confident first; churn, share of examples and share of all flips in percent."""
    test = results[row].test
    confidence = to_numpy(test.confidence).mean(axis=0)
    churn = to_numpy(metrics.churn.values(test)).mean(axis=0)
    total = churn.sum()
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(churn)))
    return [
        {
            "confidence": round(float(confidence[part].mean()), 4),
            "churn": round(100 * float(churn[part].mean()), 4),
            "examples": round(100 * len(part) / len(churn), 2),
            "flips": round(100 * float(churn[part].sum() / total), 2) if total > 0 else 0.0,
        }
        for part in parts
    ]


def churn_by_confidence(results: Results, rows: Sequence[str] | None = None, *, name: str = "confidence") -> Figure:
    """Churn by confidence of the examples; each panel also has the baseline, in black. A point is a tenth of the test examples.

    The confidence of an example is CH (5), largest minus second largest probability, mean over the replicas of that recipe.
    """
    baseline = results.baseline.name
    rows = list(dict.fromkeys([baseline, *rows])) if rows is not None else list(results.rows)
    tenths = {row: by_confidence(results, row) for row in rows}
    first = "; ".join(f"{row}: {found[0]['churn']:.1f} % in the least confident bin" for row, found in tenths.items())
    text = f"Churn by confidence of the examples, one panel for each recipe. {first}."
    others = [row for row in rows if row != baseline] or [baseline]
    records = [
        {"panel": panel, "recipe": row, **point}
        for panel in others
        for row in dict.fromkeys((baseline, panel))
        for point in tenths[row]
    ]

    def draw(columns: int, width: int, height: int) -> Any:
        colour, shape, dash = by_row(rows)
        base = alt.Chart().encode(
            x=alt.X("confidence:Q", title="confidence", scale=alt.Scale(domain=(0, 1)), axis=alt.Axis(values=[0, 0.5, 1])),
            y=alt.Y("churn:Q", title="churn (%)", axis=alt.Axis(tickCount=4)),
            color=colour,
        )
        tooltip = [
            alt.Tooltip("recipe:N"),
            *numbers(".3f", confidence="mean confidence"),
            *numbers(".2f", churn="churn (%)"),
            *numbers(".1f", examples="share of examples (%)", flips="share of all flips (%)"),
        ]
        line = base.mark_line(strokeWidth=1.8).encode(strokeDash=dash)
        points = base.mark_point(filled=True, size=38, opacity=1).encode(shape=shape, tooltip=tooltip)
        chart = alt.layer(line, points, data=alt.NamedData("bins"), width=width, height=height)
        return faceted(chart, "panel:N", others, columns, width)

    return drawn(name, text, draw, (3, 240, 155), (2, 128, 120), {"bins": records})


def drift(found: ProgressiveFindings) -> Figure:
    """Relative difference of two runs along the stream; each panel also has the baseline, in black."""
    records: list[dict[str, Any]] = [
        {
            "recipe": point.row,
            "seen": point.seen / 1000,
            "apart": round(100 * point.apart.value, 4),
            "counted": "reported" if point.counted else "before the reported part",
        }
        for point in found.drift
    ]
    rows = list(dict.fromkeys(r["recipe"] for r in records))
    ends = {row: [r["apart"] for r in records if r["recipe"] == row] for row in rows}
    listed = "; ".join(f"{row}: {values[0]:.1f} % at the start, {values[-1]:.1f} % at the end" for row, values in ends.items())
    text = f"Relative difference of two runs along the stream, one panel for each recipe. {listed}."
    others = rows[1:] or rows
    shown = [{**r, "panel": panel} for panel in others for r in records if r["recipe"] in (rows[0], panel)]
    begin = min((r["seen"] for r in records if r["counted"] == "reported"), default=0.0)
    shown += [{"panel": panel, "begin": begin} for panel in others]

    def draw(columns: int, width: int, height: int) -> Any:
        colour, _, dash = by_row(rows)
        mark = alt.Chart().mark_rule(color=QUIET, strokeDash=[2, 3], aria=False).encode(x="begin:Q")
        lines = (
            alt.Chart()
            .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=14))
            .encode(
                x=alt.X("seen:Q", title="examples seen (thousands)", axis=alt.Axis(tickCount=4)),
                y=alt.Y("apart:Q", title="relative difference (%)", axis=alt.Axis(tickCount=4)),
                color=colour,
                strokeDash=dash,
                tooltip=[
                    alt.Tooltip("recipe:N"),
                    *numbers(".0f", seen="examples seen (thousands)"),
                    *numbers(".2f", apart="relative difference (%)"),
                    alt.Tooltip("counted:N", title="part of the stream"),
                ],
            )
            .transform_filter("isValid(datum.apart)")
        )
        chart = alt.layer(mark, lines, data=alt.NamedData("drift"), width=width, height=height)
        return faceted(chart, "panel:N", others, columns, width)

    return drawn("drift", text, draw, (3, 240, 155), (2, 128, 120), {"drift": shown})


def churn_matrix(results: Results, rows: Sequence[str] | None = None, *, name: str = "matrix") -> Figure:
    """A square for each recipe with a field for each pair of replicas; all squares have one scale.

    With ``rows`` the shades cover most pairs (`span_of_most`), and the note names the recipes with pairs beyond.
    """
    chosen, rows = rows is not None, list(results.rows if rows is None else rows)
    records: list[dict[str, Any]] = []
    extremes: list[str] = []
    highest: dict[str, float] = {}
    for row in rows:
        matrix = metrics.churn_matrix(to_numpy(results[row].test.votes)[:MOST_REPLICAS])
        replicas = len(matrix)
        pairs = [(a, b) for a in range(replicas) for b in range(replicas) if a != b]
        records += [{"recipe": row, "a": a, "b": b, "churn": round(100 * float(matrix[a, b]), 3)} for a, b in pairs]
        values = [100 * matrix[a, b] for a, b in pairs]
        highest[row] = max(values)
        extremes.append(f"{row}: {min(values):.1f} to {max(values):.1f} %")
    text = f"Churn between each pair of replicas, one square for each recipe. Smallest and largest pair: {'; '.join(extremes)}."
    limit = span_of_most([r["churn"] for r in records])[1] if chosen else max(highest.values())
    beyond = [row for row, most in highest.items() if most > limit]
    note = f"Pairs above {limit:.1f} % all have the darkest shade: in {', '.join(beyond)}." if beyond else ""
    reach: dict[str, Any] = {"domainMax": limit, "clamp": True} if beyond else {}

    def draw(columns: int, width: int) -> Any:
        axis = alt.Axis(title="replica", labelAngle=0, domain=False, ticks=False, labelOverlap=True, grid=False)
        colour = alt.Color(
            "churn:Q",
            scale=alt.Scale(range=LIGHT_TO_DARK, domainMin=0, **reach),
            legend=alt.Legend(title="churn of the pair (%)", orient="top", gradientLength=200, labelColor=INK),
        )
        tooltip = [
            alt.Tooltip("recipe:N"),
            alt.Tooltip("a:O", title="replica"),
            alt.Tooltip("b:O", title="and replica"),
            *numbers(".2f", churn="churn (%)"),
        ]
        chart = (
            alt.Chart(alt.NamedData("pairs"))
            .mark_rect(aria=False, stroke="white", strokeWidth=1)
            .encode(x=alt.X("a:O", axis=axis), y=alt.Y("b:O", axis=axis), color=colour, tooltip=tooltip)
            .properties(width=width, height=width)
        )
        return faceted(chart, "recipe:N", rows, columns, width)

    return drawn(name, text, draw, (3, 240), (2, 132), {"pairs": records}, note)


def training_loss(results: Results, rows: Sequence[str] | None = None, *, name: str = "curves") -> Figure | None:
    """Training loss of every replica, for some recipes or all; None where no replica has a curve."""
    lines = {
        row: {m: list(zip(found["epochs"], points, strict=True)) for m, points in found["loss"].items()}
        for row, found in results.curves().items()
        if rows is None or row in rows
    }
    return over_training(lines, name, value="training loss", along="epochs") if lines else None


def over_training(lines: Lines, name: str, *, value: str, along: str) -> Figure:
    """A panel for each recipe, each with its own scale: recipes sum other terms. ``value`` and ``along`` are titles of the axes."""
    records = [
        {"recipe": recipe, "replica": m, "at": at, "value": number}
        for recipe, replicas in lines.items()
        for m, points in replicas.items()
        for at, number in points
        if number is not None
    ]
    ends = {recipe: [points[-1][1] for points in replicas.values()] for recipe, replicas in lines.items()}
    listed = "; ".join(
        f"{recipe}: {min(last):.3g} to {max(last):.3g}"
        for recipe, found in ends.items()
        if (last := [number for number in found if number is not None])
    )
    text = (
        f"{value.capitalize()} along the training, one panel for each recipe and one line for each replica. At the end: {listed}."
    )

    def draw(columns: int, width: int, height: int) -> Any:
        tooltip = [alt.Tooltip("recipe:N"), alt.Tooltip("replica:O"), *numbers(".3~g", at=along), *numbers(".4~g", value=value)]
        chart = (
            alt.Chart(alt.NamedData("lines"))
            .mark_line(strokeWidth=0.9, opacity=0.55, color=PALETTE[1], aria=False)
            .encode(
                x=alt.X("at:Q", title=along, axis=alt.Axis(tickCount=4)),
                y=alt.Y("value:Q", title=value, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
                detail="replica:N",
                tooltip=tooltip,
            )
            .properties(width=width, height=height)
        )
        return faceted(chart, "recipe:N", list(lines), columns, width).resolve_scale(y="independent")

    return drawn(name, text, draw, (3, 240, 130), (2, 128, 100), {"lines": records})
