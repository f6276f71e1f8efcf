"""Lines over the training: one panel for each recipe, one thin line for each replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from traintwice.report._style import PALETTE, Figure, faceted, finish

if TYPE_CHECKING:
    from traintwice.study import Results

Lines = Mapping[str, Mapping[int, Sequence[tuple[float, float | None]]]]
"""Recipe to replica to its points."""


def training_loss(results: Results, rows: Sequence[str] | None = None, *, name: str = "curves") -> Figure | None:
    """Training loss of every replica.

    Args:
        results: of a study.
        rows: the recipes to show; all by default.
        name: of the figure.
    Returns:
        None where no replica has a curve.
    """
    lines = {
        row: {m: list(zip(found["epochs"], points, strict=True)) for m, points in found["loss"].items()}
        for row, found in results.curves().items()
        if rows is None or row in rows
    }
    return over_training(lines, name, value="training loss", along="epochs") if lines else None


def over_training(lines: Lines, name: str, *, value: str, along: str) -> Figure:
    """A panel for each recipe, each with its own scale: recipes sum other terms.

    Args:
        lines: by recipe and replica.
        name: of the figure.
        value, along: titles of the axes.
    """
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

    def draw(columns: int, width: int, height: int) -> dict[str, Any]:
        tooltip = [
            alt.Tooltip("recipe:N"),
            alt.Tooltip("replica:O"),
            alt.Tooltip("at:Q", title=along, format=".3~g"),
            alt.Tooltip("value:Q", title=value, format=".4~g"),
        ]
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
        return finish(faceted(chart, "recipe:N", list(lines), columns, width).resolve_scale(y="independent"), text, lines=records)

    return Figure(name, text, draw(3, 240, 130), draw(2, 128, 100))
