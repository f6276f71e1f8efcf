"""Charts with one panel for each recipe: churn by confidence, differences along a stream, churn between pairs of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from traintwice.metrics._definition import to_numpy
from traintwice.report._facts import by_confidence
from traintwice.report._layout import span_of_most
from traintwice.report._style import DASHES, INK, PALETTE, QUIET, SHAPES, Figure, faceted, finish, marks_of
from traintwice.study import ProgressiveFindings, Results

MOST_REPLICAS = 30
"""Replicas of the matrix of pairs; the first ones are shown."""

LIGHT_TO_DARK = ["#f4f7fa", "#c6dbeb", "#7fb2d5", "#2f7fb3", "#0b4a78"]


def churn_by_confidence(results: Results, rows: Sequence[str] | None = None, *, name: str = "confidence") -> Figure:
    """Churn by confidence of the examples; each panel also has the baseline, in black. A point is a tenth of the test examples.

    Args:
        results: of a study. The confidence of an example is CH (5), largest minus second largest probability, mean over the
            replicas of that recipe.
        rows: the recipes to show; all by default.
        name: of the figure.
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

    def draw(columns: int, width: int, height: int) -> dict[str, Any]:
        colour, dash, shape = _marks(rows)
        base = alt.Chart().encode(
            x=alt.X("confidence:Q", title="confidence", scale=alt.Scale(domain=(0, 1)), axis=alt.Axis(values=[0, 0.5, 1])),
            y=alt.Y("churn:Q", title="churn (%)", axis=alt.Axis(tickCount=4)),
            color=colour,
        )
        tooltip = [
            alt.Tooltip("recipe:N"),
            alt.Tooltip("confidence:Q", title="mean confidence", format=".3f"),
            alt.Tooltip("churn:Q", title="churn (%)", format=".2f"),
            alt.Tooltip("examples:Q", title="share of examples (%)", format=".1f"),
            alt.Tooltip("flips:Q", title="share of all flips (%)", format=".1f"),
        ]
        line = base.mark_line(strokeWidth=1.8).encode(strokeDash=dash)
        points = base.mark_point(filled=True, size=38, opacity=1).encode(shape=shape, tooltip=tooltip)
        chart = alt.layer(line, points, data=alt.NamedData("bins")).properties(width=width, height=height)
        return finish(faceted(chart, "panel:N", others, columns, width), text, bins=records)

    return Figure(name, text, draw(3, 240, 155), draw(2, 128, 120))


def drift(found: ProgressiveFindings) -> Figure:
    """Relative difference of two runs along the stream; each panel also has the baseline, in black.

    Args:
        found: of a study on a stream.
    """
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
    drawn = [{**r, "panel": panel} for panel in others for r in records if r["recipe"] in (rows[0], panel)]
    begin = min((r["seen"] for r in records if r["counted"] == "reported"), default=0.0)
    drawn += [{"panel": panel, "begin": begin} for panel in others]

    def draw(columns: int, width: int, height: int) -> dict[str, Any]:
        colour, dash, _ = _marks(rows)
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
                    alt.Tooltip("seen:Q", title="examples seen (thousands)", format=".0f"),
                    alt.Tooltip("apart:Q", title="relative difference (%)", format=".2f"),
                    alt.Tooltip("counted:N", title="part of the stream"),
                ],
            )
            .transform_filter("isValid(datum.apart)")
        )
        chart = alt.layer(mark, lines, data=alt.NamedData("drift")).properties(width=width, height=height)
        return finish(faceted(chart, "panel:N", others, columns, width), text, drift=drawn)

    return Figure("drift", text, draw(3, 240, 155), draw(2, 128, 120))


def churn_matrix(results: Results, rows: Sequence[str] | None = None, *, name: str = "matrix") -> Figure:
    """A square for each recipe with a field for each pair of replicas; all squares have one scale.

    Args:
        results: of a study.
        rows: the recipes to show; all by default. With ``rows`` the shades cover most pairs (`span_of_most`), and the note names the
            recipes with pairs beyond.
        name: of the figure.
    """
    chosen, rows = rows is not None, list(results.rows if rows is None else rows)
    records: list[dict[str, Any]] = []
    extremes: list[str] = []
    highest: dict[str, float] = {}
    for row in rows:
        matrix = pair_churn(to_numpy(results[row].test.votes)[:MOST_REPLICAS])
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

    def draw(columns: int, width: int) -> dict[str, Any]:
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
            alt.Tooltip("churn:Q", title="churn (%)", format=".2f"),
        ]
        chart = (
            alt.Chart(alt.NamedData("pairs"))
            .mark_rect(aria=False, stroke="white", strokeWidth=1)
            .encode(x=alt.X("a:O", axis=axis), y=alt.Y("b:O", axis=axis), color=colour, tooltip=tooltip)
            .properties(width=width, height=width)
        )
        return finish(faceted(chart, "recipe:N", rows, columns, width), text, pairs=records)

    return Figure(name, text, draw(3, 240), draw(2, 132), note)


def pair_churn(votes: np.ndarray) -> np.ndarray:
    """Fraction of examples on which replicas a and b differ, ``M M``, from votes ``M N``.

    >>> pair_churn(np.array([[0, 1], [0, 0], [1, 1]])).tolist()
    [[0.0, 0.5, 0.5], [0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """
    return np.stack([(votes != one).mean(axis=1) for one in votes])


def _marks(rows: list[str]) -> tuple[alt.Color, alt.StrokeDash, alt.Shape]:
    def scale(marks: Sequence[Any]) -> alt.Scale:
        return alt.Scale(domain=rows, range=marks_of(rows, marks))

    return (
        alt.Color("recipe:N", scale=scale(PALETTE), legend=None),
        alt.StrokeDash("recipe:N", scale=scale(DASHES), legend=None),
        alt.Shape("recipe:N", scale=scale(SHAPES), legend=None),
    )
