"""How a command prints and ends: one form on standard output, files, messages, progress, streams, signals and the exit status."""

from __future__ import annotations

import codecs
import json as to_json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from traintwice._addresses import without_secrets
from traintwice._files import refuse_overwriting, remove_all_scratch, write_whole
from traintwice._formatting import visible
from traintwice._installed import made_by
from traintwice.errors import BadInput, StoreError, require_charts
from traintwice.progress import ProgressUnit, reporting_to

if TYPE_CHECKING:
    from traintwice.tables import Sheet

PLAIN = {"·": "|", "−": "-", "–": "-", "…": "...", "×": "x", "≥": ">=", "≤": "<=", "→": "->", "±": "+/-"}
"""What replaces a character that a terminal does not have; other characters become a question mark."""

LONGEST_WORD, LONGEST_MESSAGE = 400, 6000
"""Characters; longer words and messages are cut, since names in files may have any length."""

RED, GREEN, YELLOW = "31", "32", "33"
COLOURS = {
    **dict.fromkeys(("problem", "over", "beyond noise"), RED),
    **dict.fromkeys(("fine", "kept", "within noise"), GREEN),
    "inconclusive": YELLOW,
}
"""Meanings of verdicts and outcomes, and their colour on a terminal; nothing else is coloured."""

UNLIMITED = 1_000_000
"""Width where there is no terminal and ``COLUMNS`` is not set."""

FIRST_SECONDS, EVERY_SECONDS = 10.0, 60.0
"""Without a terminal: time of the first line of progress of a comparison, and time between the next ones."""


class Outcome(SystemExit):
    """The exit status that a verb chose. Any other exit with status 1, such as that of a library at a closed pipe, becomes 2."""


def show(text: str) -> None:
    """Write to standard output and flush, so that a full disk raises here."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"standard output cannot be written ({error.strerror})") from None


def show_json(value: dict[str, Any]) -> None:
    """Print one strict JSON document with version and date: no NaN, ASCII only."""
    show(to_json.dumps({**value, **made_by()}, allow_nan=False) + "\n")


def show_sheet(*sheets: Sheet, after: str = "") -> None:
    """Print a sheet and further lines: on a terminal the first that fits on the screen, or the last; elsewhere the first, whole."""
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


def show_result(
    found: Any, *sheets: Sheet, json: bool, markdown: bool = False, plain: dict[str, Any] | None = None, after: str = ""
) -> None:
    """Print a result in the requested form: as JSON, or as its sheet.

    Args:
        found: the result.
        sheets: in place of the result's own, see `show_sheet`; Markdown has the first.
        json, markdown: the form; text by default.
        plain: values for JSON in place of the result's own.
        after: lines after the text.
    """
    if json:
        show_json(found.to_dict() if plain is None else plain)
        return
    sheets = sheets or (found.sheet(),)
    if markdown:  # version and date last
        show("{}\n_traintwice {traintwice}, {date}_\n".format(sheets[0].to_markdown(), **made_by()))
    else:
        show_sheet(*sheets, after=after)


def show_page(index: Path | None, *, wanted: bool = True) -> None:
    """Print where the page of a report is, if there is one and standard output has text."""
    if index is not None and wanted:
        show(f"\nReport: {index}\n")


def write_file(path: Path, text: str, *, option: str) -> None:
    """Write a file as a whole or not at all."""
    try:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another {option}") from None


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[object]) -> None:
    """Raise before the work if a file, named by its option, cannot be written or drawn, or is an input or another output."""
    if outputs.get("--report") is not None:
        require_charts("--report")
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


@contextmanager
def waiting(doing: str, *, quiet: bool) -> Iterator[None]:
    """Report progress of long work: a bar on a terminal, a line a minute elsewhere, nothing when quiet."""
    doing = visible(without_secrets(doing))
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _bar(doing):
            yield
    else:
        lines = Lines(doing)
        try:
            with reporting_to(lines.update):
                yield
        finally:
            lines.stop()


class Lines:
    """A line after `FIRST_SECONDS`, then one every `EVERY_SECONDS`; short work prints none."""

    def __init__(self, doing: str) -> None:
        self._doing, self._started, self._done = doing, time.monotonic(), threading.Event()
        self._pass: tuple[float, float, ProgressUnit, float, float] | None = None
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._thread.start()

    def update(self, done: float, total: float, unit: ProgressUnit = "rows") -> None:
        """Progress of a pass: done, and total. A smaller ``done``, or another unit, starts a new pass."""
        now = time.monotonic()
        same_pass = self._pass is not None and done >= self._pass[0] and unit == self._pass[2]
        self._pass = (done, total, unit, self._pass[3] if self._pass and same_pass else now, now)

    def stop(self) -> None:
        """Print no more lines."""
        self._done.set()
        self._thread.join()

    def line(self) -> str:
        """The line to print now."""
        text = f"traintwice: {self._doing}, {time.monotonic() - self._started:.0f} s so far"
        if self._pass is None:
            return text
        done, total, unit, started, now = self._pass
        left = f", about {(now - started) / done * (total - done):.0f} s left" if now > started and done else ""
        reached = f"{done:,} of {total:,} rows" if unit == "rows" else f"{done:.0f} % of this step"
        return f"{text}, {reached}{left}"

    def _print_lines(self) -> None:
        wait = FIRST_SECONDS
        while not self._done.wait(wait):
            print(self.line(), file=sys.stderr, flush=True)
            wait = EVERY_SECONDS


@contextmanager
def _bar(doing: str) -> Iterator[None]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(doing, total=None)
        with reporting_to(lambda done, total, unit: bars.update(bar, completed=done, total=total)):
            yield


def show_error(message: str) -> None:
    """Print a message on standard error, if that can be written; control characters are made visible."""
    message = shortened(message)
    indent = "\n" + " " * len("traintwice: ")
    with suppress(OSError, ValueError):
        print(f"traintwice: {indent.join(map(visible, message.splitlines()))}", file=sys.stderr, flush=True)


def shortened(message: str) -> str:
    """A message whose long words, and whose end, are cut.

    >>> shortened("no file " + "x" * 500)
    'no file xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (500 characters)'
    """
    message = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: f"{word[0][:60]}… ({len(word[0]):,} characters)", message)
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"


def show_usage_error(error: Any) -> None:
    """Print a usage error of the command-line library in its own form; long words are cut."""
    from typer.rich_utils import rich_format_error

    error.message = shortened(error.message)
    rich_format_error(error)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler of `PLAIN`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("traintwice.plain", _plain)


def prepare_streams() -> None:
    """Let every character be printed, and put the null device where a standard stream is closed.

    Otherwise the next file that is opened would take the number of the closed stream. Writing to a closed standard output is an error.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number < 2 else os.O_WRONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="traintwice.plain")


def end_streams() -> OSError | None:
    """Write what is buffered, or discard it, so that Python does not change the exit status; the error of standard output, if any."""
    failed = None
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            failed = error if number == 1 else failed
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return failed


def end_by_signal(number: int, _frame: Any) -> None:
    """Remove temporary folders, then end by the signal."""
    remove_all_scratch()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@contextmanager
def interruptible(kept: str = "replicas") -> Iterator[None]:
    """Training that Ctrl-C ends with a message of what is kept, and status 130."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, end_by_signal)
        typer.echo(f"traintwice: interrupted; finished {kept} are kept, and the same command continues", err=True)
        raise typer.Exit(130) from None
