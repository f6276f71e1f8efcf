"""Churn between each pair of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from traintwice.metrics.definition import to_numpy
from traintwice.report.charts.span import span_of_most
from traintwice.report.style import INK, Figure, finish
from traintwice.study import Results

MOST_REPLICAS = 30
"""More would be dust; the first ones are shown."""

LIGHT_TO_DARK = ["#f4f7fa", "#c6dbeb", "#7fb2d5", "#2f7fb3", "#0b4a78"]


def churn_matrix(results: Results, rows: Sequence[str] | None = None, *, name: str = "matrix") -> Figure:
    """A square for each recipe, a field for each pair of replicas, all in one scale.

    Args:
        results: of a study.
        rows: which to show; all by default. The shades of chosen rows reach as far as most pairs do (`span_of_most`), and the note says
            which rows have pairs beyond.
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
    wide, narrow = (_draw(records, rows, limit if beyond else None, text, *size) for size in ((3, 240), (2, 132)))
    return Figure(name, text, wide, narrow, note)


def pair_churn(votes: np.ndarray) -> np.ndarray:
    """Fraction of examples on which replicas a and b differ, ``M M``, from votes ``M N``.

    >>> pair_churn(np.array([[0, 1], [0, 0], [1, 1]])).tolist()
    [[0.0, 0.5, 0.5], [0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """
    return np.stack([(votes != one).mean(axis=1) for one in votes])


def _draw(
    records: list[dict[str, Any]], rows: list[str], limit: float | None, text: str, columns: int, width: int
) -> dict[str, Any]:
    axis = alt.Axis(title="replica", labelAngle=0, domain=False, ticks=False, labelOverlap=True, grid=False)
    reach: dict[str, Any] = {} if limit is None else {"domainMax": limit, "clamp": True}
    chart = (
        alt.Chart(alt.NamedData("pairs"))
        .mark_rect(aria=False, stroke="white", strokeWidth=1)
        .encode(
            x=alt.X("a:O", axis=axis),
            y=alt.Y("b:O", axis=axis),
            color=alt.Color(
                "churn:Q",
                scale=alt.Scale(range=LIGHT_TO_DARK, domainMin=0, **reach),
                legend=alt.Legend(title="churn of the pair (%)", orient="top", gradientLength=200, labelColor=INK),
            ),
            tooltip=[
                alt.Tooltip("recipe:N"),
                alt.Tooltip("a:O", title="replica"),
                alt.Tooltip("b:O", title="and replica"),
                alt.Tooltip("churn:Q", title="churn (%)", format=".2f"),
            ],
        )
        .properties(width=width, height=width)
    )
    faceted = chart.facet(alt.Facet("recipe:N", sort=rows, header=alt.Header(title=None, labelLimit=width + 20)), columns=columns)
    faceted = faceted.resolve_axis(x="independent")  # so that every panel has its own, in an unfilled last line too
    return finish(faceted, text, pairs=records)
