"""Options that several verbs share, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from traintwice.errors import BadInput

READING = "What the columns mean"
OUTPUT = "Output"

Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="COLUMN", help="Column that names a row; repeat it for composite ids.", rich_help_panel=READING),
]
Label = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the true labels.", rich_help_panel=READING)]
By = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", help="Column of groups to look into; repeat for more.", rich_help_panel=READING),
]
Probs = Annotated[
    list[str] | None,
    typer.Option(
        "--probs",
        metavar="COLUMN",
        help="Column of the predictions, in the order of the classes; repeat, or separate by commas. A prefix stands for "
        "PREFIX_0, PREFIX_1 ...",
        rich_help_panel=READING,
    ),
]
Weight = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of weights.", rich_help_panel=READING)]
Time = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of time.", rich_help_panel=READING)]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes",
        metavar="NAME",
        help="Name of a class, in the order of the predictions; repeat, or separate by commas.",
        rich_help_panel=READING,
    ),
]
Logits = Annotated[bool, typer.Option("--logits", help="The predictions are logits.", rich_help_panel=READING)]
Regression = Annotated[
    bool, typer.Option("--regression", help="The predictions are numbers, no probabilities.", rich_help_panel=READING)
]
ByPosition = Annotated[
    bool, typer.Option("--by-position", help="Match row n with row n; no ids are compared.", rich_help_panel=READING)
]
OnMissing = Annotated[
    Literal["refuse", "drop"],
    typer.Option(help="What to do with ids that a file lacks or has twice.", rich_help_panel=READING),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Memory for reading and joining, such as 2GB; half the machine's by default."),
]
Level = Annotated[float, typer.Option(help="Nominal coverage of the intervals.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.", rich_help_panel=OUTPUT)]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Markdown on standard output, for a job summary.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)]
NoRows = Annotated[bool, typer.Option("--no-rows", help="Keep ids and single rows out of every output.", rich_help_panel=OUTPUT)]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write an HTML page.", rich_help_panel=OUTPUT)
]


def split(words: Sequence[str] | None) -> list[str] | None:
    """Values given by repeating an option, by commas, or both.

    >>> split(["a,b", "c"]), split(None)
    (['a', 'b', 'c'], None)
    """
    return [part for word in words for part in word.split(",")] if words else None


def reading(**given: Any) -> dict[str, Any]:
    """Options without those that were not given."""
    return {name: value for name, value in given.items() if value is not None and value is not False and value != []}


def one_form(**forms: bool) -> None:
    """Refuse two forms of standard output at once.

    Raises:
        BadInput: more than one is wanted.
    """
    wanted = [f"--{name.replace('_', '-')}" for name, is_wanted in forms.items() if is_wanted]
    if len(wanted) > 1:
        raise BadInput(f"{' and '.join(wanted)} exclude each other: standard output takes one form")
