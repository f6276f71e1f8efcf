"""Which class is which: one order of the classes for every file and for the labels, and which class is the positive one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from traintwice.errors import BadInput
from traintwice.predictions.layout import Layout, listed
from traintwice.predictions.reading import Reading
from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source
from traintwice.predictions.sql import identifier
from traintwice.predictions.types_of_columns import family

MOST_CLASSES = 65_535
"""More distinct labels than this are taken for a column of something else."""

TRUTH = ("False", "True")


@dataclass(frozen=True)
class Classes:
    """The classes of all files.

    Attributes:
        names: in the order of the classes; None where classes are whole numbers from 0.
        positive: name of class 1 of a binary model, where something says that it is the positive one.
        rule: what gave the order and the positive class, in words; None for a regression.
    """

    names: tuple[str, ...] | None = None
    positive: str | None = None
    rule: str | None = None


NUMBERED = Classes()


def agreed_classes(
    session: Session | None, sources: Sequence[Source], layouts: Sequence[Layout], reading: Reading
) -> tuple[Classes, list[Source], list[Layout]]:
    """The order of the classes: that of --classes; that of named columns; else the numbers in their order. Nothing is guessed.

    Args:
        session: where labels that are text are read; None where they are numbers.
    Returns:
        The classes; the sources, where a column that looks like numbers (7 in one file, cat in another) holds names too; the layouts,
        their columns in the order of the classes.
    Raises:
        BadInput: the files name different classes, or labels are text or truth values and nothing says which class each is.
    """
    sources, layouts = list(sources), list(layouts)
    if any(layout.kind == "regression" for layout in layouts):
        if reading["classes"]:
            raise BadInput("--classes and --regression exclude each other: a regression has no classes")
        return Classes(), sources, layouts
    stated = _stated(sources, layouts, reading)
    if stated is not None:
        found = _with_positive(stated, sources, layouts, reading)
        reference = stated.names or ()
        named = [source.class_names or layout.class_names for source, layout in zip(sources, layouts, strict=True)]
        first = next((own for own in named if own), None)
        if first and set(first) != set(reference):
            reference = first  # --classes renames the columns
        layouts = [
            _in_order(layout, own, reference, swapped=found.names != stated.names)
            for layout, own in zip(layouts, named, strict=True)
        ]
        return found, sources, layouts
    found, sources = _in_cells(session, sources, layouts, reading)
    if found.names == ("1", "0"):
        layouts = [_in_order(layout, None, ("0", "1"), swapped=True) for layout in layouts]
    return found, sources, layouts


def declare(session: Session, names: tuple[str, ...]) -> None:
    """Make the type ``class_names``, whose codes are the indices of the classes."""
    session.rows("CREATE TABLE names_of_classes (position BIGINT, name VARCHAR)", doing="naming the classes")
    with session.explained("naming the classes"):
        session.connection.executemany("INSERT INTO names_of_classes VALUES (?, ?)", [list(pair) for pair in enumerate(names)])
    session.rows(
        "CREATE TYPE class_names AS ENUM (SELECT name FROM names_of_classes ORDER BY position)", doing="naming the classes"
    )


def _stated(sources: Sequence[Source], layouts: Sequence[Layout], reading: Reading) -> Classes | None:
    """The classes as --classes, an array of names or the names of columns say them; None where nothing does."""
    explicit: tuple[str, ...] = reading["classes"]  # type: ignore[assignment]
    named = [(s, own) for s, layout in zip(sources, layouts, strict=True) if (own := s.class_names or layout.class_names)]
    for source, own in named[1:]:
        if set(own) != set(named[0][1]):
            advice = "predictions can be compared only where class k means the same in all files"
            told = f"different label maps: {named[0][0].name} has the classes {listed(named[0][1])} and {source.name} has {listed(own)}"
            raise BadInput(
                f"{told}; {advice}", without_cells=f"different label maps of {named[0][0].name} and {source.name}; {advice}"
            )
    names = explicit or (named[0][1] if named else None)
    if names is None:
        return None
    where = sources[0].name if explicit else named[0][0].name
    if len(set(names)) < len(names):
        told = f"{where}: a class name is given twice"
        raise BadInput(f"{told} ({listed(names)}); each class needs its own", without_cells=told)
    for source, layout in zip(sources, layouts, strict=True):
        if layout.classes not in (None, len(names)):
            raise BadInput(
                f"{source.name}: {len(names)} class names were given for {layout.classes} classes; pass one for each to --classes"
            )
    if explicit:
        rule = f"classes in the order of --classes: {listed(names)}"
    elif named[0][0].class_names:
        rule = f"classes in the order that {where} gives: {listed(names)}"
    else:
        layout = next(layout for layout in layouts if layout.class_names == names)
        rule = f"classes in the order of the columns {listed(layout.columns)}"
        numbers = [
            (s, lay.label) for s, lay in zip(sources, layouts, strict=True) if lay.label and s.columns[lay.label] != "VARCHAR"
        ]
        numbers = [(s, c) for s, c in numbers if family(s.columns[c]) in ("integer", "number")]
        if numbers and not all(name.isdigit() for name in names):
            source, column = numbers[0]
            raise BadInput(
                f"{source.name}: labels in {column!r} are numbers and the columns {listed(layout.columns)} have names, so nothing says "
                f"which class is 0; pass --classes {','.join(names)} in the order of the numbers"
            )
    return Classes(names, None, rule)


def _with_positive(stated: Classes, sources: Sequence[Source], layouts: Sequence[Layout], reading: Reading) -> Classes:
    """The stated classes with the positive one last, where there are two."""
    names, positive = stated.names or (), reading["positive"]
    has_score = any(layout.kind == "score" for layout in layouts)
    from_columns = not reading["classes"] and any(layout.class_names == names for layout in layouts)
    if positive is None:
        if len(names) != 2 or not has_score:
            return stated
        if from_columns:
            where = next(s.name for s, layout in zip(sources, layouts, strict=True) if layout.class_names == names)
            _ask(f"{where}: the classes are {listed(names)}", layouts)
        return Classes(names, names[1], f"{stated.rule}; positive class: {names[1]} (the last of them)")
    if len(names) != 2:
        raise BadInput(f"--positive {positive}: there are {len(names)} classes ({listed(names)}), expected two")
    if positive not in names:
        raise BadInput(f"--positive {positive}: the classes are {listed(names)}; pass one of them")
    if has_score and not from_columns and positive != names[1]:
        raise BadInput(
            f"--positive {positive} contradicts the classes {','.join(names)}, whose last is the one that a score is the probability "
            f"of; pass --classes {names[1]},{names[0]} or leave out --positive"
        )
    other = names[1] if positive == names[0] else names[0]
    return Classes((other, positive), positive, f"{stated.rule}; positive class: {positive} (--positive)")


def _in_order(layout: Layout, own: tuple[str, ...] | None, reference: tuple[str, ...], *, swapped: bool) -> Layout:
    """A layout with its columns in the order of the classes.

    Args:
        own: the names of its columns; None where these come in the order of the reference.
        swapped: the classes come in the reverse order of the reference.
    """
    if layout.kind not in ("columns", "list"):
        if own is not None and own != reference and layout.kind == "score":
            raise BadInput(f"different label maps: a score of the classes {listed(own)} and predictions of {listed(reference)}")
        return layout
    order = tuple(own.index(name) for name in reference) if own is not None else tuple(range(layout.classes or len(reference)))
    order = order[::-1] if swapped else order
    if layout.kind == "columns":
        return replace(layout, columns=tuple(layout.columns[k] for k in order))
    return layout if order == tuple(range(len(order))) else replace(layout, order=order)


def _in_cells(
    session: Session | None, sources: list[Source], layouts: Sequence[Layout], reading: Reading
) -> tuple[Classes, list[Source]]:
    """The classes that predicted labels and labels hold, where nothing states them."""
    cells = [
        (source, column)
        for source, layout in zip(sources, layouts, strict=True)
        for column in (*(layout.columns if layout.kind == "votes" else ()), *([layout.label] if layout.label else []))
    ]
    texts = [(s, c) for s, c in cells if family(s.columns[c]) == "text"]
    rest = [(s, c) for s, c in cells if (s, c) not in texts]
    of_votes = layouts[0].kind == "votes"
    if not texts or session is None:
        truth = bool(rest) and all(family(s.columns[c]) == "boolean" for s, c in rest)
        if not truth:
            return _numbers(cells, layouts, reading), sources
        return _named(TRUTH, "True and False", rest[0], layouts, reading), sources
    found = _distinct(session, texts + [(s, c) for s, c in rest if s.untyped])
    if all(name.isdigit() and (name == "0" or name[0] != "0") and len(name) <= 18 for name in found):
        return _numbers(cells, layouts, reading), sources
    typed = [(s, c) for s, c in rest if not s.untyped]
    if typed:
        (a, one), (b, two) = texts[0], typed[0]
        raise BadInput(
            f"different label maps: {a.name} has text in {one!r} and {b.name} has {b.columns[two]} in {two!r}; write the labels "
            "of all files either as names or as integers that count from 0"
        )
    count = layouts[0].classes
    if not of_votes and (len(found) > (count or 0) or (reading["positive"] is None and layouts[0].kind != "score")):
        source, column = texts[0]
        told = f"{source.name}: labels in {column!r} are text with {len(found)} distinct values"
        advice = f"for {count} classes; pass --classes with the names in the order of the classes"
        raise BadInput(f"{told} ({listed(found)}) {advice}", without_cells=f"{told} {advice}")
    named = {(source.name, column) for source, column in rest}
    retyped = [replace(s, columns={c: "VARCHAR" if (s.name, c) in named else t for c, t in s.columns.items()}) for s in sources]
    return _named(found, "text", texts[0], layouts, reading), retyped


def _named(found: tuple[str, ...], what: str, cell: tuple[Source, str], layouts: Sequence[Layout], reading: Reading) -> Classes:
    """The classes of names found in cells, of which --positive says which is class 1."""
    positive = reading["positive"]
    of_votes = layouts[0].kind == "votes"
    rule = f"classes found in {cell[1]}: {listed(found)}" if of_votes else None
    if positive is None:
        if not of_votes:
            _ask(f"{cell[0].name}: labels in {cell[1]!r} are {what}", layouts, found)
        return Classes(found, None, rule)
    same = next((name for name in found if name == positive or (found == TRUTH and name.lower() == positive.lower())), None)
    others = tuple(name for name in found if name != same)
    if len(others) > 1 or (same is None and len(others) == 1 and len(found) > 1):
        told = f"--positive {positive}: {cell[0].name} has {len(found)} labels in {cell[1]!r}"
        raise BadInput(f"{told} ({listed(found)}); pass one of two", without_cells=told)
    positive = same or positive
    other = others[0] if others else f"not {positive}"
    return Classes((other, positive), positive, f"{rule + '; ' if rule else ''}positive class: {positive} (--positive)")


def _numbers(cells: Sequence[tuple[Source, str]], layouts: Sequence[Layout], reading: Reading) -> Classes:
    """Classes that are whole numbers from 0."""
    positive, (layout, *_) = reading["positive"], layouts
    rule = {
        "columns": f"class k is column k of {layout.columns[0]} … {layout.columns[-1]}, from 0",
        "list": f"class k is entry k of {layout.columns[0]}, from 0",
        "score": "classes 0 and 1",
        "votes": "classes are whole numbers",
    }[layout.kind]
    if positive is None:
        if layout.classes != 2:
            return Classes(None, None, rule)
        return Classes(None, "1", f"{rule}; positive class: 1")
    if layout.kind == "score" and not cells:
        return Classes((f"not {positive}", positive), positive, f"positive class: {positive} (--positive)")
    if layout.classes not in (None, 2) or positive not in ("0", "1"):
        known = f"0 … {layout.classes - 1}" if layout.classes else "whole numbers"
        raise BadInput(f"--positive {positive}: the classes are {known}; expected 0 or 1 of two classes")
    names = ("1", "0") if positive == "0" else None
    return Classes(names, positive, f"{rule}; positive class: {positive} (--positive)")


def _ask(told: str, layouts: Sequence[Layout], found: Sequence[str] = ()) -> NoReturn:
    column = next((layout.columns[0] for layout in layouts if layout.kind == "score"), layouts[0].columns[0])
    shown = f" ({listed(found)})" if found else ""
    advice = f"and nothing says which of them {column!r} is the probability of; pass --positive NAME"
    raise BadInput(f"{told}{shown} {advice}", without_cells=f"{told} {advice}")


def _distinct(session: Session, columns: Sequence[tuple[Source, str]]) -> tuple[str, ...]:
    parts = [f"SELECT {identifier(column)}::VARCHAR AS name FROM {source.relation}" for source, column in columns]
    sql = f"SELECT DISTINCT name FROM ({' UNION ALL '.join(parts)}) WHERE name IS NOT NULL ORDER BY name LIMIT {MOST_CLASSES + 1}"
    names = tuple(row[0] for row in session.rows(sql, doing="reading the labels"))
    if len(names) > MOST_CLASSES:
        source, column = columns[0]
        raise BadInput(
            f"{source.name}: {column!r} has more than {MOST_CLASSES:,} distinct texts, which is no set of labels; pass --label "
            "or --probs to choose another column"
        )
    return names
