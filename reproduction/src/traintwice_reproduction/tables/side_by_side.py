"""A reproduced table: our numbers with the paper's in grey, in the paper's order of columns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from traintwice._formatting import plain_markdown

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {c: f"\\{c}" for c in "&%$#_{}"} | {"±": r"$\pm$", "–": "--", "−": "$-$", "α": r"$\alpha$", "β": r"$\beta$"}
_LATEX |= {"λ": r"$\lambda$", "γ": r"$\gamma$", "Δ": r"$\Delta$", "₁": "$_1$", "₂": "$_2$", "·": r"$\cdot$", "×": r"$\times$"}
_LATEX |= {"ʳ": "$^r$", "¹": "$^1$", "ᴸ": "$^L$", "ᴴ": "$^H$"}


@dataclass(frozen=True)
class Pair:
    """A cell: our number and the paper's as text; either may be empty."""

    ours: str
    paper: str = ""


@dataclass(frozen=True)
class PaperTable:
    """A titled table of texts and pairs.

    Args:
        title: one line.
        header: of every column.
        rows: one cell for each column; a text is a heading of its row.
        notes: sentences below the table.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | Pair, ...], ...]
    notes: tuple[str, ...] = ()

    def split(self, width: int) -> list[PaperTable]:
        """Tables of at most ``width`` characters; each repeats the headings of the rows."""
        needs = [max(len(text) for text in (title, *_texts(self, i))) + 2 for i, title in enumerate(self.header)]
        headings = [i for i in range(len(self.header)) if all(isinstance(row[i], str) for row in self.rows)]
        taken = sum(needs[i] for i in headings)
        parts: list[list[int]] = []
        room = 0
        for i in (i for i in range(len(self.header)) if i not in headings):
            if room < needs[i]:
                parts.append([])
                room = width - taken
            parts[-1].append(i)
            room -= needs[i]
        return [self._of([*headings, *columns]) for columns in parts or [[]]]

    def _of(self, columns: list[int]) -> PaperTable:
        rows = tuple(tuple(row[i] for i in columns) for row in self.rows)
        return PaperTable(self.title, tuple(self.header[i] for i in columns), rows, self.notes)

    def to_rich(self) -> RichTable:
        """For a terminal: the paper's numbers dim, below ours."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for place, title in enumerate(self.header):
            words = all(isinstance(row[place], str) for row in self.rows)
            table.add_column(Text(title), justify="left" if words else "right", no_wrap=not words, overflow="fold")
        for row in self.rows:
            cells = []
            for cell in row:
                if isinstance(cell, str):
                    cells.append(Text(cell))
                else:
                    cells.append(Text(cell.ours) + Text(f"\n{cell.paper}" if cell.paper else "", style="dim"))
            table.add_row(*cells)
        return table

    def to_text(self) -> str:
        """Aligned plain text; the paper's numbers in square brackets."""
        body = [[c if isinstance(c, str) else f"{c.ours} [{c.paper}]" if c.paper else c.ours for c in row] for row in self.rows]
        lines = [list(self.header), *body]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([self.title, "", *text, *self.notes])

    def to_markdown(self) -> str:
        """A GitHub-flavoured Markdown table; the paper's numbers small, below ours."""

        def shown(cell: str | Pair) -> str:
            if isinstance(cell, str):
                return plain_markdown(cell)
            below = f"<br><sub>{plain_markdown(cell.paper)}</sub>" if cell.paper else ""
            return plain_markdown(cell.ours) + below

        lines = ["| " + " | ".join(plain_markdown(title) for title in self.header) + " |"]
        lines.append("|" + " --- |" * len(self.header))
        lines += ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in self.rows]
        return (
            "\n".join([f"**{plain_markdown(self.title)}**", "", *lines, "", *[f"{plain_markdown(n)}  " for n in self.notes]])
            + "\n"
        )

    def to_latex(self) -> str:
        """A LaTeX ``tabular`` for booktabs and xcolor; the paper's numbers in grey."""

        def shown(cell: str | Pair) -> str:
            if isinstance(cell, str):
                return latex(cell)
            grey = f" \\textcolor{{gray}}{{{latex(cell.paper)}}}" if cell.paper else ""
            return latex(cell.ours) + grey

        lines = [f"% {self.title}", f"\\begin{{tabular}}{{{'l' * len(self.header)}}}", "\\toprule"]
        lines += [" & ".join(latex(title) for title in self.header) + r" \\", "\\midrule"]
        lines += [" & ".join(shown(cell) for cell in row) + r" \\" for row in self.rows]
        return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", *[f"% {note}" for note in self.notes]]) + "\n"

    def to_html(self) -> str:
        """A plain ``<table>``."""

        def shown(cell: str | Pair) -> str:
            if isinstance(cell, str):
                return f"<td>{escape(cell)}</td>"
            grey = f'<br><span style="color:#767676">{escape(cell.paper)}</span>' if cell.paper else ""
            return f'<td style="text-align:right">{escape(cell.ours)}{grey}</td>'

        head = "".join(f"<th>{escape(title)}</th>" for title in self.header)
        body = "".join(f"<tr>{''.join(shown(cell) for cell in row)}</tr>" for row in self.rows)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<table><caption>{escape(self.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [[c if isinstance(c, str) else {"ours": c.ours, "paper": c.paper or None} for c in row] for row in self.rows]
        return {"title": self.title, "header": list(self.header), "rows": rows, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> PaperTable:
        """The table of `to_dict`."""
        rows = tuple(tuple(c if isinstance(c, str) else Pair(c["ours"], c["paper"] or "") for c in row) for row in plain["rows"])
        return cls(plain["title"], tuple(plain["header"]), rows, tuple(plain["notes"]))

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        return self.to_text()


def _texts(table: PaperTable, column: int) -> list[str]:
    cells = [row[column] for row in table.rows]
    return [text for c in cells for text in ((c,) if isinstance(c, str) else (c.ours, c.paper))]


def latex(text: str) -> str:
    r"""Text with the special characters of LaTeX escaped.

    >>> latex("5.72 ±0.18 %")
    '5.72 $\\pm$0.18 \\%'
    """
    return "".join(_LATEX.get(character, character) for character in text)
