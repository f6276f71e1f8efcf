"""How predictions are read: the options, spelled once for functions, the command line and gate files, and the order of the classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypedDict, cast, get_args, get_type_hints

from traintwice.errors import BadInput, unknown

if TYPE_CHECKING:
    from traintwice.predictions.layout import Layout
    from traintwice.predictions.session import Session
    from traintwice.predictions.sources import Source

__all__ = ["OPTIONS", "Classes", "Option", "Reading", "agreed_classes", "reading_of"]

PANEL = "What the columns mean"
MENTIONED = 12
"""Names listed in a message; a file may have thousands of columns."""
MOST_CLASSES = 65_535
"""More distinct labels than this are taken for a column of something else."""
TRUTH = ("False", "True")

Column: TypeAlias = Any
"""The name of a column of files or tables; with arrays, an array with one entry for each row."""
Columns: TypeAlias = Any
"""Names of columns; with arrays, an array or a mapping from names to arrays."""


@dataclass(frozen=True)
class Option:
    """How an option is written where values are text: the command line and TOML files.

    Attributes:
        kind: ``list[str]``, ``str``, ``bool`` or a ``Literal``.
        help: one sentence.
        metavar: what a value is, in capitals.
        commas: several values may be separated by commas.
        panel: the heading under which ``--help`` lists it.
    """

    kind: Any
    help: str
    metavar: str | None = None
    commas: bool = False
    panel: str | None = PANEL


Missing: TypeAlias = Literal["refuse", "drop"]


class Reading(TypedDict, total=False):
    """How predictions are read. Functions take these as keyword arguments: ``**reading: Unpack[Reading]``.

    A key that is absent or None has its default: recognise the column, or do without.
    """

    id: Annotated[Columns, Option(list[str], "Column that names a row; repeat it for composite ids.", "COLUMN")]
    label: Annotated[Column, Option(str, "Column of the true labels.", "COLUMN")]
    probs: Annotated[
        str | Sequence[str] | None,
        Option(
            list[str],
            "Column of the predictions, in the order of the classes; repeat, or separate by commas. A prefix stands for PREFIX_0, "
            "PREFIX_1 ...",
            "COLUMN",
            commas=True,
        ),
    ]
    weight: Annotated[Column, Option(str, "Column of weights.", "COLUMN")]
    by: Annotated[Columns, Option(list[str], "Column of groups to look into; repeat for more.", "COLUMN")]
    cluster: Annotated[
        Columns, Option(list[str], "Column of clusters (users, say), whose rows are not independent; repeat for more.", "COLUMN")
    ]
    draws: Annotated[Column, Option(str, "Column that numbers repeated draws of one item by one model.", "COLUMN")]
    time: Annotated[Column, Option(str, "Column of time, which is cut into periods.", "COLUMN")]
    classes: Annotated[
        Sequence[str] | None,
        Option(
            list[str], "Name of a class, in the order of the predictions; repeat, or separate by commas.", "NAME", commas=True
        ),
    ]
    positive: Annotated[str | None, Option(str, "Name of the positive class of a binary model.", "NAME")]
    logits: Annotated[bool, Option(bool, "The predictions are logits.")]
    regression: Annotated[bool, Option(bool, "The predictions are numbers and not probabilities.")]
    by_position: Annotated[bool, Option(bool, "Match row n with row n; no ids are compared.")]
    on_missing: Annotated[
        Missing | None,
        Option(Missing, "What to do with ids that a file lacks or has twice: refuse (the default) or drop them."),
    ]
    memory: Annotated[
        int | str | None,
        Option(str, "Memory for reading and joining, such as 2GB; half the machine's by default.", "SIZE", panel=None),
    ]


OPTIONS: Mapping[str, Option] = {n: h.__metadata__[0] for n, h in get_type_hints(Reading, include_extras=True).items()}
"""Every option of `Reading` by name."""
DEFAULTS = {
    n: () if o.kind == list[str] else False if o.kind is bool else "refuse" if o.kind == Missing else None
    for n, o in OPTIONS.items()
}
"""The value of each option that is absent."""

EXCLUSIVE = (
    ("id", "by_position", "rows are matched by id or by their position"),
    ("draws", "by_position", "the draws of an item have its id in common"),
    ("draws", "regression", "draws are counted by class"),
    ("logits", "regression", "a regression has no classes"),
    ("classes", "regression", "a regression has no classes"),
    ("positive", "regression", "a regression has no classes"),
)


def reading_of(given: Mapping[str, Any]) -> Reading:
    """Options with every key filled in; names of columns become tuples.

    Raises:
        UnknownName: no option has this name; the nearest are offered.
        BadInput: a value that cannot be, or options that exclude each other.

    >>> reading = reading_of({"id": "row_id", "label": None})
    >>> reading["id"], reading["label"], reading["on_missing"]
    (('row_id',), None, 'refuse')
    """
    filled: dict[str, Any] = dict(DEFAULTS)
    for name, value in given.items():
        if name not in OPTIONS:
            raise unknown("option of reading", name, OPTIONS)
        kind = OPTIONS[name].kind
        if value is None:
            continue
        if kind is bool and not isinstance(value, bool):
            raise BadInput(f"{name}: got {value!r}, expected True or False")
        if kind == Missing and value not in get_args(kind):
            raise BadInput(f"{name}: got {value!r}, expected 'refuse' or 'drop'")
        if kind == list[str] and isinstance(value, str):
            value = (value,)
        elif kind == list[str] and isinstance(value, list | tuple) and not any(hasattr(entry, "shape") for entry in value):
            value = tuple(str(entry) for entry in value)
        filled[name] = value
    for one, other, why in EXCLUSIVE:
        if all(filled[name] is not DEFAULTS[name] for name in (one, other)):
            raise BadInput(f"--{one} and --{other.replace('_', '-')} exclude each other: {why}")
    if isinstance(filled["by"], tuple) and isinstance(filled["time"], str) and filled["time"] in filled["by"]:
        raise BadInput(f"{filled['time']!r} is given to --by and to --time; --time cuts it into periods, --by takes its values")
    return cast(Reading, filled)


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first dozen.

    >>> listed([f"x{i}" for i in range(14)])
    'x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 and 2 more'
    """
    more = len(names) - MENTIONED
    return ", ".join(names[:MENTIONED]) + (f" and {more} more" if more > 0 else "")


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


def agreed_classes(
    session: Session | None, sources: Sequence[Source], layouts: Sequence[Layout], reading: Reading
) -> tuple[Classes, list[Source], list[Layout]]:
    """One order of the classes: --classes, the names of the columns, else the numbers in their order; asked for where none says it.

    Args:
        session: where labels that are text are read; None where they are numbers.
    Returns:
        The classes; the sources, where a column that looks like numbers (7 in one file, cat in another) holds names too; the layouts,
        their columns in the order of the classes.
    Raises:
        BadInput: the files name different classes, or labels are text or truth values and nothing says which class each is.
    """
    sources, layouts = list(sources), list(layouts)
    if layouts[0].kind == "regression":
        return Classes(), sources, layouts
    own = [source.class_names or layout.class_names for source, layout in zip(sources, layouts, strict=True)]
    names, rule = _stated(sources, layouts, own, reading)
    stated = names is not None
    if names is None:
        names, rule, sources = _in_cells(session, sources, layouts, reading)
    named = _with_positive(names, rule, sources, layouts, reading, stated=stated)
    base = names or ("0", "1")
    reference = next((one for one in own if one and set(one) != set(base)), base)  # what --classes renames
    swapped = named.names == base[::-1] != base and (stated or names is None)
    if swapped or any(own):
        layouts = [_in_order(layout, one, reference, swapped) for layout, one in zip(layouts, own, strict=True)]
    return named, sources, layouts


def _stated(
    sources: Sequence[Source], layouts: Sequence[Layout], own: Sequence[tuple[str, ...] | None], reading: Reading
) -> tuple[tuple[str, ...] | None, str]:
    """The names of the classes that --classes, an array of names or the columns give, and how."""
    of_files = [(source, layout, one) for source, layout, one in zip(sources, layouts, own, strict=True) if one]
    explicit = tuple(reading["classes"] or ())
    if not explicit and not of_files:
        return None, ""
    source, layout, first = of_files[0] if of_files else (sources[0], layouts[0], explicit)
    for other, _, one in of_files[1:]:
        if set(one) != set(first):
            told, advice = f"different label maps: {source.name} has the classes", "replicas must predict the same classes"
            said = f"{told} {listed(first)} and {other.name} has {listed(one)}; {advice}"
            raise BadInput(said, without_cells=f"{told} of its own; {advice}")
    names = explicit or first
    of_columns = names == layout.class_names
    if len(set(names)) < len(names):
        told = f"{source.name}: a class name is given twice"
        raise BadInput(f"{told} ({listed(names)}); each class needs its own", without_cells=told)
    for each, its in zip(sources, layouts, strict=True):
        if its.classes not in (None, len(names)):
            told = f"{each.name}: {len(names)} class names were given for {its.classes} classes"
            raise BadInput(f"{told}; pass one for each to --classes")
        number = its.label is not None and each.family(its.label) in ("integer", "number")
        if number and of_columns and not all(name.isdigit() for name in names):
            raise BadInput(
                f"{each.name}: labels in {its.label!r} are numbers and the columns {listed(layout.columns)} have names, so nothing "
                "says which class is 0; pass --classes with the names in the order of the numbers"
            )
    columns = f"classes in the order of the columns {listed(layout.columns)}"
    return (
        names,
        columns if of_columns else f"classes in the order {'of --classes' if explicit else 'in ' + source.name}: {listed(names)}",
    )


def _in_cells(
    session: Session | None, sources: list[Source], layouts: Sequence[Layout], reading: Reading
) -> tuple[tuple[str, ...] | None, str, list[Source]]:
    """The classes that predicted labels and labels hold where nothing states them; no names for whole numbers."""
    kind, count, first, positive = layouts[0].kind, layouts[0].classes, layouts[0].columns[0], reading["positive"]
    cells = [
        (source, column)
        for source, layout in zip(sources, layouts, strict=True)
        for column in (*(layout.columns if layout.kind == "votes" else ()), *filter(None, [layout.label]))
    ]
    rules = {"votes": "classes are whole numbers", "score": "classes 0 and 1", "list": f"class k is entry k of {first}, from 0"}
    rule = rules.get(kind, f"class k is column k of {first} …, from 0")
    unnamed = (f"not {positive}", positive) if positive and kind == "score" else None
    texts = [cell for cell in cells if cell[0].family(cell[1]) == "text"]
    rest = [cell for cell in cells if cell not in texts]
    if not texts or session is None:
        if rest and all(source.family(column) == "boolean" for source, column in rest):
            return TRUTH, f"classes in {rest[0][1]}: {listed(TRUTH)}", sources
        return None if cells else unnamed, rule, sources
    found = _distinct(session, texts + [cell for cell in rest if cell[0].untyped])
    source, column = texts[0]
    if all(re.fullmatch("0|[1-9][0-9]{0,17}", name) for name in found):
        return None if found else unnamed, rule, sources
    for typed, other in rest:
        if not typed.untyped:
            raise BadInput(
                f"different label maps: {source.name} has text in {column!r} and {typed.name} has {typed.columns[other]} in "
                f"{other!r}; write the labels of all files either as names or as integers that count from 0"
            )
    if kind != "votes" and (len(found) > (count or 0) or (kind != "score" and positive is None)):
        told = f"{source.name}: labels in {column!r} are text with {len(found)} distinct values"
        advice = f"for {count} classes; pass --classes with the names in the order of the classes"
        raise BadInput(f"{told} ({listed(found)}) {advice}", without_cells=f"{told} {advice}")
    if positive is not None and len(found) == 1:
        found = (f"not {positive}" if found[0] == positive else found[0], positive)
    named = {(each.name, column) for each, column in rest}
    retyped = [replace(s, columns={c: "VARCHAR" if (s.name, c) in named else t for c, t in s.columns.items()}) for s in sources]
    return found, f"classes in {column}: {listed(found)}", retyped


def _with_positive(
    names: tuple[str, ...] | None,
    rule: str,
    sources: Sequence[Source],
    layouts: Sequence[Layout],
    reading: Reading,
    *,
    stated: bool,
) -> Classes:
    """The classes with the positive one last, where there are two."""
    positive, votes, count = reading["positive"], layouts[0].kind == "votes", layouts[0].classes
    score = next(((source, layout) for source, layout in zip(sources, layouts, strict=True) if layout.kind == "score"), None)
    of_columns = stated and not reading["classes"] and any(layout.class_names == names for layout in layouts)
    two = names or ("0", "1")
    if positive is None:
        if votes or count != 2 or (stated and score is None):
            return Classes(names, None, rule)
        if names is not None and (of_columns or not stated):
            where, what = score or (sources[0], layouts[0])
            told, column = f"{where.name}: the classes in", what.label or listed(what.columns)
            advice = f"nothing says which of them {what.columns[-1]!r} is the probability of; pass --positive NAME"
            raise BadInput(
                f"{told} {column} are {listed(names)} and {advice}", without_cells=f"{told} {column} are names and {advice}"
            )
        return Classes(names, two[1], f"{rule}; positive class: {two[1]}")
    same = next((name for name in two if name == positive or (names == TRUTH and name.lower() == positive.lower())), None)
    if same is None or len(two) != 2 or (names is None and count not in (None, 2)):
        told = f"--positive {positive}: expected one of two classes, got"
        shown = listed(two) if names is not None or count in (None, 2) else f"{count} classes"
        raise BadInput(f"{told} {shown}", without_cells=f"{told} others")
    if stated and score is not None and not of_columns and same != two[1]:
        raise BadInput(
            f"--positive {positive} contradicts the classes {','.join(two)}, whose last is what a score is the probability of; pass "
            f"--classes {two[1]},{two[0]} or leave out --positive"
        )
    final = (two[1], two[0]) if same == two[0] else two
    return Classes(None if final == ("0", "1") and not votes else final, same, f"{rule}; positive class: {same} (--positive)")


def _in_order(layout: Layout, own: tuple[str, ...] | None, reference: tuple[str, ...], swapped: bool) -> Layout:
    """A layout with its columns, which ``own`` names, in the order of the reference or, swapped, in its reverse."""
    if layout.kind not in ("columns", "list"):
        if own is not None and own != reference and layout.kind == "score":
            raise BadInput(f"different label maps: a score of the classes {listed(own)} and predictions of {listed(reference)}")
        return layout
    order = tuple(own.index(name) for name in reference) if own is not None else tuple(range(layout.classes or 0))
    order = order[::-1] if swapped else order
    if layout.kind == "columns":
        return replace(layout, columns=tuple(layout.columns[k] for k in order))
    return layout if order == tuple(range(len(order))) else replace(layout, order=order)


def _distinct(session: Session, cells: Sequence[tuple[Source, str]]) -> tuple[str, ...]:
    parts = [f"SELECT CAST({source.cell(column)} AS VARCHAR) AS name FROM {source.relation}" for source, column in cells]
    sql = f"SELECT DISTINCT name FROM ({' UNION ALL '.join(parts)}) WHERE name IS NOT NULL ORDER BY name LIMIT {MOST_CLASSES + 1}"
    names = tuple(row[0] for row in session.rows(sql, doing="reading the labels"))
    if len(names) > MOST_CLASSES:
        told = f"{cells[0][0].name}: {cells[0][1]!r} has more than {MOST_CLASSES:,} distinct texts, which is not a set of labels"
        raise BadInput(f"{told}; pass --label or --probs to choose another column")
    return names
