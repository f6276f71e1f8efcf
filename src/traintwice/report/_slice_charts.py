"""Charts of a diff by slice and by period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from traintwice._formatting import cut
from traintwice.compare._parts import Slice
from traintwice.compare._results import Diff
from traintwice.report._comparison_charts import BLUE, MOST_NAME, ORANGE, unique
from traintwice.report._style import INK, QUIET, Figure, finish
from traintwice.tables._words import findings, slice_name
from traintwice.types import Estimate

MOST_SLICES = 30
"""Slices in a chart, in both widths; significant ones are among them first."""

KINDS = ("significant", "not significant")


def forest_chart(name: str, what: str, slices: Sequence[Slice], overall: float, same_axis: Sequence[Slice] = ()) -> Figure | None:
    """Churn of each slice with its interval, and its noise floor if there are retrains.

    Args:
        name: of the element in the page.
        what: a plural noun for the slices.
        slices: in the order of the chart.
        overall: churn of all rows.
        same_axis: slices of another chart on the page, which has the same axis.
    """
    if not slices:
        return None
    records = _records(slices)
    significant = sum(r["kind"] == KINDS[0] for r in records)
    text = f"Churn of {len(records)} {what}, {significant} with a significant finding; churn of all rows {100 * overall:.2f} %."
    shown = sorted(sorted(range(len(records)), key=lambda i: records[i]["kind"] != KINDS[0])[:MOST_SLICES])
    note = f"{len(shown)} of {len(records)}, significant ones first; the table has more." if len(records) > len(shown) else ""
    end = max(r["high"] for r in (*(records[i] for i in shown), *_records(same_axis)[:MOST_SLICES]))
    wide, narrow = (
        _forest([records[i] for i in shown], 100 * overall, end, width, label, text) for width, label in ((460, 220), (165, 110))
    )
    return Figure(name, text, wide, narrow, note)


def periods_chart(diff: Diff) -> Figure | None:
    """Churn by period, and change of accuracy if there are labels, in the order of time."""
    if not diff.periods:
        return None
    first, last = diff.periods[0], diff.periods[-1]
    ends = [f"{100 * s.churn.value:.2f} % in {cut(slice_name(s.column, s.value), MOST_NAME)}" for s in (first, last)]
    text = f"Churn over {len(diff.periods)} periods: {ends[0]}, {ends[1]}."
    names = [r["slice"].partition("=")[2] or r["slice"] for r in _records(diff.periods)]
    rows: list[tuple[str, list[dict[str, Any]]]] = [
        (
            "churn (%)",
            _over_time(names, [(s.churn, s.tests[0].old if s.tests and s.excess is not None else None) for s in diff.periods]),
        )
    ]
    if all(s.accuracy_change is not None for s in diff.periods):
        changes = [(s.accuracy_change, None) for s in diff.periods if s.accuracy_change is not None]
        rows.append(("change of accuracy (pp)", _over_time(names, changes)))
    wide, narrow = (_periods(rows, width, text) for width in (560, 230))
    return Figure("periods", text, wide, narrow)


def _records(slices: Sequence[Slice]) -> list[dict[str, Any]]:
    names = unique([cut(slice_name(s.column, s.value), MOST_NAME) for s in slices])
    records = []
    for name, s in zip(names, slices, strict=True):
        record = {
            "slice": name,
            "rows": s.rows,
            "churn": 100 * s.churn.value,
            **_ends(s.churn),
            "q": s.q_value if s.tests else None,
            "kind": KINDS[0 if s.worse or (s.tests and s.restless) else 1],
            "found": "; ".join(findings(s)) if s.tests else "",
        }
        if s.tests and s.excess is not None and s.tests[0].old is not None:
            record["floor"] = 100 * s.tests[0].old
        records.append(record)
    return records


def _over_time(names: Sequence[str], numbers: Sequence[tuple[Estimate, float | None]]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for name, (estimate, floor) in zip(names, numbers, strict=True):
        records.append({"period": name, "value": 100 * estimate.value, **_ends(estimate)})
        if floor is not None:
            records[-1]["floor"] = 100 * floor
    return records


def _ends(estimate: Estimate) -> dict[str, float]:
    return {name: 100 * (estimate.value if end != end else end) for name, end in (("low", estimate.low), ("high", estimate.high))}


def _forest(records: list[dict[str, Any]], overall: float, end: float, width: int, label: int, text: str) -> dict[str, Any]:
    names = [r["slice"] for r in records]
    y = alt.Y(
        "slice:N", sort=names, title=None, axis=alt.Axis(labelLimit=label, labelPadding=8, domain=False, ticks=False, grid=True)
    )
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=list(KINDS), range=[ORANGE, BLUE]), legend=alt.Legend(title=None, orient="top")
    )
    base = alt.Chart(alt.NamedData("slices"))
    tooltip = [
        alt.Tooltip("slice:N"),
        alt.Tooltip("churn:Q", title="churn (%)", format=".2f"),
        alt.Tooltip("low:Q", title="from (%)", format=".2f"),
        alt.Tooltip("high:Q", title="to (%)", format=".2f"),
        alt.Tooltip("rows:Q", format=","),
        alt.Tooltip("q:Q", format=".2g"),
        alt.Tooltip("found:N", title="significant"),
    ]
    layers = [
        alt.Chart(alt.NamedData("all"))
        .mark_rule(color=QUIET, strokeDash=[3, 3], aria=False)
        .encode(x=alt.X("overall:Q", title="churn (%)", scale=alt.Scale(domain=(0, end), nice=True), axis=alt.Axis(tickCount=5))),
        base.mark_rule(strokeWidth=1.8, aria=False).encode(x="low:Q", x2="high:Q", y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="churn:Q", y=y, color=colour, tooltip=tooltip),
    ]
    if any("floor" in record for record in records):
        floor = [alt.Tooltip("floor:Q", title="noise floor (%)", format=".2f")]
        layers.append(base.mark_tick(color=INK, thickness=2, size=12).encode(x="floor:Q", y=y, tooltip=floor))
    chart = alt.layer(*layers).properties(width=width, height=alt.Step(22))
    return finish(chart, text, slices=records, all=[{"overall": overall}])


def _periods(rows: Sequence[tuple[str, list[dict[str, Any]]]], width: int, text: str) -> dict[str, Any]:
    charts, data = [], {}
    for number, (title, records) in enumerate(rows):
        name = f"periods_{number}"
        data[name] = records
        base = alt.Chart(alt.NamedData(name)).encode(
            x=alt.X("period:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45, labelLimit=110, labelOverlap=True))
        )
        y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
        tooltip = [
            alt.Tooltip("period:N"),
            alt.Tooltip("value:Q", title=title, format=".2f"),
            alt.Tooltip("low:Q", title="from", format=".2f"),
            alt.Tooltip("high:Q", title="to", format=".2f"),
        ]
        layers = [
            base.mark_area(color=BLUE, opacity=0.15, aria=False).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
            base.mark_line(color=BLUE, strokeWidth=1.8, aria=False).encode(y=y),
            base.mark_point(filled=True, color=BLUE, size=50, opacity=1).encode(y=y, tooltip=tooltip),
        ]
        if any("floor" in record for record in records):
            layers.append(base.mark_line(color=INK, strokeDash=[3, 3], strokeWidth=1.2, aria=False).encode(y="floor:Q"))
        charts.append(alt.layer(*layers).properties(width=width, height=170))
    return finish(alt.vconcat(*charts), text, **data)
