"""Tables and sheets as data, and their printed forms: terminal text, Markdown, CSV, JSON and HTML."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib import import_module
from typing import Any, Literal

from traintwice._formatting import columns_of, cut, decimals_for, format_cell, is_symmetric, pad, plain_markdown, wrap
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.types import Estimate, plain_number

CellUnit = Literal["fraction", "points", "number", "cost", "text", "mixed"]
"""``fraction``: printed in percent. ``points``: in percentage points. ``cost``: a multiple of the baseline, "2x". ``mixed``: the unit
of the row."""

Cell = Estimate | float | str | None

OUTCOMES = ("outcome", "verdict")
"""Keys of columns whose cells are outcomes of a gate or verdicts on a floor."""

NARROWEST = 40
"""Smallest width that text is laid out for."""

GAP, INDENT = 2, 4

HEADLINE_LINES, DETAIL_LINES = 3, 2
"""Lines of the headline and of a detail where a sheet is cut to a screen."""

Paint = Callable[[str, str], str]
"""Colours a text by its meaning: a concern ("problem", "fine", "inconclusive") or an outcome ("over", "kept" …)."""


@dataclass(frozen=True)
class Column:
    """A column: its key in JSON and CSV, its title, and the unit of its cells."""

    key: str
    title: str
    unit: CellUnit = "number"


def text_columns(*keys: str, **titles: str) -> tuple[Column, ...]:
    """Columns of text: those whose title is their key, then those with another title."""
    return tuple(Column(key, title, "text") for key, title in ({key: key for key in keys} | titles).items())


@dataclass(frozen=True)
class Row:
    """A row: its name, its cells by column key, and the unit of its cells in "mixed" columns."""

    name: str
    cells: Mapping[str, Cell]
    unit: CellUnit = "number"


@dataclass(frozen=True)
class Table:
    """A titled table with notes, printed as text, Markdown, CSV, JSON or HTML."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def split(self, width: int, *, first: Sequence[str] = ()) -> list[Table]:
        """The table as several tables that fit a terminal; each repeats the names of the rows.

        Args:
            width: of the terminal, in columns.
            first: keys of the columns of the first part; the other columns follow in their order.
        """
        lead = [c for key in first for c in self.columns if c.key == key]
        shown = dict(zip([c.key for c in self.columns], zip(*self.strings(), strict=True), strict=True))
        names = min(max(columns_of(row.name) for row in self.rows), width // 2)  # longer ones are folded
        parts: list[list[Column]] = []
        for group in (lead, [c for c in self.columns if c not in lead]):
            room = 0
            for column in group:
                needs = max(map(columns_of, (column.title, *shown[column.key]))) + 2
                if room < needs:
                    parts.append([])
                    room = width - names
                parts[-1].append(column)
                room -= needs
        return [Table(self.title, tuple(columns), self.rows, self.notes) for columns in parts]

    def strings(self) -> list[list[str]]:
        """Cells as printed, one list for each row, without names; a column prints ± if all its intervals are symmetric."""
        printed = []
        for column in self.columns:
            cells = [row.cells.get(column.key) for row in self.rows]
            units = [row.unit if column.unit == "mixed" else column.unit for row in self.rows]
            shared = decimals_for(cells, column.unit)
            decimals = [decimals_for([c], u) if column.unit == "mixed" else shared for c, u in zip(cells, units, strict=True)]
            each = list(zip(cells, units, decimals, strict=True))
            plus_minus = all(is_symmetric(c, u, d) for c, u, d in each if isinstance(c, Estimate))
            printed.append([format_cell(c, u, d, plus_minus=plus_minus) for c, u, d in each])
        return [list(cells) for cells in zip(*printed, strict=True)]

    def to_text(self, paint: Paint | None = None) -> str:
        """Aligned plain text, title first and notes last; outcomes and verdicts may be coloured by their words."""
        lines = [["", *[c.title for c in self.columns]]]
        lines += [[row.name, *cells] for row, cells in zip(self.rows, self.strings(), strict=True)]
        widths = [max(columns_of(line[i]) for line in lines) for i in range(len(lines[0]))]
        right = [False, *[c.unit not in ("text", "mixed") for c in self.columns]]
        padded = [list(map(pad, line, widths, right)) for line in lines]
        coloured = [i for i, c in enumerate(self.columns, start=1) if c.key in OUTCOMES]
        if paint is not None:
            for cells, line in zip(padded[1:], lines[1:], strict=True):
                for i in coloured:
                    cells[i] = cells[i].replace(line[i], paint(line[i], line[i]), 1)
        aligned = ["  ".join(cells).rstrip() for cells in padded]
        return "\n".join([self.title, "", *aligned, *self.notes])

    def to_markdown(self) -> str:
        """A GitHub-flavoured Markdown table."""

        def line(cells: list[str]) -> str:
            return "| " + " | ".join(plain_markdown(cell) for cell in cells) + " |"

        rules = ["---", *["---" if c.unit == "text" else "---:" for c in self.columns]]
        lines = [line(["", *[c.title for c in self.columns]]), "|" + "|".join(rules) + "|"]
        lines += [line([row.name, *cells]) for row, cells in zip(self.rows, self.strings(), strict=True)]
        notes = [f"\n{plain_markdown(note)}" for note in self.notes]
        title = [f"**{plain_markdown(self.title)}**", ""] if self.title else []
        return "\n".join([*title, *lines, *notes, ""])

    def to_csv(self) -> str:
        """Raw numbers: for an estimate the columns key, key_low, key_high; fractions stay fractions."""
        spread = {c.key for c in self.columns if any(isinstance(r.cells.get(c.key), Estimate) for r in self.rows)}

        def parts(key: str, cell: Cell) -> list[Any]:
            known = [cell.value, cell.low, cell.high] if isinstance(cell, Estimate) else ["" if cell is None else cell, "", ""]
            return known if key in spread else known[:1]

        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        ends = {key: [key, f"{key}_low", f"{key}_high"] for key in spread}
        writer.writerow(["name", *(name for c in self.columns for name in ends.get(c.key, [c.key]))])
        for row in self.rows:
            cells = [row.name, *(part for c in self.columns for part in parts(c.key, row.cells.get(c.key)))]
            writer.writerow([_no_formula(cell) for cell in cells])
        return out.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""

        def plain(cell: Cell) -> Any:
            return cell.to_dict() if isinstance(cell, Estimate) else plain_number(cell)

        return {
            "title": self.title,
            "columns": [{"key": c.key, "title": c.title, "unit": c.unit} for c in self.columns],
            "rows": [{"name": r.name, **{c.key: plain(r.cells.get(c.key)) for c in self.columns}} for r in self.rows],
            "notes": list(self.notes),
        }

    def to_html(self) -> str:
        """A ``<table>`` without styles; all text is escaped."""
        titles = [escape(c.title) for c in self.columns]
        head = "".join(f'<th scope="col">{title}</th>' for title in titles)
        body = ""
        for row, cells in zip(self.rows, self.strings(), strict=True):
            body += f'<tr><th scope="row">{escape(row.name)}</th>'
            body += "".join(f'<td data-title="{t}">{escape(cell)}</td>' for t, cell in zip(titles, cells, strict=True)) + "</tr>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        caption = f"<caption>{escape(self.title)}</caption>"
        return f"<table>{caption}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        return self.to_text()


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
    "History": "traintwice.tables._gate.history_sheet",
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


def _no_formula(cell: Any) -> Any:
    """Text that no spreadsheet takes for a formula; numbers are unchanged.

    >>> _no_formula("=1+1"), _no_formula("-x"), _no_formula(-1.5)
    ("'=1+1", "'-x", -1.5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
