"""What the terminal shows of a study: of few rows everything, of many what matters."""

import io

from rich.console import Console

from traintwice.cli.results import print_results


def test_of_many_rows_the_terminal_shows_one_table_and_few_sentences(fifteen):
    console = Console(width=80, record=True, file=io.StringIO())
    print_results(console, fifteen)
    said = console.export_text()
    assert said.count("\nbaseline") == 1
    assert "Δ₁" not in said
    assert "calm: churn is lower beyond doubt" in said
    assert said.count("not settled (churn") == 5
    (listed,) = [s for s in said.split("\n\n")[-1].replace("\n", " ").split(". ") if "Not settled either: " in s] or [said]
    assert listed.count("row ") >= 6
    assert "in the report, and in --json." in said


def test_of_few_rows_it_shows_everything(study):
    console = Console(width=80, record=True, file=io.StringIO())
    print_results(console, study({"baseline": 0.3, "other": 0.1}))
    said = console.export_text()
    assert said.count("\nbaseline") > 2
    assert "Δ₁" in said
    assert "other: churn is lower beyond doubt" in said
