"""One map from class names to 0 … K−1, shared by every file and by the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from traintwice.errors import BadInput
from traintwice.predictions.layout import Layout, listed
from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source
from traintwice.predictions.sql import identifier
from traintwice.predictions.types_of_columns import family

MOST_CLASSES = 65_535
"""More distinct labels than this are taken for a column of something else."""


def shared_class_names(
    session: Session, sources: Sequence[Source], layouts: Sequence[Layout]
) -> tuple[tuple[str, ...] | None, list[Source]]:
    """The names of the classes in their order, or None where classes are integers that count from 0.

    Where names were found in cells, an untyped column that looks like integers (7 beside cat) holds names too: the
    sources come back with its type changed to text.

    Raises:
        BadInput: the files name different classes, or labels are text and nothing says which class each is.
    """
    given = [(s.name, layout.class_names) for s, layout in zip(sources, layouts, strict=True) if layout.class_names is not None]
    if given:
        first, names = given[0]
        for other, theirs in given[1:]:
            if theirs != names:
                raise _different(first, names, other, theirs)
        if len(set(names or ())) < len(names or ()):
            said = f"{first}: a class name is given twice"
            raise BadInput(f"{said} ({listed(names or ())}); each class needs its own", without_cells=said)
        return names, list(sources)
    texts: list[tuple[Source, str]] = []
    numbers: list[tuple[Source, str]] = []
    for source, layout in zip(sources, layouts, strict=True):
        predicted = layout.columns if layout.kind == "votes" else ()
        for column in (*predicted, *([layout.label] if layout.label else [])):
            (texts if family(source.columns[column]) == "text" else numbers).append((source, column))
    if not texts or any(layout.kind == "regression" for layout in layouts):
        return None, list(sources)
    typed = [(source, column) for source, column in numbers if not source.untyped]
    if typed:
        (a, one), (b, two) = texts[0], typed[0]
        raise BadInput(
            f"different label maps: {a.name} has text in {one!r} and {b.name} has {b.columns[two]} in {two!r}; write the labels "
            "of all files either as names or as integers that count from 0"
        )
    names = _distinct(session, texts + numbers)
    classes = next((layout.classes for layout in layouts if layout.classes is not None), None)
    if classes is not None and len(names) != classes:
        source, column = texts[0]
        said = f"{source.name}: labels in {column!r} are text with {len(names)} distinct values"
        advice = f"for {classes} classes; pass --classes with the names in the order of the classes"
        raise BadInput(f"{said} ({listed(names)}) {advice}", without_cells=f"{said} {advice}")
    named = {(source.name, column) for source, column in numbers}
    retyped = [replace(s, columns={c: "VARCHAR" if (s.name, c) in named else t for c, t in s.columns.items()}) for s in sources]
    return names, retyped


def declare(session: Session, names: tuple[str, ...]) -> None:
    """Make the type ``class_names``, whose codes are the indices of the classes."""
    session.rows("CREATE TABLE names_of_classes (position BIGINT, name VARCHAR)", doing="naming the classes")
    with session.explained("naming the classes"):
        session.connection.executemany("INSERT INTO names_of_classes VALUES (?, ?)", [list(pair) for pair in enumerate(names)])
    session.rows(
        "CREATE TYPE class_names AS ENUM (SELECT name FROM names_of_classes ORDER BY position)", doing="naming the classes"
    )


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


def _different(first: str, names: tuple[str, ...] | None, other: str, theirs: tuple[str, ...] | None) -> BadInput:
    advice = "predictions can be compared only where class k means the same in all files"
    return BadInput(
        f"different label maps: {first} has the classes {listed(names or ())} and {other} has {listed(theirs or ())}; {advice}",
        without_cells=f"different label maps of {first} and {other}; {advice}",
    )
