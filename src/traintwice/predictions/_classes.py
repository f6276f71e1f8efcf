"""The order of the classes and the positive class: one rule for files and arrays."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from traintwice._database import Session, literal
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden
from traintwice.predictions._layout import Layout, Recognised, names_after_prefix
from traintwice.predictions._reading import Reading
from traintwice.predictions._source import NO_NUMBER, Source, family

Names = tuple[str, ...]
Cells = Sequence[tuple[Source, str]]
"""Columns of files."""

MOST_CLASSES = 65_535
"""A column of labels has at most this many distinct values."""
TRUTH = ("False", "True")
MAPS = "different label maps: "
MISSING = frozenset(("", "nan", "nat", *map(str.lower, NO_NUMBER)))
"""How programs write a missing cell, in small letters."""


@dataclass(frozen=True)
class Classes:
    """The classes of all files.

    Attributes:
        names: in the order of the classes; None where classes are whole numbers from 0.
        positive: name of class 1 of a binary model, where something says that it is the positive one.
        rule: what gave the order and the positive class, in words; None for a regression.
    """

    names: Names | None = None
    positive: str | None = None
    rule: str | None = None


def agreed_classes(
    session: Session | None, files: Sequence[Recognised], reading: Reading
) -> tuple[Classes, Sequence[Recognised]]:
    """One order of the classes: --classes, the names of the columns, or the numbers in their order.

    Args:
        session: where labels that are text are read and the names become a type; None for arrays.
    Returns:
        The classes; and the files, where a column that looks like numbers (7 in one file, cat in another) holds names too, with their
        columns in the order of the classes.
    """
    if files[0][1].kind == "regression":
        return Classes(), files
    own = [source.class_names or layout.class_names for source, layout in files]
    stated = any(own) or bool(reading["classes"])
    names: Names | None
    if stated:
        names, rule = _stated(files, own, tuple(reading["classes"] or ()))
    else:
        names, rule, files = _in_cells(session, files, reading["positive"])
    named = _with_positive(names, rule, files, reading, stated=stated)
    base = names or ("0", "1")
    reference = next((one for one in own if one and set(one) != set(base)), base)  # what --classes renames
    swapped = named.names == base[::-1] != base and (stated or names is None)
    if swapped or any(own):
        files = [(source, _in_order(layout, one, reference, swapped)) for (source, layout), one in zip(files, own, strict=True)]
    if named.names is not None and session is not None:
        texts = ", ".join(map(literal, named.names))
        session.rows(f"CREATE TYPE class_names AS ENUM ({texts})", doing="naming the classes")
        files = [(source, replace(layout, classes=len(named.names), class_names=named.names)) for source, layout in files]
    return named, files


def _stated(files: Sequence[Recognised], own: Sequence[Names | None], explicit: Names) -> tuple[Names, str]:
    """The names of the classes that --classes, an array of names or the columns give, and how."""
    of_files = [(*file, one) for file, one in zip(files, own, strict=True) if one]
    source, layout, first = of_files[0] if of_files else (*files[0], explicit)
    unnamed = next((s for s, its in files if its.kind in ("columns", "list") and not (s.class_names or its.class_names)), None)
    if layout.class_names and unnamed is not None and not explicit:
        raise BadInput(
            f"{MAPS}{source.name} has the classes {hidden(f'{listed(first)} ')}by name, and nothing says which class comes first in "
            f"{unnamed.name}; pass --classes with the names in the order of its columns"
        )
    for other, _, one in of_files[1:]:
        if set(one) != set(first):
            told = f"{MAPS}{source.name} has {hidden(f'the classes {listed(first)}', 'classes')} and {other.name} has"
            raise BadInput(f"{told} {hidden(listed(one), 'others')}; replicas must predict the same classes")
    names = explicit or first
    of_columns = names == layout.class_names
    if len(set(names)) < len(names):
        raise BadInput(f"{source.name}: a class name is given twice{hidden(f' ({listed(names)})')}; each class needs its own")
    for each, its in files:
        if its.classes not in (None, len(names)):
            told = f"{each.name}: {len(names)} class names were given for {its.classes} classes"
            raise BadInput(f"{told}; pass one for each to --classes")
        number = its.label is not None and family(each.columns[its.label]) in ("integer", "number")
        if number and of_columns and not all(name.isdigit() for name in names):
            raise BadInput(
                f"{each.name}: labels in {its.label!r} are numbers and the columns {listed(layout.columns)} have names, so nothing "
                "says which class is 0; pass --classes with the names in the order of the numbers"
            )
    if of_columns:
        by_name = f"by name in {layout.columns[0]}: {listed(names)}"
        return names, f"classes {by_name if layout.kind == 'list' else 'in the order of the columns ' + listed(layout.columns)}"
    return names, f"classes in the order {'of --classes' if explicit else 'in ' + source.name}: {listed(names)}"


def _in_cells(
    session: Session | None, files: Sequence[Recognised], positive: str | None
) -> tuple[Names | None, str, Sequence[Recognised]]:
    """The classes that predicted labels and labels hold where nothing states them; no names for whole numbers."""
    layout = files[0][1]
    kind, count, first = layout.kind, layout.classes, layout.columns[0]
    cells = [
        (source, column)
        for source, layout in files
        for column in (*(layout.columns if layout.kind == "votes" else ()), *filter(None, [layout.label]))
    ]
    rules = {"votes": "classes are whole numbers", "score": "classes 0 and 1", "list": f"class k is entry k of {first}, from 0"}
    rule = rules.get(kind, f"class k is column k of {first} …, from 0")
    unnamed = (f"not {positive}", positive) if positive and kind == "score" else None
    texts = [cell for cell in cells if family(cell[0].columns[cell[1]]) == "text"]
    rest = [cell for cell in cells if cell not in texts]
    if not texts or session is None:
        if rest and all(family(source.columns[column]) == "boolean" for source, column in rest):
            return TRUTH, f"classes in {rest[0][1]}: {listed(TRUTH)}", files
        if session is not None and rest and positive is not None and kind == "score":
            whole = {re.sub(r"\.0+$", "", word) for words in vocabularies_of(session, rest) for word in words}
            if len(whole) == 2 and positive in whole and whole != {"0", "1"}:
                pair = tuple(sorted(whole, key=positive.__eq__))
                return pair, f"classes in {rest[0][1]}: {listed(pair)}", files
        if kind == "votes" and session is not None:
            refuse_shifted(ranges_of(session, rest))
        return None if cells else unnamed, rule, files
    of_text = [cell for cell in cells if cell in texts or cell[0].untyped]
    vocabularies = vocabularies_of(session, of_text)
    found = tuple(sorted(set().union(*vocabularies)))
    source, column = texts[0]
    truths = [cell for cell in cells if family(cell[0].columns[cell[1]]) == "boolean"]
    spelled = {name.lower() for name in found}
    if spelled <= {"false", "true"} and len(rest) == len(truths) and (truths or len(spelled) < len(found)):
        return TRUTH, f"classes in {column}: {listed(TRUTH)}, as truth values and as text", _retyped(files, cells, "BOOLEAN")
    numbers = set().union(*(words for cell, words in zip(of_text, vocabularies, strict=True) if cell not in truths))
    if all(re.fullmatch("0|[1-9][0-9]{0,17}", name) for name in numbers):
        if kind == "votes":
            refuse_shifted(ranges_of(session, cells))
        return None if found else unnamed, rule, files
    for typed, other in rest:
        if not typed.untyped:
            raise BadInput(
                f"{MAPS}{source.name} has text in {column!r} and {typed.name} has {typed.columns[other]} in "
                f"{other!r}; write the labels of all files either as names or as integers that count from 0"
            )
    refuse_numbers_as_text(of_text, vocabularies)
    refuse_two_vocabularies(of_text, vocabularies)
    refuse_two_spellings(of_text, vocabularies)
    labels = {(source.name, layout.label) for source, layout in files if layout.label is not None}
    note = refuse_missing(of_text, vocabularies, labels, votes=kind == "votes")
    numbered = {names_after_prefix(each.packed.get(its.columns[0], its.columns)) for each, its in files}
    if kind in ("columns", "list") and len(numbered) == 1 and set(found) <= set(next(iter(numbered))):  # class_0 … by number
        return next(iter(numbered)), f"classes in the order of the columns {listed(layout.columns)}", files
    if kind != "votes" and (len(found) > (count or 0) or (kind != "score" and positive is None)):
        told = f"{source.name}: labels in {column!r} are text with {len(found)} distinct values{hidden(f' ({listed(found)})')}"
        if kind == "score" and len(found) > 2:
            advice = "pass --probs with the predicted labels or a column for each class"
            raise BadInput(f"{told} and {first!r} is a score, which is for two; {advice}")
        raise BadInput(f"{told} for {count} classes; pass --classes with the names in the order of the classes")
    if positive is not None and len(found) == 1:
        found = (f"not {positive}" if found[0] == positive else found[0], positive)
    return found, f"classes in {column}: {listed(found)}{note}", _retyped(files, rest, "VARCHAR")


def _retyped(files: Sequence[Recognised], cells: Cells, kind: str) -> list[Recognised]:
    """The files with some columns of another type."""
    named = {(each.name, column) for each, column in cells}
    return [(replace(s, columns={c: kind if (s.name, c) in named else t for c, t in s.columns.items()}), of) for s, of in files]


def _with_positive(names: Names | None, rule: str, files: Sequence[Recognised], reading: Reading, *, stated: bool) -> Classes:
    """The classes with the positive one last, where there are two."""
    positive, votes, count = reading["positive"], files[0][1].kind == "votes", files[0][1].classes
    score = next((file for file in files if file[1].kind == "score"), None)
    of_columns = stated and not reading["classes"] and any(layout.class_names == names for _, layout in files)
    two = names or ("0", "1")
    if positive is None:
        if names is None and score is not None and re.fullmatch(r".+_0", column := score[1].columns[0]):
            raise BadInput(
                f"{score[0].name}: the score {column!r} is named after class 0; pass --positive 0 where it is the probability of "
                "class 0, and --positive 1 where it is that of class 1"
            )
        if votes or count != 2 or (stated and score is None):
            return Classes(names, None, rule)
        if names is not None and (of_columns or not stated):
            where, what = score or files[0]
            raise BadInput(
                f"{where.name}: the classes in {what.label or listed(what.columns)} are {hidden(listed(names), 'names')} and nothing "
                f"says which of them {what.columns[-1]!r} is the probability of; pass --positive NAME"
            )
        return Classes(names, two[1], f"{rule}; positive class: {two[1]}")
    same = next((name for name in two if name == positive or (names == TRUTH and name.lower() == positive.lower())), None)
    if same is None or len(two) != 2 or (names is None and count not in (None, 2)):
        shown = listed(two) if names is not None or count in (None, 2) else f"{count} classes"
        raise BadInput(f"--positive {positive}: expected one of two classes, got {hidden(shown, 'others')}")
    if stated and score is not None and not of_columns and same != two[1]:
        raise BadInput(
            f"--positive {positive} contradicts the classes {','.join(two)}, whose last is what a score is the probability of; pass "
            f"--classes {two[1]},{two[0]} or leave out --positive"
        )
    final = (two[1], two[0]) if same == two[0] else two
    return Classes(None if final == ("0", "1") and not votes else final, same, f"{rule}; positive class: {same} (--positive)")


def _in_order(layout: Layout, own: Names | None, reference: Names, swapped: bool) -> Layout:
    """A layout with its columns, which ``own`` names, in the order of the reference or, swapped, in its reverse."""
    if layout.kind not in ("columns", "list"):
        if own is not None and own != reference and layout.kind == "score":
            raise BadInput(f"{MAPS}a score of the classes {listed(own)} and predictions of {listed(reference)}")
        return layout
    order = tuple(own.index(name) for name in reference) if own is not None else tuple(range(layout.classes or 0))
    order = order[::-1] if swapped else order
    if layout.kind == "columns":
        return replace(layout, columns=tuple(layout.columns[k] for k in order))
    return layout if order == tuple(range(len(order))) else replace(layout, order=order)


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
    parts = [f"SELECT {source.as_class(column, None)} AS v FROM {source.relation}" for source, column in cells]
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
