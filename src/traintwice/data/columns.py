"""What the numbers of a row of a table are: numeric columns first, then the codes of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from traintwice.errors import BadInput

LARGEST_VOCABULARY = 2**24
"""Codes travel as float32, which holds every whole number up to here."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table, in the order of a row's numbers.

    Args:
        numeric: the numeric ones, which come first.
        categorical: the others, whose numbers are codes 0 … size − 1.
        sizes: of the vocabulary of each categorical column, from 1 to 2^24.
        values: what the codes of a categorical column stand for, by its name; hashed columns have none.
    Raises:
        BadInput: sizes that do not fit.
    Example:
        >>> c = Columns(("distance",), ("carrier", "origin"), (16, 3))
        >>> c.width, c.offsets.tolist(), c.vocabulary
        (3, [0, 16], 19)
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    sizes: tuple[int, ...]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.categorical):
            raise BadInput(
                f"Columns: got {len(self.sizes)} sizes for {len(self.categorical)} categorical columns, expected one for each"
            )
        for name, size in zip(self.categorical, self.sizes, strict=True):
            if not 1 <= size <= LARGEST_VOCABULARY:
                raise BadInput(f"Columns: {name} has {size:,} categories, expected 1 to {LARGEST_VOCABULARY:,}; hash it to fewer")

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return len(self.numeric) + len(self.categorical)

    @property
    def vocabulary(self) -> int:
        """Categories of all columns together."""
        return sum(self.sizes)

    @property
    def offsets(self) -> np.ndarray:
        """Where each categorical column begins in one table of all categories (int64)."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)[: len(self.sizes)]

    def in_words(self, row: np.ndarray) -> list[str]:
        """A row as a person reads it, categories first.

        >>> Columns(("distance",), ("carrier", "C1"), (2, 9), {"carrier": ("AA", "UA")}).in_words(np.array([0.5, 1, 7]))
        ['carrier UA', 'C1 #7', 'distance 0.5']
        """
        first = len(self.numeric)
        codes = zip(self.categorical, row[first:].astype(int).tolist(), strict=True)
        words = [f"{name} {self.values[name][code]}" if name in self.values else f"{name} #{code}" for name, code in codes]
        return words + [f"{name} {value:.3g}" for name, value in zip(self.numeric, row[:first].tolist(), strict=True)]

    def select(self, places: Sequence[int]) -> Columns:
        """The columns at some places of a row.

        Raises:
            BadInput: a numeric column after a categorical one.
        """
        first = len(self.numeric)
        chosen = [p - first for p in places if p >= first]
        numeric = tuple(self.numeric[p] for p in places if p < first)
        if list(places) != [*(p for p in places if p < first), *(p + first for p in chosen)]:
            raise BadInput(f"columns {list(places)}: got a numeric column after a categorical one; numeric columns come first")
        names = tuple(self.categorical[c] for c in chosen)
        return Columns(numeric, names, tuple(self.sizes[c] for c in chosen), {n: v for n, v in self.values.items() if n in names})


class TableShape(tuple[int, ...]):
    """The shape of a row, ``(columns,)``, that knows what its numbers are.

    It is a plain tuple to every network that does not ask.

    Example:
        >>> shape = TableShape.of(Columns(("distance",), ("carrier",), (16,)))
        >>> shape, shape.columns.categorical
        ((2,), ('carrier',))
    """

    columns: Columns

    @classmethod
    def of(cls, columns: Columns) -> TableShape:
        """The shape of rows with these columns."""
        made = cls((columns.width,))
        made.columns = columns
        return made
