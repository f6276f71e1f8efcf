"""A result as a person reads it: headline, lines, verdict, tables and notes; printed as terminal text, Markdown and HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib import import_module

from traintwice._formatting import columns_of, cut, pad, plain_markdown, wrap
from traintwice.tables._table import Table

NARROWEST = 40
"""Smallest width that text is laid out for."""

ROOM_FOR_DETAIL = 32
"""If fewer columns are left, the detail of a line is printed below the line."""

GAP = 2


@dataclass(frozen=True)
class Line:
    """A line of a sheet: its name, a value as printed, and detail."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Sheet:
    """The printed form of a result.

    Attributes:
        headline: the files or recipes compared.
        verdict: the result in a sentence.
        lines: one for each answer or number.
        paragraphs: headings, each with its text.
        tables: printed after the lines.
        notes: how to read the numbers, and what was left out.
    """

    headline: str
    verdict: str
    lines: tuple[Line, ...] = ()
    paragraphs: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def to_text(self, width: int = 120, *, whole_names: bool = True) -> str:
        """Plain text of at most this width. Wide tables are split; each part repeats the names of the rows.

        Args:
            width: in columns; at least `NARROWEST`.
            whole_names: print names of rows whole; otherwise cut them to a third of the width.
        """
        width = max(width, NARROWEST)
        parts = [wrap(self.headline, width), "\n".join(self._grid(width)), wrap(self.verdict, width)]
        parts.append("\n".join(wrap(f"{heading}: {text}", width) for heading, text in self.paragraphs))
        parts += ["\n".join(_table(table, width, whole_names)) for table in self.tables]
        parts.append("\n".join(wrap(note, width) for note in self.notes))
        return "\n\n".join(part for part in parts if part)

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown, verdict first; all text is escaped."""
        plain = plain_markdown
        parts = [f"**{plain(self.verdict)}**" if self.verdict else "", plain(self.headline)]
        if self.lines:
            rows = [f"| {plain(line.name)} | {plain(line.value)} | {plain(line.detail)} |" for line in self.lines]
            parts.append("\n".join(["| | | |", "|---|---|---|", *rows]))
        parts += [f"**{plain(heading)}**: {plain(text)}" for heading, text in self.paragraphs]
        parts += [table.to_markdown().rstrip() for table in self.tables]
        parts.append("\n".join(f"- {plain(note)}" for note in self.notes))
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_html(self) -> str:
        """An HTML fragment for notebooks; all text is escaped."""
        left = 'style="text-align:left"'
        rows = "".join(
            f'<tr><th scope="row" {left}>{escape(line.name)}</th>'
            f"<td {left}>{escape(line.value)}</td><td {left}>{escape(line.detail)}</td></tr>"
            for line in self.lines
        )
        paragraphs = "".join(f"<p><b>{escape(heading)}</b>: {escape(text)}</p>" for heading, text in self.paragraphs)
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        tables = "".join(table.to_html() for table in self.tables)
        lines = f"<p>{escape(self.headline)}</p>" if self.headline else ""  # a caption is as narrow as its table
        if rows:
            lines = f"<table><caption>{escape(self.headline)}</caption><tbody>{rows}</tbody></table>"
        return f"<p><b>{escape(self.verdict)}</b></p>{lines}{paragraphs}{tables}{notes}"

    def _grid(self, width: int) -> Iterator[str]:
        """Names, values and details in three columns; details go below the line if the width is too small."""
        if not self.lines:
            return
        first = min(max(columns_of(line.name) for line in self.lines), width // 2)
        second = min(max(columns_of(line.value) for line in self.lines), width - first - GAP)
        room = width - first - second - 2 * GAP
        for line in self.lines:
            head = pad(cut(line.name, first), first) + " " * GAP
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


SHEETS = {
    "Against": "traintwice.tables._against.against_sheet",
    "Diff": "traintwice.tables._diff.diff_sheet",
    "GateResult": "traintwice.tables._gate.gate_sheet",
    "Measures": "traintwice.tables._measures.measures_sheet",
    "Plan": "traintwice.tables._measures.plan_sheet",
    "RecipeComparison": "traintwice.tables._measures.recipes_sheet",
    "SelectiveEnsemble": "traintwice.tables._answering.selective_sheet",
    "PredictionUpdate": "traintwice.tables._answering.update_sheet",
    "TokenDiff": "traintwice.tables._measures.tokens_sheet",
    "History": "traintwice.tables._history.history_sheet",
    "SelfTest": "traintwice.tables._gate.self_test_sheet",
}
"""Name of a type of result to the function that makes its sheet; the module is imported when the sheet is needed."""


def sheet_of(result: object) -> Sheet:
    """The sheet of a result of `traintwice.compare`."""
    module, _, function = SHEETS[type(result).__name__].rpartition(".")
    made: Sheet = getattr(import_module(module), function)(result)
    return made


def _table(table: Table, width: int, whole_names: bool) -> Sequence[str]:
    longest = max(width // 3, 12)
    rows = table.rows if whole_names else tuple(replace(row, name=cut(row.name, longest)) for row in table.rows)
    small = replace(table, title="", rows=rows, notes=())
    texts = [part.to_text().lstrip("\n") for part in small.split(width)]
    return [part for part in (wrap(table.title, width), *texts, *[wrap(note, width) for note in table.notes]) if part]
