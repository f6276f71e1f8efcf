"""Churn as a function of confidence: where the flips are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from traintwice import metrics
from traintwice.metrics.definition import to_numpy
from traintwice.report.style import DASHES, PALETTE, SHAPES, Figure, finish, marks_of
from traintwice.study import Results

BINS = 10


def churn_by_confidence(results: Results, rows: Sequence[str] | None = None, *, name: str = "confidence") -> Figure:
    """One panel for each recipe, the baseline in black in each; a point is a tenth of the test examples.

    Args:
        results: of a study. The confidence of an example is CH (5), largest minus second largest probability, mean over the
            replicas of that recipe.
        rows: which to show, all by default; the baseline is in every panel anyway.
        name: of the figure.
    """
    baseline = results.baseline.name
    rows = list(dict.fromkeys([baseline, *rows])) if rows is not None else list(results.rows)
    tenths = {row: by_confidence(results, row) for row in rows}
    text = (
        "Churn by confidence of the examples, one panel for each recipe. "
        + "; ".join(f"{row}: {found[0]['churn']:.1f} % in the least confident bin" for row, found in tenths.items())
        + "."
    )
    others = [row for row in rows if row != baseline] or [baseline]
    records = [
        {"panel": panel, "recipe": row, **point}
        for panel in others
        for row in dict.fromkeys((baseline, panel))
        for point in tenths[row]
    ]
    wide, narrow = (_draw(records, rows, others, text, *size) for size in ((3, 240, 155), (2, 128, 120)))
    return Figure(name, text, wide, narrow)


def by_confidence(results: Results, row: str, bins: int = BINS) -> list[dict[str, Any]]:
    """Bins of equally many test examples, least confident first.

    Returns:
        For each its mean confidence, its churn in percent, its share of the examples and of all flips in percent.
    """
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


def _draw(
    records: list[dict[str, Any]], rows: list[str], panels: list[str], text: str, columns: int, width: int, height: int
) -> dict[str, Any]:
    def scale(kind: Any) -> alt.Scale:
        return alt.Scale(domain=rows, range=marks_of(rows, kind))

    base = alt.Chart().encode(
        x=alt.X("confidence:Q", title="confidence", scale=alt.Scale(domain=(0, 1)), axis=alt.Axis(values=[0, 0.5, 1])),
        y=alt.Y("churn:Q", title="churn (%)", axis=alt.Axis(tickCount=4)),
        color=alt.Color("recipe:N", scale=scale(PALETTE), legend=None),
    )
    chart = alt.layer(
        base.mark_line(strokeWidth=1.8).encode(strokeDash=alt.StrokeDash("recipe:N", scale=scale(DASHES), legend=None)),
        base.mark_point(filled=True, size=38, opacity=1).encode(
            shape=alt.Shape("recipe:N", scale=scale(SHAPES), legend=None),
            tooltip=[
                alt.Tooltip("recipe:N"),
                alt.Tooltip("confidence:Q", title="mean confidence", format=".3f"),
                alt.Tooltip("churn:Q", title="churn (%)", format=".2f"),
                alt.Tooltip("examples:Q", title="share of examples (%)", format=".1f"),
                alt.Tooltip("flips:Q", title="share of all flips (%)", format=".1f"),
            ],
        ),
        data=alt.NamedData("bins"),
    ).properties(width=width, height=height)
    faceted = chart.facet(
        alt.Facet("panel:N", sort=panels, header=alt.Header(title=None, labelLimit=width + 20)), columns=columns
    )
    faceted = faceted.resolve_axis(x="independent")  # so that every panel has its own, in an unfilled last line too
    return finish(faceted, text, bins=records)
