"""Two models that keep training on one stream: how far apart they are as it goes on."""

from __future__ import annotations

from typing import Any

import altair as alt

from traintwice.report.style import DASHES, PALETTE, QUIET, Figure, finish, marks_of
from traintwice.study import ProgressiveFindings


def drift(found: ProgressiveFindings) -> Figure:
    """One panel for each recipe, the baseline in black in each; along the stream, the relative difference of two trainings.

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
    listed = "; ".join(f"{row}: {values[0]:.1f} % at first, {values[-1]:.1f} % in the end" for row, values in ends.items())
    text = f"Relative difference of two trainings along the stream, one panel for each recipe. {listed}."
    others = rows[1:] or rows
    drawn = [{**r, "panel": panel} for panel in others for r in records if r["recipe"] in (rows[0], panel)]
    begin = [{"seen": min((r["seen"] for r in records if r["counted"] == "reported"), default=0.0)}]
    wide, narrow = (_draw(drawn, begin, rows, others, text, *size) for size in ((3, 240, 155), (2, 128, 120)))
    return Figure("drift", text, wide, narrow)


def _draw(
    records: list[dict[str, Any]],
    begin: list[dict[str, float]],
    rows: list[str],
    panels: list[str],
    text: str,
    columns: int,
    width: int,
    height: int,
) -> dict[str, Any]:
    def scale(kind: Any) -> alt.Scale:
        return alt.Scale(domain=rows, range=marks_of(rows, kind))

    by_panel = [{**mark, "panel": panel} for panel in panels for mark in begin]
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=14))
        .encode(
            x=alt.X("seen:Q", title="examples seen (thousands)", axis=alt.Axis(tickCount=4)),
            y=alt.Y("apart:Q", title="relative difference (%)", axis=alt.Axis(tickCount=4)),
            color=alt.Color("recipe:N", scale=scale(PALETTE), legend=None),
            strokeDash=alt.StrokeDash("recipe:N", scale=scale(DASHES), legend=None),
            tooltip=[
                alt.Tooltip("recipe:N"),
                alt.Tooltip("seen:Q", title="examples seen (thousands)", format=".0f"),
                alt.Tooltip("apart:Q", title="relative difference (%)", format=".2f"),
                alt.Tooltip("counted:N", title="part of the stream"),
            ],
        )
        .transform_filter("isValid(datum.apart)")
    )
    mark = alt.Chart().mark_rule(color=QUIET, strokeDash=[2, 3], aria=False).encode(x="begin:Q")
    chart = alt.layer(mark, lines, data=alt.NamedData("drift")).properties(width=width, height=height)
    faceted = chart.facet(
        alt.Facet("panel:N", sort=panels, header=alt.Header(title=None, labelLimit=width + 20)), columns=columns
    )
    faceted = faceted.resolve_axis(x="independent")  # so that every panel has its own, in an unfilled last line too
    return finish(faceted, text, drift=[*records, *({"panel": m["panel"], "begin": m["seen"]} for m in by_panel)])
