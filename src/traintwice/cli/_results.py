"""Output of `run` and `report`: every table for a few recipes; for many, one table and the findings."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from traintwice import report as reports
from traintwice.cli._output import in_columns, show, show_sheet
from traintwice.report._findings import choose, in_words
from traintwice.served import Logged
from traintwice.study import Results, component_table, progressive_findings, source_shares, verdict
from traintwice.tables import Table

FIRST_COLUMNS = ("accuracy", "churn", "churn_to_error", "train", "serve")


def show_results(results: Results, out: Path | None, *, as_json: bool, served: Logged | None = None) -> None:
    """Write the report into ``out``; print tables and findings with its path, or JSON alone."""
    against = None if served is None else results.against(served)
    index = None if out is None else reports.write(results, out, against=against)
    if as_json:
        print(json.dumps(reports.plain(results, against=against), ensure_ascii=False, allow_nan=False))
    else:
        print_results(Console(highlight=False, markup=False), results)
        if against is not None:
            show("\n")
            show_sheet(against.sheet())
    if index is not None and not as_json:
        print(f"\nReport: {index}")


def print_results(console: Console, results: Results) -> None:
    """Print tables and sentences; for many rows one table, and only the sentences that the page does not fold."""
    found = verdict(results)
    choice = choose(found, tuple(results.rows))
    table = results.table()
    console.print(table.title, style="bold")
    parts = table.split(console.width, first=FIRST_COLUMNS)
    for part in parts[:1] if choice.many else parts:
        console.print()
        console.print(in_columns(part))
    console.print()
    for note in table.notes:
        console.print(note, style="dim")
    _print_part(console, source_shares(results))
    stream = progressive_findings(results)
    if stream is not None:
        _print_part(console, stream.table)
        _print_part(console, stream.baseline_over_time)
        console.print()
        for text in stream.sentences:
            console.print(text)
    if not choice.many:
        _print_part(console, component_table(results))
    console.print()
    brief = [b.row for b in choice.briefly]
    for sentence in in_words(found, results):
        if sentence.kind == "terms" and brief:
            console.print(f"Also inconclusive: {'; '.join(brief)}.")
        if sentence.row not in brief:
            console.print(sentence.text)
    if choice.many:
        console.print("The other measures, all differences and the components of each recipe are in the report, and in --json.")


def _print_part(console: Console, table: Table | None) -> None:
    if table is None:
        return
    console.print()
    console.print(table.title, style="bold")
    for part in table.split(console.width):
        console.print(in_columns(part))
    for note in table.notes:
        console.print(note, style="dim")
