"""The order of the classes and the positive class: one rule for files and arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from traintwice._database import Session, literal
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden
from traintwice.predictions._layout import Layout, Recognised, names_after_prefix
from traintwice.predictions._reading import Reading
from traintwice.predictions._source import family
from traintwice.predictions._vocabularies import (
    MAPS,
    TRUTH,
    Cells,
    Names,
    ranges_of,
    refuse_missing,
    refuse_numbers_as_text,
    refuse_shifted,
    refuse_two_spellings,
    refuse_two_vocabularies,
    vocabularies_of,
)


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
