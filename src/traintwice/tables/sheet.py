"""Results for people: lines, tables and notes, as terminal text, Markdown and HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from html import escape
from typing import Any

from traintwice.tables.table import Table
from traintwice.tables.text import columns_of, cut, pad, plain_markdown, wrap

NARROWEST = 40
"""Narrower terminals are written to as if they had so many columns."""

ROOM_FOR_DETAIL = 24
"""With fewer columns left, the detail of a line is printed below it."""

GAP = 2


@dataclass(frozen=True)
class Line:
    """A line of a sheet: its name, a value as printed, and detail. An ``inner`` line belongs to the line above."""

    name: str
    value: str
    detail: str = ""
    inner: bool = False


@dataclass(frozen=True)
class Sheet:
    """The printed form of a result.

    Attributes:
        headline: what was compared.
        verdict: the result in a sentence.
        lines: answers or numbers.
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

    def to_text(self, width: int = 120, *, whole_names: bool = True) -> str:
        """Plain text of at most so many columns; tables that do not fit come in parts, names repeated.

        Args:
            width: in columns; at least `NARROWEST`.
            whole_names: names of rows are printed whole, however long; else cut to a third of the width.
        """
        width = max(width, NARROWEST)
        parts = [wrap(self.headline, width), "\n".join(self._grid(width)), wrap(self.verdict, width)]
        parts.append("\n".join(wrap(f"{heading}: {text}", width) for heading, text in self.paragraphs))
        parts += ["\n".join(_table(table, width, whole_names)) for table in self.tables]
        parts.append("\n".join(wrap(note, width) for note in self.notes))
        return "\n\n".join(part for part in parts if part)

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown, verdict first; nothing in a name is read as markup."""
        plain = plain_markdown
        parts = [f"**{plain(self.verdict)}**" if self.verdict else "", plain(self.headline)]
        if self.lines:
            rows = [
                f"| {'&nbsp;&nbsp;' if line.inner else ''}{plain(line.name)} | {plain(line.value)} | {plain(line.detail)} |"
                for line in self.lines
            ]
            parts.append("\n".join(["| | | |", "|---|---|---|", *rows]))
        parts += [f"**{plain(heading)}**: {plain(text)}" for heading, text in self.paragraphs]
        parts += [table.to_markdown().rstrip() for table in self.tables]
        parts.append("\n".join(f"- {plain(note)}" for note in self.notes))
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_html(self) -> str:
        """A fragment for notebooks, everything in it escaped."""
        left = "text-align:left"
        rows = "".join(
            f'<tr><th scope="row" style="{left}{";padding-left:1.5em" if line.inner else ""}">{escape(line.name)}</th>'
            f'<td style="{left}">{escape(line.value)}</td><td style="{left}">{escape(line.detail)}</td></tr>'
            for line in self.lines
        )
        paragraphs = "".join(f"<p><b>{escape(heading)}</b>: {escape(text)}</p>" for heading, text in self.paragraphs)
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        tables = "".join(table.to_html() for table in self.tables)
        lines = f"<table><caption>{escape(self.headline)}</caption><tbody>{rows}</tbody></table>" if rows or self.headline else ""
        return f"<p><b>{escape(self.verdict)}</b></p>{lines}{paragraphs}{tables}{notes}"

    def _grid(self, width: int) -> Iterator[str]:
        """Names, values and details in three columns, the details below where the width does not hold them."""
        if not self.lines:
            return
        names = [("  " if line.inner else "") + line.name for line in self.lines]
        first = min(max(map(columns_of, names)), width // 2)
        second = min(max(columns_of(line.value) for line in self.lines), width - first - GAP)
        room = width - first - second - 2 * GAP
        for name, line in zip(names, self.lines, strict=True):
            head = pad(cut(name, first), first) + " " * GAP
            if line.detail and room >= ROOM_FOR_DETAIL:
                detail = wrap(line.detail, room).splitlines()
                yield head + pad(line.value, second) + " " * GAP + detail[0]
                yield from (" " * (first + second + 2 * GAP) + rest for rest in detail[1:])
                continue
            value = wrap(line.value, second).splitlines() or [""]
            yield (head + value[0]).rstrip()
            yield from (" " * (first + GAP) + rest for rest in value[1:])
            if line.detail:
                yield textwrap.indent(wrap(line.detail, width - 4), "    ")


@singledispatch
def sheet_of(result: Any) -> Sheet:
    """The sheet of a result. Packages above register one function for each type of result with ``@sheet_of.register``."""
    return Sheet(type(result).__name__, "")


def _table(table: Table, width: int, whole_names: bool) -> Sequence[str]:
    longest = max(width // 3, 12)
    rows = table.rows if whole_names else tuple(replace(row, name=cut(row.name, longest)) for row in table.rows)
    small = replace(table, title="", rows=rows, notes=())
    texts = [part.to_text().lstrip("\n") for part in small.split(width)]
    return [part for part in (wrap(table.title, width), *texts, *[wrap(note, width) for note in table.notes]) if part]
