"""Text for a terminal, where a character may take two columns or none, and for Markdown, where a character may be markup."""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile(r"([\\`*_\[\]<>&|~$@#])")
_HIDDEN = ("Cc", "Cs", "Zl", "Zp")
_BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def columns_of(text: str) -> int:
    """Columns that a text takes on a terminal.

    >>> columns_of("né"), columns_of("日本"), columns_of("e\u0301")
    (2, 4, 1)
    """
    return len(text) if text.isascii() else sum(_width(character) for character in text)


def pad(text: str, width: int, right: bool = False) -> str:
    """The text with blanks after it (before it with ``right``), up to so many columns."""
    blanks = " " * max(width - columns_of(text), 0)
    return blanks + text if right else text + blanks


def cut(text: str, width: int) -> str:
    """The text in at most so many columns, with … where some of it is left out.

    >>> cut("a very long name", 8), cut("short", 8)
    ('a very …', 'short')
    """
    return text if columns_of(text) <= width else _head(text, width - 1) + "…"


def wrap(text: str, width: int) -> str:
    """Lines of at most so many columns, broken between words; a word longer than a line is broken within, and a number stays with
    its percent sign.

    >>> wrap("one two three", 8)
    'one two\\nthree'
    """
    lines, line = [], ""
    for word in text.replace(" %", "\u00a0%").split(" "):
        if line and columns_of(line) + 1 + columns_of(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while columns_of(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    broken = "\n".join([*lines, line]) if line or not lines else "\n".join(lines)
    return broken.replace("\u00a0%", " %")


def visible(text: str) -> str:
    """The text with every control character escaped, so that a file's content cannot steer a terminal.

    >>> visible("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\\\nc'
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _HIDDEN or c in _BIDIRECTIONAL else c for c in text
    )


def plain_markdown(text: str) -> str:
    """The text with everything escaped that GitHub would read as markup, a table's rule or a mention.

    >>> plain_markdown("a|b <script> *x*")
    'a\\\\|b &lt;script&gt; \\\\*x\\\\*'
    """
    named = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
    return _MARKS.sub(lambda m: named.get(m[1], "\\" + m[1]), text.replace("\r", " ").replace("\n", " "))


def _head(text: str, width: int) -> str:
    """The longest beginning that fits into so many columns."""
    room = width
    for at, character in enumerate(text):
        room -= _width(character)
        if room < 0:
            return text[:at]
    return text


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
