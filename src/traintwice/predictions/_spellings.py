"""Labels that are text: one class that is spelled in two ways, and missing cells that are written as a word."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from itertools import combinations

from traintwice.errors import BadInput
from traintwice.predictions._source import Source

MISSING = frozenset(("", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "\\n", "-", "--", "?", "."))
"""How programs write a missing cell, in small letters."""

Cells = Sequence[tuple[Source, str]]


def refuse_two_spellings(cells: Cells, vocabularies: Sequence[Collection[str]]) -> None:
    """Raise `BadInput` where two classes differ only in capitals, spaces or Unicode form, and no column has both of them."""
    spellings: dict[str, dict[str, set[int]]] = {}
    for n, words in enumerate(vocabularies):
        for word in words:
            plain = " ".join(unicodedata.normalize("NFKC", word).casefold().split())
            spellings.setdefault(plain, {}).setdefault(word, set()).add(n)
    for ways in spellings.values():
        for one, other in combinations(sorted(ways), 2):
            if not ways[one] & ways[other]:
                (a, b), (c, d) = (cells[min(ways[word])] for word in (one, other))
                words = [repr(word) if word.isascii() else ascii(word) for word in (one, other)]
                advice = (
                    "they differ only in capitals, spaces or Unicode form. Write the labels of all files alike, or pass --classes "
                    "with the names of all classes"
                )
                raise BadInput(
                    f"different label maps: {a.name} has {words[0]} in {b!r} and {c.name} has {words[1]} in {d!r}; {advice}",
                    without_cells=f"different label maps: {a.name} in {b!r} and {c.name} in {d!r} have alike classes; {advice}",
                )


def refuse_missing(
    cells: Cells, vocabularies: Sequence[Collection[str]], labels: Collection[tuple[str, str]], *, votes: bool
) -> str:
    """Raise `BadInput` where text of a missing cell is in labels or in predictions alone.

    Args:
        labels: the names of files and their columns that hold true labels; the other cells are predictions.
        votes: predictions are labels too.
    Returns:
        A sentence on such text that is taken for a class; empty where there is none.
    """
    texts = {word for words in vocabularies for word in words if word.strip().lower() in MISSING}
    for word in sorted(texts):
        having = [cell for cell, words in zip(cells, vocabularies, strict=True) if word in words]
        in_labels = [(source.name, column) in labels for source, column in having]
        if (labels and len(set(in_labels)) == 1) or not votes:
            (source, column), others = having[0], "no file predicts it" if in_labels[0] else "no label is that"
            told = f"looks like a missing cell{f': {others}' if votes else ''}. Leave missing cells empty, or pass --classes with the names"
            raise BadInput(
                f"{source.name}: {word!r} in {column!r} {told} of all classes",
                without_cells=f"{source.name}: a label in {column!r} {told} of all classes",
            )
    return f"; {', '.join(map(repr, sorted(texts)))} counted as a class" if texts else ""
