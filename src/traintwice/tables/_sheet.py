"""A result as a person reads it: headline, lines, verdict, tables and notes; printed as terminal text, Markdown and HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib import import_module

from traintwice._formatting import columns_of, cut, pad, plain_markdown, wrap
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.tables._table import Table

NARROWEST = 40
"""Smallest width that text is laid out for."""

GAP, INDENT = 2, 4

HEADLINE_LINES, DETAIL_LINES = 3, 2
"""Lines of the headline and of a detail where a sheet is cut to a screen."""

Paint = Callable[[str, str], str]
"""Colours a text by its meaning: a concern ("problem", "fine", "inconclusive") or an outcome ("over", "kept" …)."""


@dataclass(frozen=True)
class Line:
    """A line of a sheet: its name, a value as printed, detail, and the concern that colours the value."""

    name: str
    value: str
    detail: str = ""
    concern: str = ""


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
        concern: colours the words of the verdict before its colon.
    """

    headline: str
    verdict: str
    lines: tuple[Line, ...] = ()
    paragraphs: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    concern: str = ""

    def to_text(self, width: int = 120, *, whole_names: bool = True, screen: bool = False, paint: Paint | None = None) -> str:
        """Plain text of at most this width. Wide tables are split; each part repeats the names of the rows.

        Args:
            width: in columns; at least `NARROWEST`.
            whole_names: print names of rows whole; otherwise cut them to a third of the width.
            screen: cut the headline to 3 lines and details to 2; otherwise all text is whole.
            paint: colours verdicts; None for plain text.
        """
        width = max(width, NARROWEST)
        headline = _lines(self.headline, width, HEADLINE_LINES if screen else None)
        verdict, words = wrap(self.verdict, width), self.verdict.partition(":")[0]
        if paint and self.concern and verdict.startswith(words):
            verdict = paint(words, self.concern) + verdict.removeprefix(words)
        parts = ["\n".join(headline), "\n".join(self._grid(width, screen, paint)), verdict]
        parts.append("\n".join(wrap(f"{heading}: {text}", width) for heading, text in self.paragraphs))
        parts += ["\n".join(_table(table, width, whole_names, paint)) for table in self.tables]
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

    def _grid(self, width: int, screen: bool, paint: Paint | None) -> Iterator[str]:
        """Names and values in two columns; a detail is on the same line if it fits there whole, otherwise below in the full width."""
        if not self.lines:
            return
        first = min(max(columns_of(line.name) for line in self.lines), width // 2)
        room = width - first - GAP
        beside = list(self.lines)
        second = 0
        while beside:
            second = max(columns_of(line.value) for line in beside)
            fitting = [line for line in beside if second + GAP + columns_of(line.detail) <= room]
            if len(fitting) == len(beside):
                break
            beside = fitting
        for line in self.lines:
            head = pad(cut(line.name, first), first) + " " * GAP
            value = wrap(line.value, room).splitlines() or [""]
            painted = [paint(part, line.concern) if paint and line.concern else part for part in value]
            if line in beside:
                space = " " * (second - columns_of(line.value) + GAP)
                yield (head + painted[0] + space + line.detail).rstrip()
                continue
            yield (head + painted[0]).rstrip()
            yield from (" " * (first + GAP) + part for part in painted[1:])
            if line.detail:
                below = _lines(line.detail, width - INDENT, DETAIL_LINES if screen else None)
                yield textwrap.indent("\n".join(below), " " * INDENT)


SHEETS = {
    "Against": "traintwice.tables._measures.against_sheet",
    "Diff": "traintwice.tables._diff.diff_sheet",
    "GateResult": "traintwice.tables._gate.gate_sheet",
    "Measures": "traintwice.tables._measures.measures_sheet",
    "Plan": "traintwice.tables._measures.plan_sheet",
    "RecipeComparison": "traintwice.tables._measures.recipes_sheet",
    "SelectiveEnsemble": "traintwice.tables._measures.selective_sheet",
    "PredictionUpdate": "traintwice.tables._measures.update_sheet",
    "TokenDiff": "traintwice.tables._measures.tokens_sheet",
    "History": "traintwice.tables._kept.history_sheet",
    "SelfTest": "traintwice.tables._gate.self_test_sheet",
}
"""Name of a type of result to the function that makes its sheet; the module is imported when the sheet is needed."""


@typed
def sheet_of(result: object) -> Sheet:
    """The sheet of a result of `traintwice.compare`. Raises `BadInput` for anything else."""
    if type(result).__name__ not in SHEETS:
        raise BadInput(f"result: got a {type(result).__name__}, expected a result of traintwice: {', '.join(SHEETS)}")
    module, _, function = SHEETS[type(result).__name__].rpartition(".")
    made: Sheet = getattr(import_module(module), function)(result)
    return made


def _lines(text: str, width: int, most: int | None) -> list[str]:
    """The text in lines of at most this width; what is beyond the last line is cut."""
    lines = wrap(text, width).splitlines()
    if most is None or len(lines) <= most:
        return lines
    return [*lines[: most - 1], cut(" ".join(lines[most - 1 :]), width)]


def _table(table: Table, width: int, whole_names: bool, paint: Paint | None) -> Sequence[str]:
    longest = max(width // 3, 12)
    rows = table.rows if whole_names else tuple(replace(row, name=cut(row.name, longest)) for row in table.rows)
    small = replace(table, title="", rows=rows, notes=())
    texts = [part.to_text(paint).lstrip("\n") for part in small.split(width)]
    return [part for part in (wrap(table.title, width), *texts, *[wrap(note, width) for note in table.notes]) if part]
