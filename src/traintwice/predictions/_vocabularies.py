"""The labels that columns hold: as distinct texts, as ranges of whole numbers, and as class numbers in SQL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import combinations

from traintwice._database import Session
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden
from traintwice.predictions._source import Source, family

Names = tuple[str, ...]
Cells = Sequence[tuple[Source, str]]
"""Columns of files."""

MOST_CLASSES = 65_535
"""A column of labels has at most this many distinct values."""
TRUTH = ("False", "True")
MAPS = "different label maps: "
MISSING = frozenset(("", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "\\n", "-", "--", "?", "."))
"""How programs write a missing cell, in small letters."""


def vocabularies_of(session: Session, cells: Cells) -> list[set[str]]:
    parts = [
        f"SELECT {n} AS n, CAST({source.cell(column)} AS VARCHAR) AS name FROM {source.relation}"
        for n, (source, column) in enumerate(cells)
    ]
    sql = (
        f"SELECT DISTINCT n, name FROM ({' UNION ALL '.join(parts)}) WHERE name IS NOT NULL LIMIT {len(cells) * MOST_CLASSES + 1}"
    )
    found: list[set[str]] = [set() for _ in cells]
    for n, name in session.rows(sql, doing="reading the labels"):
        found[n].add(name)
    if len(set().union(*found)) > MOST_CLASSES:
        told = f"{cells[0][0].name}: {cells[0][1]!r} has more than {MOST_CLASSES:,} distinct texts, which is not a set of labels"
        raise BadInput(f"{told}; pass --label or --probs to choose another column")
    return found


Range = tuple[str, int, int, int]
"""Where whole numbers are, the least of them, the largest, and how many distinct ones there are."""


def ranges_of(session: Session, cells: Cells) -> list[Range]:
    """The ranges of the classes in columns of whole numbers; the number of distinct ones is 0 where no range is another's, one higher."""
    parts = [f"SELECT {class_in_sql(source, column, None)} AS v FROM {source.relation}" for source, column in cells]
    ends = (
        (n, *session.rows(f"SELECT min(v), max(v) FROM ({part})", doing="reading the labels")[0]) for n, part in enumerate(parts)
    )
    found = {n: (int(least), int(most)) for n, least, most in ends if least is not None}
    shifted = {(least + step, most + step) for least, most in found.values() for step in (-1, 1)}
    counts = {
        n: session.rows(f"SELECT count(DISTINCT v) FROM ({parts[n]})", doing="reading the labels")[0][0]
        for n, pair in found.items()
        if pair in shifted
    }
    return [(f"{cells[n][1]!r} of {cells[n][0].name}", *pair, counts.get(n, 0)) for n, pair in found.items()]


MOST_PERCENTAGES = 20
"""Distinct percentages, or numbers with a decimal comma, that may be names of classes."""

_NUMBER_AS_TEXT = re.compile(r"[-+]?\d+(?:[.,]\d+)?\s?%|[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


def refuse_shifted(ranges: Sequence[Range]) -> None:
    """Raise `BadInput` where classes count from 0 in one place and from 1 in another, as all numbers of both ranges are there.

    A place that has the least and the largest number of both shows that they are numbers of the same classes.
    """
    whole = [(name, least, most) for name, least, most, count in ranges if count == most - least + 1 > 1]
    for one, first, last in whole:
        other = next((name for name, least, most in whole if (least, most) == (1, last + 1)), None)
        both = any(least <= first and most > last for _, least, most, _ in ranges)
        if first == 0 and other is not None and not both:
            advice = "write the labels of all files alike, or pass --classes with all numbers, in their order"
            raise BadInput(f"{MAPS}classes are 0 … {last} in {one} and 1 … {last + 1} in {other}; {advice}")


def refuse_two_vocabularies(cells: Cells, vocabularies: Sequence[set[str]]) -> None:
    """Raise `BadInput` where two columns share no class, not even by way of a third column."""
    filled = [n for n, words in enumerate(vocabularies) if words]
    reached, waiting = set(vocabularies[filled[0]]), filled[1:]
    while near := [n for n in waiting if vocabularies[n] & reached]:
        reached |= set().union(*(vocabularies[n] for n in near))
        waiting = [n for n in waiting if n not in near]
    if waiting:
        places = [(cells[n], listed(sorted(vocabularies[n]))) for n in (filled[0], waiting[0])]
        raise _two_maps(places, "no class is in both. Write the labels")


def _two_maps(places: Sequence[tuple[tuple[Source, str], str]], why: str) -> BadInput:
    """The error for two columns, and what is in each, whose classes are not those of one map."""
    told = " and ".join(f"{source.name}{hidden(f' has {words}')} in {column!r}" for (source, column), words in places)
    return BadInput(f"{MAPS}{told}; {why} of all files alike, or pass --classes with the names of all classes")


def refuse_numbers_as_text(cells: Cells, vocabularies: Sequence[Collection[str]]) -> None:
    """Raise `BadInput` where very many classes are percentages, or numbers with a decimal comma."""
    for (source, column), words in zip(cells, vocabularies, strict=True):
        if len(words) > MOST_PERCENTAGES and all(map(_NUMBER_AS_TEXT.fullmatch, words)):
            told = f"{source.name}: {column!r} holds numbers that are written as text{hidden(f' (such as {min(words)!r})')}"
            raise BadInput(f"{told}, with a percent sign or a decimal comma; write them as numbers, such as 0.25")


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
                places = [(cells[min(ways[word])], repr(word) if word.isascii() else ascii(word)) for word in (one, other)]
                raise _two_maps(places, "they differ only in capitals, spaces or Unicode form. Write the labels")


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
    seen = {word for words in vocabularies for word in words}
    texts = {word for word in seen if word.strip().lower() in MISSING and not (word == "-" and "+" in seen)}
    for word in sorted(texts):
        having = [cell for cell, words in zip(cells, vocabularies, strict=True) if word in words]
        in_labels = [(source.name, column) in labels for source, column in having]
        if (labels and len(set(in_labels)) == 1) or not votes:
            (source, column), others = having[0], "no file predicts it" if in_labels[0] else "no label is that"
            told = "looks like a missing cell" + (f": {others}" if votes else "")
            told += ". Leave missing cells empty, or pass --classes with the names of all classes"
            raise BadInput(f"{source.name}: {hidden(repr(word), 'a label')} in {column!r} {told}")
    return f"; {', '.join(map(repr, sorted(texts)))} counted as a class" if texts else ""


def names_in_pairs(session: Session, source: Source, column: str) -> Names | None:
    """The classes that a column of pairs names, which are the same in all rows; None for other columns, and where no row has pairs."""
    if (names := source.named.get(column)) is None:
        return None
    sql = f"SELECT DISTINCT {names} AS n FROM {source.relation} WHERE n IS NOT NULL LIMIT 2"
    found = [tuple(map(str, row[0])) for row in session.rows(sql, doing=f"{source.name}: reading the classes")]
    if len(found) > 1:
        told, advice = (
            f"{source.name}: rows of {column!r} name different classes",
            "every row needs the probabilities of all classes",
        )
        raise BadInput(f"{told} ({' and '.join(map(listed, found))}); {advice}", without_cells=f"{told}; {advice}")
    return found[0] if found else None


def class_in_sql(source: Source, column: str, names: Names | None) -> str:
    """The class 0 … K−1 of a label in SQL; NULL where it is none."""
    cell, kind = source.cell(column), family(source.columns[column])
    if kind == "boolean":
        at = [name.lower() for name in names or ("false", "true")]
        codes = [at.index(truth) if truth in at else "NULL" for truth in ("true", "false")]
        return f"CASE CAST({cell} AS BOOLEAN) WHEN true THEN {codes[0]} WHEN false THEN {codes[1]} END"
    if kind == "number":
        value = source.number(cell)
        cell = f"CASE WHEN isfinite({value}) AND {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
    if names is not None and (kind == "text" or all(name.lstrip("-").isdigit() for name in names)):
        return f"CAST(enum_code(TRY_CAST(CAST({cell} AS VARCHAR) AS class_names)) AS BIGINT)"
    if kind == "number":
        return cell
    whole = source.columns[column] in ("INTEGER", "BIGINT") and not source.untyped
    return cell if whole else f"TRY_CAST({cell} AS BIGINT)"
