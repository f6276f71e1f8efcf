"""A table as data: columns with a unit and rows of estimates; printed as text, Markdown, CSV, JSON and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from traintwice._formatting import columns_of, decimals_for, format_cell, is_symmetric, pad, plain_markdown
from traintwice.types import Estimate, plain_number

CellUnit = Literal["fraction", "points", "number", "cost", "text", "mixed"]
"""``fraction``: printed in percent. ``points``: in percentage points. ``cost``: a multiple of the baseline, "2x". ``mixed``: the unit
of the row."""

Cell = Estimate | float | str | None

OUTCOMES = ("outcome", "verdict")
"""Keys of columns whose cells are outcomes of a gate or verdicts on a floor."""


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

    def to_text(self, paint: Callable[[str, str], str] | None = None) -> str:
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


def _no_formula(cell: Any) -> Any:
    """Text that no spreadsheet takes for a formula; numbers are unchanged.

    >>> _no_formula("=1+1"), _no_formula("-x"), _no_formula(-1.5)
    ("'=1+1", "'-x", -1.5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
