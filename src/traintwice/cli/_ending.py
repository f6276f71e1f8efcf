"""Standard streams and signals of a command: whatever fails here, the exit status stays that of the command."""

from __future__ import annotations

import codecs
import os
import re
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

from traintwice._files import remove_all_scratch
from traintwice._formatting import visible

PLAIN = {"·": "|", "−": "-", "–": "-", "…": "...", "×": "x", "≥": ">=", "≤": "<=", "→": "->", "±": "+/-"}
"""What replaces a character that a terminal does not have; other characters become a question mark."""

LONGEST_WORD, LONGEST_MESSAGE = 400, 6000
"""Characters; longer words and messages are cut, since names in files may have any length."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler of `PLAIN`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("traintwice.plain", _plain)


class Outcome(SystemExit):
    """The exit status that a verb chose. Any other exit with status 1, such as that of a library at a closed pipe, becomes 2."""


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


def end_streams() -> OSError | None:
    """Write what is buffered; what cannot be written is discarded, so that Python does not change the exit status.

    Returns:
        The error of standard output, if there was one.
    """
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
