"""`traintwice history`: the launches of a ledger over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from traintwice.cli import _options as options
from traintwice.errors import require_charts


def history(
    ledger: Annotated[Path, typer.Argument(metavar="FILE", help="A ledger, which diff and gate write with --ledger.")],
    report: options.ReportFile = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
) -> None:
    """Show the launches of a ledger over time: churn and its floor, right → wrong, quality, budgets."""
    options.one_form(json=json, markdown=markdown)
    if report is not None:
        require_charts("--report")
    from traintwice.cli import _output as output
    from traintwice.compare import history as read

    output.check_outputs({"--report": report}, [str(ledger)])
    found = read(ledger)
    if report is not None:
        from traintwice.report import write_history

        write_history(found, report)
    output.show_result(found.sheet(), plain=found.to_dict(), json=json, markdown=markdown)
    if report is not None and not json and not markdown:
        output.show(f"\nReport: {report}\n")
