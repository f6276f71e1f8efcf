"""`traintwice plan`: how many replicas and rows a comparison needs."""

from __future__ import annotations

from typing import Annotated

import typer

from traintwice.cli import options
from traintwice.cli.reading import NOTHING_SAID, reads_files, without_unsaid
from traintwice.predictions.reading import Reading


@reads_files
def plan(
    churn: Annotated[
        float | None, typer.Option(help="Churn that is expected, 0.05 for 5 %; with --pilot it is measured.")
    ] = None,
    detect: Annotated[float | None, typer.Option(help="Difference in churn to be found, 0.005 for half a point.")] = None,
    pilot: Annotated[
        list[str] | None,
        typer.Option("--pilot", metavar="FILES", help="Replicas there are already, four or more: files, globs, directories."),
    ] = None,
    replicas: Annotated[list[int] | None, typer.Option(help="Number of replicas to look at; repeat for more.")] = None,
    rows: Annotated[list[int] | None, typer.Option(help="Number of rows to look at; repeat for more.")] = None,
    level: options.Level = 0.95,
    power: Annotated[float, typer.Option(help="Chance wanted of finding the difference.")] = 0.8,
    reading: Reading = NOTHING_SAID,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Plan a comparison: how many replicas and rows are needed to see a difference in churn."""
    options.one_form(json=json, markdown=markdown)
    from traintwice.cli import output
    from traintwice.cli.waiting import waiting
    from traintwice.compare import plan as plan_with
    from traintwice.tables.measures import plan_sheet

    sizes = without_unsaid({"replicas": replicas, "rows": rows})
    with waiting("reading the pilot", quiet=quiet):
        found = plan_with(churn, detect, pilot=pilot, level=level, power=power, **sizes, **reading)
    output.show_result(plan_sheet(found), found.to_dict(), json=json, markdown=markdown)
