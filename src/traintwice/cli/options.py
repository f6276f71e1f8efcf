"""Options that several verbs share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from traintwice.cli.reading import split
from traintwice.errors import BadInput

OUTPUT = "Output"
NOISE = "Noise of retraining"
MORE = "More answers and measures"

Floor = Annotated[
    list[str] | None,
    typer.Option(
        "--floor",
        metavar="FILES",
        help="Retrains of the old recipe, four or more: files, globs, directories.",
        rich_help_panel=NOISE,
    ),
]
NewFloor = Annotated[
    list[str] | None,
    typer.Option("--new-floor", metavar="FILES", help="Retrains of the new recipe.", rich_help_panel=NOISE),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO", help="Within noise means below this many times the noise floor; 1.5 by default.", rich_help_panel=NOISE
    ),
]
Threshold = Annotated[
    list[float] | None,
    typer.Option("--threshold", help="Decisions score >= THRESHOLD of a binary model; repeat for more.", rich_help_panel=MORE),
]
TopK = Annotated[
    list[float] | None,
    typer.Option(
        "--top-k",
        metavar="K",
        help="Swap set of the K rows (or share of rows) of highest score; repeat for more.",
        rich_help_panel=MORE,
    ),
]

Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="MEASURE",
        help="A further measure, such as fleiss_kappa or hellinger; repeat, or separate by commas. all: every one.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="auto, loop (one replica after the other, any network), stacked (many MLPs at once) or vectorised (many of any network).",
    ),
]
DeviceName = Annotated[str, typer.Option("--device", help="cpu, or cuda for a GPU, with deterministic kernels.")]
PrecisionName = Annotated[
    str, typer.Option("--precision", help="float32, float64, tf32 (products on a GPU) or bf16 (mixed precision).")
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


def further(words: list[str] | None, *, one_pass: bool = False) -> list[str]:
    """Names of measures; ``all`` stands for every one, or for every one of a single pass.

    >>> further(["hellinger,fleiss_kappa"]), len(further(["all"])) > 40
    (['hellinger', 'fleiss_kappa'], True)
    """
    wanted = split(words) or []
    if "all" not in wanted:
        return wanted
    from traintwice.metrics import ALL

    return [m.__name__ for m in ALL if m.definition.one_pass or not one_pass]


def one_form(**forms: bool) -> None:
    """Refuse two forms of standard output at once.

    Raises:
        BadInput: more than one is wanted.
    """
    wanted = [f"--{name.replace('_', '-')}" for name, is_wanted in forms.items() if is_wanted]
    if len(wanted) > 1:
        raise BadInput(f"{' and '.join(wanted)} exclude each other: standard output takes one form")
