"""Output of the verbs: one form on standard output, and files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from traintwice._files import refuse_overwriting, write_whole
from traintwice._versions import made_by
from traintwice.errors import BadInput, StoreError
from traintwice.tables import Sheet, Table

RED, GREEN, YELLOW = "31", "32", "33"
COLOURS = {
    **dict.fromkeys(("problem", "over", "beyond noise"), RED),
    **dict.fromkeys(("fine", "kept", "within noise"), GREEN),
    "inconclusive": YELLOW,
}
"""Meanings of verdicts and outcomes, and their colour on a terminal; nothing else is coloured."""

UNLIMITED = 1_000_000
"""Width where there is no terminal and ``COLUMNS`` is not set."""


def show(text: str) -> None:
    """Write to standard output and flush, so that a full disk raises here.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"standard output cannot be written ({error.strerror})") from None


def show_json(value: dict[str, Any]) -> None:
    """Print one strict JSON document with version and date: no NaN, ASCII only."""
    show(json.dumps({**value, **made_by()}, allow_nan=False) + "\n")


def show_sheet(*sheets: Sheet, after: str = "") -> None:
    """Print a sheet: on a terminal the first that fits on the screen, with coloured verdicts; elsewhere the first, whole.

    Args:
        sheets: forms of one result, the longest first. If none fits, the last is printed. A single form is printed whole.
        after: further lines.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    screen = sys.stdout.isatty()
    width = console.width if screen or os.environ.get("COLUMNS") else UNLIMITED
    paint = _coloured if console.is_terminal else None
    for sheet in sheets:
        cut = screen and len(sheets) > 1
        whole = sheet.to_text(width, whole_names=not screen, screen=cut, paint=paint) + f"\n{after}"
        if not screen or whole.count("\n") < console.height:
            break
    if paint is None:
        show(whole)
        return
    text = Text.from_ansi(whole)
    text.stylize("bold", 0, text.plain.find("\n"))
    with console.capture() as captured:
        console.print(text, soft_wrap=True, end="" if text.plain.endswith("\n") else "\n")
    show(captured.get())


def _coloured(text: str, meaning: str) -> str:
    return f"\033[1;{COLOURS[meaning]}m{text}\033[0m" if meaning in COLOURS else text


def show_result(*sheets: Sheet, plain: dict[str, Any], json: bool, markdown: bool) -> None:
    """Print a result in the requested form; of several sheets (see `show_sheet`) Markdown has the first."""
    if json:
        show_json(plain)
    elif markdown:
        show_markdown(sheets[0])
    else:
        show_sheet(*sheets)


def show_markdown(sheet: Sheet) -> None:
    """Print a sheet as Markdown, version and date last."""
    made = made_by()
    show(f"{sheet.to_markdown()}\n_traintwice {made['traintwice']}, {made['date']}_\n")


def in_columns(table: Table) -> RichTable:
    """A table for the terminal. Long names are folded; square brackets in names are not markup."""
    columns = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    columns.add_column("", overflow="fold")
    for column in table.columns:
        columns.add_column(Text(column.title), justify="left" if column.unit == "text" else "right", no_wrap=True)
    for row, cells in zip(table.rows, table.strings(), strict=True):
        columns.add_row(*[Text(cell) for cell in [row.name, *cells]])
    return columns


def write_file(path: Path, text: str, *, option: str) -> None:
    """Write a file as a whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another {option}") from None


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[object]) -> None:
    """Raise before the work if a file cannot be written, or is one of the inputs.

    Args:
        outputs: the option of each file to its path.
        inputs: the files, globs and directories that are read.
    Raises:
        BadInput: a path is a directory, its directory does not exist, or the file is an input or another output.
    """
    for option, path in outputs.items():
        if path is None:
            continue
        try:
            path.lstat()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:  # a name that is too long, or has a zero byte
            raise BadInput(
                f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); choose another {option}"
            ) from None
        if path.is_dir():
            raise BadInput(f"{path}: is a directory; {option} needs the name of a file")
        if not path.parent.is_dir():
            raise BadInput(f"{path}: there is no directory {path.parent}; create it, or choose another {option}")
    refuse_overwriting(outputs, inputs)
