"""A page of numbers with words beside them, and its forms: terminal, Markdown, HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from html import escape
from typing import Any

from traintwice.tables.markdown import plain_markdown
from traintwice.tables.table import Table
from traintwice.tables.width import columns_of, cut, pad, wrap

NARROWEST = 40
"""Narrower terminals are written to as if they had so many columns."""

BESIDE = 24
"""With fewer columns left, words stand beneath their number."""

GAP = 2


@dataclass(frozen=True)
class Line:
    """A number: its name, the number as printed, and what is said of it. ``inner`` lines belong to the line above."""

    name: str
    value: str
    said: str = ""
    inner: bool = False


@dataclass(frozen=True)
class Sheet:
    """What a verb says.

    Attributes:
        headline: what was compared.
        verdict: what it comes to, in a sentence.
        lines: numbers.
        paragraphs: heading and text.
        tables: what needs columns.
        notes: what must be known to read the rest.
    """

    headline: str
    verdict: str
    lines: tuple[Line, ...] = ()
    paragraphs: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def to_text(self, width: int = 120) -> str:
        """Plain text of at most so many columns; tables that do not fit come in parts, names repeated."""
        width = max(width, NARROWEST)
        parts = [wrap(self.headline, width), "\n".join(self._grid(width))]
        parts += [wrap(f"{heading}: {text}", width) for heading, text in self.paragraphs]
        parts += [part for table in self.tables for part in _table(table, width)]
        parts += ["\n".join(wrap(note, width) for note in self.notes), wrap(self.verdict, width)]
        return "\n\n".join(part for part in parts if part)

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown, verdict first; nothing in a name is read as markup."""
        said = plain_markdown
        parts = [f"**{said(self.verdict)}**", said(self.headline)]
        if self.lines:
            rows = [
                f"| {'&nbsp;&nbsp;' if line.inner else ''}{said(line.name)} | {said(line.value)} | {said(line.said)} |"
                for line in self.lines
            ]
            parts.append("\n".join(["| | | |", "|---|---:|---|", *rows]))
        parts += [f"**{said(heading)}**: {said(text)}" for heading, text in self.paragraphs]
        parts += [table.to_markdown().rstrip() for table in self.tables]
        parts.append("\n".join(f"- {said(note)}" for note in self.notes))
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_html(self) -> str:
        """A fragment for notebooks, everything in it escaped."""
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left{";padding-left:1.5em" if line.inner else ""}">{escape(line.name)}</th>'
            f'<td>{escape(line.value)}</td><td style="text-align:left">{escape(line.said)}</td></tr>'
            for line in self.lines
        )
        paragraphs = "".join(f"<p><b>{escape(heading)}</b>: {escape(text)}</p>" for heading, text in self.paragraphs)
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        tables = "".join(table.to_html() for table in self.tables)
        numbers = f"<table><caption>{escape(self.headline)}</caption><tbody>{rows}</tbody></table>"
        return f"<p><b>{escape(self.verdict)}</b></p>{numbers}{paragraphs}{tables}{notes}"

    def _grid(self, width: int) -> Iterator[str]:
        """Names, numbers and words in three columns, the words beneath where the width does not hold them."""
        if not self.lines:
            return
        names = [("  " if line.inner else "") + line.name for line in self.lines]
        first = min(max(map(columns_of, names)), width // 2)
        second = max(columns_of(line.value) for line in self.lines)
        room = width - first - second - 2 * GAP
        for name, line in zip(names, self.lines, strict=True):
            head = pad(cut(name, first), first) + " " * GAP
            if line.said and room >= BESIDE:
                said = wrap(line.said, room).splitlines()
                yield head + pad(line.value, second) + " " * GAP + said[0]
                yield from (" " * (first + second + 2 * GAP) + rest for rest in said[1:])
            else:
                yield (head + line.value).rstrip()
                if line.said:
                    yield textwrap.indent(wrap(line.said, width - 4), "    ")


@singledispatch
def sheet_of(result: Any) -> Sheet:
    """The sheet of a result. Rooms above register one function for each type of result with ``@sheet_of.register``."""
    return Sheet(type(result).__name__, "")


def _table(table: Table, width: int) -> Sequence[str]:
    longest = max(width // 3, 12)
    rows = tuple(replace(row, name=cut(row.name, longest)) for row in table.rows)
    small = replace(table, title="", rows=rows, notes=())
    texts = [part.to_text().lstrip("\n") for part in small.split(width)]
    return [part for part in (wrap(table.title, width), *texts, *[wrap(note, width) for note in table.notes]) if part]
