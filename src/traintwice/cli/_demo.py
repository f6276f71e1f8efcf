"""`traintwice demo`: two small models of real data, their files, the comparison and its page, in seconds."""

from __future__ import annotations

import shlex
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from traintwice.errors import BadInput

FOLDER = Path("traintwice-demo")
FILES = ("old.csv", "new.csv", *(f"again{k}.csv" for k in range(5)), "report.html")


def demo(
    what: Annotated[Literal["diff"], typer.Argument(help="What is shown: the comparison of two models.")] = "diff",
    out: Annotated[Path, typer.Option(help="Directory for the files.")] = FOLDER,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write the HTML page too (extra report).")] = True,
) -> None:
    """Train small models of real flights, write their predictions, compare them, write the page."""
    from traintwice.cli import _output as output
    from traintwice.cli._demo_models import train_and_write

    _check_folder(out)
    rows = train_and_write(out)
    folder = f"./{out}" if str(out).startswith("-") else str(out)
    again = f"{escape(folder)}/again*.csv"
    words = ["traintwice", "diff", f"{folder}/old.csv", f"{folder}/new.csv", "--floor", again, "--by", "origin"]
    can = all(find_spec(module) is not None for module in ("altair", "vl_convert"))
    words += ["--report", f"{folder}/report.html"] if page and can else []
    output.show(
        f"{out}: predictions of {rows:,} flights (is it late?) by a model trained on January to August (old.csv), by five retrains of it "
        "with other seeds\n(again0.csv …) and by one that also knows the weather (new.csv). The command, to run again:\n\n"
        f"  {shlex.join(words)}\n\n"
    )
    _run(words[1:])
    if page and not can:
        output.show("\nThe HTML page needs the extra report: pip install 'traintwice[report]'\n")
    output.show(f"\nNext: traintwice {shlex.join(['gate', *words[2:6]])} --max churn/floor=1.5\n")


def _check_folder(out: Path) -> None:
    """Raise before the work if the directory holds files that are not of a demo.

    Raises:
        BadInput: it does, or it is not a directory.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out}: is not a directory; choose another --out")
    other = sorted(entry.name for entry in out.iterdir() if entry.name not in FILES) if out.exists() else []
    if other:
        raise BadInput(f"{out}: has files that no demo wrote (first: {other[0]}); choose another --out")


def _run(words: list[str]) -> None:
    from typer.main import get_command

    from traintwice.cli._app import app

    get_command(app).main(words, "traintwice", standalone_mode=False)
