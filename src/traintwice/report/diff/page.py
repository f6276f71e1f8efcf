"""The report of a diff as one HTML page that needs nothing but itself."""

from __future__ import annotations

from traintwice.compare.results import Diff
from traintwice.report.diff.charts import confidence_chart, density_chart, flow_chart, forest_chart
from traintwice.report.diff.joint import BINS, Joint
from traintwice.report.document import render
from traintwice.tables.diff import diff_sheet, moved_table, sentence, slices_table
from traintwice.tables.text import visible
from traintwice.versions import versions

MOST_SLICES = 200
"""In the page's table; JSON has all."""

NOISE_IN_WORDS = {"within noise": "lower", "beyond noise": "higher", "cannot tell": "unsettled"}
"""Verdict on the noise to the mark that the page's style has for it."""


def page(diff: Diff, joint: Joint | None = None) -> str:
    """The whole report.

    Args:
        diff: of two models.
        joint: counts of rows for the picture of old against new; without them that picture is left out.
    Returns:
        An HTML document. Everything from files is escaped; its content security policy forbids every connection and every script
        but its own two. Ids and rows are in it only where ``diff`` has them.
    """
    drawn = (density_chart(joint) if joint is not None else None, flow_chart(diff), forest_chart(diff), confidence_chart(diff))
    figures = [figure for figure in drawn if figure is not None]
    sheet = diff_sheet(diff, every=True)
    noise = diff.floor.verdict if diff.floor is not None else ""
    return render(
        "diff.html.j2",
        figures,
        names=(visible(diff.old), visible(diff.new)),
        version=versions()["traintwice"],
        sheet=sheet,
        noise=noise,
        mark=NOISE_IN_WORDS.get(noise, ""),
        verdict=sentence(sheet.verdict.removeprefix(f"{noise.capitalize()}: ") if noise else sheet.verdict),
        shown={figure.name for figure in figures},
        kind=joint.kind if joint is not None else "",
        bins=BINS,
        slices=slices_table(diff, most=MOST_SLICES),
        moved=moved_table(diff),
        has_floor=diff.floor is not None,
        no_rows=diff.no_rows,
        files=[
            (visible(name), visible(layout)) for name, layout in zip(diff.alignment.files, diff.alignment.layouts, strict=True)
        ],
        bounds=[(name.replace("_", " "), f"{100 * bound:.2f} %") for name, bound in diff.bounds.items()],
        reviews=[
            (f"{100 * r.share:g} %", f"{r.rows:,}", f"{100 * r.caught:.0f} %") for r in diff.reviews if r.caught == r.caught
        ],
    )
