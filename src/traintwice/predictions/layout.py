"""Which column is what, and which class is which: recognised where that is certain, asked for where it is not, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from traintwice.errors import BadInput
from traintwice.predictions.reading import Reading
from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source, is_list_of_numbers

Kind = Literal["columns", "list", "score", "votes", "regression"]

PROBABILITIES = ("p", "prob", "probs", "proba", "probas", "probability", "probabilities", "score", "scores", "y_prob", "y_score")
LOGITS = ("logit", "logits")
VOTES = ("pred", "preds", "prediction", "predictions", "predicted", "predicted_label", "y_pred", "yhat", "y_hat", "votes")
IDS = ("id", "ids", "row_id", "example_id", "sample_id", "uid", "uuid", "key")
LABELS = ("y", "label", "labels", "y_true", "true_label", "target")
TRUTH = ("False", "True")
MENTIONED = 12
"""Columns listed in a message; a file may have thousands."""
MOST_CLASSES = 65_535
"""More distinct labels than this are taken for a column of something else."""


@dataclass(frozen=True)
class Layout:
    """What the columns of one file mean.

    Attributes:
        kind: ``columns``: one column for each class. ``list``: one list column. ``score``: one score in [0, 1] of a
            binary model. ``votes``: predicted labels. ``regression``: one number.
        columns: the columns of the predictions, in the order of the classes.
        classes: K; None for predicted labels and regression.
        id, label, weight, by, cluster, draws, time: the columns of these roles; empty or None where the file has none.
        logits: the predictions are logits, turned into probabilities when read.
        class_names: names of the classes where the names of the columns give them.
        order: for a list whose entries come in another order than the classes, the entry of each class.

    Example:
        >>> Layout("columns", ("p_0", "p_1", "p_2"), classes=3, id=("row_id",), label="y").describe()
        '3 classes in p_0 … p_2 · id row_id · labels in y'
    """

    kind: Kind
    columns: tuple[str, ...]
    classes: int | None = None
    id: tuple[str, ...] = ()
    label: str | None = None
    weight: str | None = None
    by: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    draws: str | None = None
    time: str | None = None
    logits: bool = False
    class_names: tuple[str, ...] | None = None
    order: tuple[int, ...] | None = None

    def describe(self) -> str:
        """One line in words."""
        first, last = self.columns[0], self.columns[-1]
        predictions = {
            "columns": f"{self.classes} classes in {first}{' … ' if len(self.columns) > 2 else ', '}{last}",
            "list": f"{self.classes} classes in the list {first}",
            "score": f"one {'logit' if self.logits else 'score'} of a binary model in {first}",
            "votes": f"predicted labels in {first}",
            "regression": f"one number (regression) in {first}",
        }[self.kind]
        parts = {"id": " + ".join(self.id), "labels in": self.label, "weight": self.weight, "by": ", ".join(self.by)}
        parts |= {"cluster": " + ".join(self.cluster), "draws": self.draws, "time": self.time}
        told = [predictions + (" (logits)" if self.logits and self.kind != "score" else ""), *([] if self.id else ["no id"])]
        return " · ".join([*told, *(f"{role} {columns}" for role, columns in parts.items() if columns)])


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


def recognise(source: Source, reading: Reading) -> Layout:
    """The layout of a source. Label, weight, groups, clusters and time may be in one of several files only.

    Raises:
        BadInput: an explicit column is not there, or what is not certain must be asked for; the message names the option.
    """
    have, logits = source.columns, reading["logits"]
    label = reading["label"] if reading["label"] is not None else _only(source, LABELS, "label")
    for option in ("id", "draws"):
        for name in reading["id"] if option == "id" else filter(None, [reading["draws"]]):
            if name not in have:
                raise missing_column(source, name, option)
    ids = () if reading["by_position"] else tuple(reading["id"] or filter(None, [_only(source, IDS, "id")]))
    if not ids and not reading["by_position"]:
        raise BadInput(
            f"{source.name}: no column has a usual name of an id; pass --id, or --by-position where row n of every "
            f"file is the same example. The columns are {listed(list(have))}"
        )
    by, cluster, weight, time = reading["by"], reading["cluster"], reading["weight"], reading["time"]
    taken = {*ids, *by, *cluster, label, weight, time, reading["draws"]}
    free = [c for c in have if c not in taken]
    columns = _chosen(source, tuple(reading["probs"]), free) if reading["probs"] else _found(source, free, logits=logits)
    kind = _kind(source, columns, reading)
    length = re.search(r"\[(\d+)\]$", have[columns[0]])
    classes = {"columns": len(columns), "score": 2, "list": int(length[1]) if length else None}.get(kind)
    if (kind == "list" and classes is not None and classes < 2) or (kind == "columns" and classes == 1):
        raise BadInput(f"{source.name}: one class leaves nothing to disagree about; expected at least two")
    return Layout(
        kind,
        columns,
        classes=classes,
        id=ids,
        label=label if label in have else None,
        weight=weight if weight in have else None,
        by=tuple(c for c in by if c in have),
        cluster=cluster if all(c in have for c in cluster) else (),
        draws=reading["draws"],
        time=time if time in have else None,
        logits=logits,
        class_names=_names_after_prefix(columns),
    )


def agreed_classes(
    session: Session | None, sources: Sequence[Source], layouts: Sequence[Layout], reading: Reading
) -> tuple[Classes, list[Source], list[Layout]]:
    """One order of the classes: --classes, the names of the columns, else the numbers in their order; asked for where none says it.

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
    return named, sources, [_in_order(layout, one, reference, swapped) for layout, one in zip(layouts, own, strict=True)]


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
            raise BadInput(
                f"{told} {listed(first)} and {other.name} has {listed(one)}; {advice}",
                without_cells=f"{told} of its own; {advice}",
            )
    names = explicit or first
    if len(set(names)) < len(names):
        told = f"{source.name}: a class name is given twice"
        raise BadInput(f"{told} ({listed(names)}); each class needs its own", without_cells=told)
    for each, its in zip(sources, layouts, strict=True):
        if its.classes not in (None, len(names)):
            raise BadInput(
                f"{each.name}: {len(names)} class names were given for {its.classes} classes; pass one for each to --classes"
            )
        number = its.label is not None and each.family(its.label) in ("integer", "number")
        if number and names == layout.class_names and not all(name.isdigit() for name in names):
            raise BadInput(
                f"{each.name}: labels in {its.label!r} are numbers and the columns {listed(layout.columns)} have names, so nothing says "
                "which class is 0; pass --classes with the names in the order of the numbers"
            )
    place = (
        "of --classes"
        if explicit
        else f"of the columns {listed(layout.columns)}"
        if names == layout.class_names
        else f"in {source.name}"
    )
    return names, f"classes in the order {place}" + ("" if names == layout.class_names else f": {listed(names)}")


def _in_cells(
    session: Session | None, sources: list[Source], layouts: Sequence[Layout], reading: Reading
) -> tuple[tuple[str, ...] | None, str, list[Source]]:
    """The classes that predicted labels and labels hold where nothing states them; no names for whole numbers."""
    kind, count, columns, positive = layouts[0].kind, layouts[0].classes, layouts[0].columns, reading["positive"]
    cells = [
        (source, column)
        for source, layout in zip(sources, layouts, strict=True)
        for column in (*(layout.columns if layout.kind == "votes" else ()), *filter(None, [layout.label]))
    ]
    numbers = {"votes": "classes are whole numbers", "score": "classes 0 and 1"}
    rule = numbers.get(
        kind,
        f"class k is {'column' if kind == 'columns' else 'entry'} k of {columns[0]}{' …' if kind == 'columns' else ''}, from 0",
    )
    texts = [cell for cell in cells if cell[0].family(cell[1]) == "text"]
    rest = [cell for cell in cells if cell not in texts]
    if not texts or session is None:
        if rest and all(source.family(column) == "boolean" for source, column in rest):
            return TRUTH, f"classes in {rest[0][1]}: {listed(TRUTH)}", sources
        names = (f"not {positive}", positive) if positive and kind == "score" and not cells else None
        return names, rule, sources
    found = _distinct(session, texts + [cell for cell in rest if cell[0].untyped])
    source, column = texts[0]
    if all(re.fullmatch("0|[1-9][0-9]{0,17}", name) for name in found):
        return None, rule, sources
    typed = next((cell for cell in rest if not cell[0].untyped), None)
    if typed is not None:
        raise BadInput(
            f"different label maps: {source.name} has text in {column!r} and {typed[0].name} has {typed[0].columns[typed[1]]} in "
            f"{typed[1]!r}; write the labels of all files either as names or as integers that count from 0"
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
    positive, votes = reading["positive"], layouts[0].kind == "votes"
    score = next(((source, layout) for source, layout in zip(sources, layouts, strict=True) if layout.kind == "score"), None)
    of_columns = stated and not reading["classes"] and any(layout.class_names == names for layout in layouts)
    two = names or ("0", "1")
    if positive is None:
        if len(two) != 2 or votes or (names is None and layouts[0].classes != 2) or (stated and score is None):
            return Classes(names, None, rule)
        if names is not None and (of_columns or not stated):
            where, what = score or (sources[0], layouts[0])
            told, shown = f"{where.name}: the classes in", f"{what.label or listed(what.columns)} are {listed(names)}"
            advice = f"nothing says which of them {what.columns[-1]!r} is the probability of; pass --positive NAME"
            raise BadInput(
                f"{told} {shown} and {advice}", without_cells=f"{told} {what.label or 'the columns'} are names and {advice}"
            )
        return Classes(names, two[1], f"{rule}; positive class: {two[1]}")
    same = next((name for name in two if name == positive or (names == TRUTH and name.lower() == positive.lower())), None)
    if same is None or len(two) != 2 or (names is None and layouts[0].classes not in (None, 2)):
        told = f"--positive {positive}: expected one of two classes, got"
        count = layouts[0].classes if names is None else len(two)
        raise BadInput(
            f"{told} {count or listed(two)}" if names is None else f"{told} {listed(two)}", without_cells=f"{told} {count}"
        )
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
        source, column = cells[0]
        raise BadInput(
            f"{source.name}: {column!r} has more than {MOST_CLASSES:,} distinct texts, which is not a set of labels; pass --label "
            "or --probs to choose another column"
        )
    return names


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first dozen.

    >>> listed([f"x{i}" for i in range(14)])
    'x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 and 2 more'
    """
    more = len(names) - MENTIONED
    return ", ".join(names[:MENTIONED]) + (f" and {more} more" if more > 0 else "")


def missing_column(source: Source, name: str, option: str) -> BadInput:
    """The error for a column that an option names and the file lacks."""
    return BadInput(
        f"{source.name}: no column {name!r} (asked for by --{option}); the columns are {listed(list(source.columns))}"
    )


def _only(source: Source, known: Sequence[str], option: str) -> str | None:
    found = [c for c in source.columns if c.lower() in known]
    if len(found) > 1:
        raise BadInput(f"{source.name}: {listed(found)} could each be meant; pass --{option}")
    return found[0] if found else None


def _chosen(source: Source, wanted: tuple[str, ...], free: list[str]) -> tuple[str, ...]:
    """The columns that --probs names; one name that is not a column may be the prefix of name_0, name_1 …"""
    if len(wanted) == 1 and wanted[0] not in source.columns and (numbered := _numbered(source, wanted[0], free)):
        return numbered
    for name in wanted:
        if name not in source.columns:
            raise missing_column(source, name, "probs")
    if len(set(wanted)) < len(wanted):
        raise BadInput(f"--probs names a column twice: {listed(wanted)}")
    return wanted


def _found(source: Source, free: list[str], *, logits: bool) -> tuple[str, ...]:
    """The columns of the predictions, from names and types."""
    heads = {c: m[1] for c in free if (m := re.fullmatch(r"(.+?)_\d+", c))}
    of_logits = {head for head in heads.values() if head.lower() in LOGITS} | {c for c in free if c.lower() in LOGITS}
    usual = LOGITS if logits and of_logits else PROBABILITIES
    prefixes = {head for head in heads.values() if head.lower() in usual}
    choices = [numbered for prefix in sorted(prefixes) if len(numbered := _numbered(source, prefix, free)) > 1]
    if not choices:
        lists = [c for c in free if is_list_of_numbers(source.columns[c])]
        choices = [(c,) for c in [c for c in lists if c.lower() in usual] or lists]
    if not choices:
        ones = {f"{prefix}_1" for prefix in prefixes} if len(prefixes) == 1 else set()
        choices = [(c,) for c in free if c.lower() in usual or c in ones]
    if not choices:
        for prefix in PROBABILITIES:
            after = [c for c in free if c.lower().startswith(prefix + "_") and source.family(c) == "number"]
            if len(after) > 1:
                return tuple(after)
        choices = [(c,) for c in free if c.lower() in VOTES]
    if not choices and of_logits:
        raise BadInput(
            f"{source.name}: {listed(sorted(of_logits))} looks like logits; pass --logits, or --probs to choose other columns"
        )
    if len(choices) != 1:
        several = f"several could hold them ({', '.join(c[0] for c in choices)})" if choices else "none has a usual name"
        raise BadInput(
            f"{source.name}: no certain columns of predictions: {several}; pass --probs. "
            f"The columns are {listed(list(source.columns))}"
        )
    return choices[0]


def _numbered(source: Source, prefix: str, free: Sequence[str]) -> tuple[str, ...]:
    """prefix_0 … prefix_{K-1} in numeric order, whatever their order in the file."""
    found = {int(m[1]): c for c in free if (m := re.fullmatch(re.escape(prefix) + r"_(\d+)", c))}
    gaps = sorted(set(range(len(found))) - set(found))
    if len(found) > 1 and gaps:
        raise BadInput(
            f"{source.name}: columns {prefix}_{min(found)} … {prefix}_{max(found)} lack {prefix}_{gaps[0]}; classes count from "
            "0 without gaps. Pass --probs with the columns in the order of the classes"
        )
    return tuple(found[k] for k in sorted(found))


def _names_after_prefix(columns: Sequence[str]) -> tuple[str, ...] | None:
    """cat, dog of p_cat, p_dog; the columns' own names where they share no such prefix; None for the numbers from 0."""
    heads = {c.split("_", 1)[0] for c in columns}
    shared = len(heads) == 1 and heads.pop().lower() in (*PROBABILITIES, *LOGITS) and all("_" in c for c in columns)
    names = tuple(c.split("_", 1)[1] if shared else c for c in columns)
    numbered = tuple(f"{names[0][:-1]}{k}" for k in range(len(names)))
    return None if names == numbered or len(names) < 2 else names


def _kind(source: Source, columns: tuple[str, ...], reading: Reading) -> Kind:
    numeric = {"number", "integer"} | (
        {"text", "boolean"} if source.untyped else set()
    )  # cells that are not numbers are counted later
    first = columns[0]
    is_list = len(columns) == 1 and is_list_of_numbers(source.columns[first])
    if reading["regression"] and (len(columns) > 1 or is_list):
        what = f"a list in {first!r}" if is_list else f"{len(columns)} ({listed(columns)})"
        raise BadInput(f"{source.name}: --regression needs one column of predictions, got {what}")
    usual = first.lower() in (*PROBABILITIES, *LOGITS) or reading["regression"] or reading["logits"]
    expected = (
        "numbers, one column for each class"
        if len(columns) > 1
        else "numbers"
        if usual
        else "a number, a list of numbers, or a label"
    )
    for c in columns:
        family = source.family(c)
        wrong = family not in numeric if len(columns) > 1 or (usual and not is_list) else family in ("time", "other")
        if wrong or (family == "list" and not is_list):
            expected = "a list of numbers" if family == "list" and len(columns) == 1 else expected
            raise BadInput(f"{source.name}: column {c!r} has type {source.columns[c]}, expected {expected}")
    if len(columns) > 1 or is_list:
        return "list" if is_list else "columns"
    return "regression" if reading["regression"] else "score" if usual or source.family(first) == "number" else "votes"
