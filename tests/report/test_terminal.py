"""What the terminal shows of a study: of few rows everything, of many what matters."""

import io
import re

from rich.console import Console

from traintwice.cli._study import print_results

BASELINE = re.compile(r"^baseline +[\d.]+ ", re.MULTILINE)
"""Its line of a table."""


def test_of_many_rows_the_terminal_shows_one_table_and_few_sentences(fifteen):
    console = Console(width=80, record=True, file=io.StringIO())
    print_results(console, fifteen)
    said = console.export_text()
    assert len(BASELINE.findall(said)) == 1
    assert "Δ₁" not in said
    assert "calm: churn is significantly lower" in said
    assert said.count("inconclusive (churn") == 5
    (listed,) = re.findall(r"Also inconclusive: (.*?)\.", " ".join(said.split()))
    assert len(listed.split("; ")) == 7
    assert "in the report, and in --json." in " ".join(said.split())


def test_of_few_rows_it_shows_everything(study):
    console = Console(width=80, record=True, file=io.StringIO())
    print_results(console, study({"baseline": 0.3, "other": 0.1}))
    said = console.export_text()
    assert len(BASELINE.findall(said)) > 2
    assert "Δ₁" in said
    assert "other: churn is significantly lower" in said
