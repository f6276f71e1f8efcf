"""Which column is what: recognised from names and types where that is certain; otherwise the error names the option to pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from traintwice._database import Session
from traintwice._formatting import listed
from traintwice.errors import BadInput
from traintwice.predictions._reading import Reading
from traintwice.predictions._source import (
    LOGITS,
    PROBABILITIES,
    Source,
    by_number,
    described,
    family,
    numbered,
    numbers_at_end,
)

Kind = Literal["columns", "list", "score", "votes", "regression"]

VOTES = ("pred", "preds", "prediction", "predictions", "predicted", "predicted_label", "y_pred", "yhat", "y_hat", "votes")
IDS = ("id", "ids", "row_id", "example_id", "sample_id", "uid", "uuid", "key")
LABELS = ("y", "label", "labels", "y_true", "true_label", "target")
ORDERS = {"same order": "same order, every id compared", "joined": "joined by id", "by position": "by position, ids not compared"}
IN_WORDS = {"votes": "predicted labels", "regression": "a regression"}


@dataclass(frozen=True)
class Layout:
    """What the columns of one file mean.

    Attributes:
        kind: ``columns``: one column for each class. ``list``: one list column. ``score``: one score in [0, 1] of a
            binary model. ``votes``: predicted labels. ``regression``: one number.
        columns: the columns of the predictions, in the order of the classes.
        classes: K; None for predicted labels and regression.
        id, label, weight, by, show, cluster, draws, time: the columns of these roles; empty or None where the file has none.
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
    show: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    draws: str | None = None
    time: str | None = None
    logits: bool = False
    class_names: tuple[str, ...] | None = None
    order: tuple[int, ...] | None = None

    @property
    def read(self) -> tuple[str, ...]:
        """Every column that has a role."""
        one = (self.label, self.weight, self.draws, self.time)
        return (*self.id, *self.columns, *self.by, *self.show, *self.cluster, *(c for c in one if c is not None))

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
class Summary:
    """What was read, for the header of a report.

    Attributes:
        files: their names, one for each replica.
        rows: examples that all files share; items, where each was drawn several times.
        labelled: how many of them have a label.
        order: "same order" (every id compared), "joined", or "by position" (`by_position`).
        layouts: what the columns of each file mean, in words.
        label, weight: the columns of labels and weights, or None.
        classes, class_names: K and the names of the classes, where known.
        dropped: for each file the rows left out because ids were missing elsewhere or duplicated.
        positive: name of the positive class of a binary comparison, where something says which it is.
        class_rule: what gave the order of the classes and the positive class, in words.
        cluster, clusters: the columns of clusters, and how many clusters there are; None where rows are independent.
        time, period: the column of time, and how it is cut ("week").
        draws: how many draws each file holds; None without draws.
        outcomes: the files are evaluation logs, and ``label`` names their scores.
    """

    files: tuple[str, ...]
    rows: int
    labelled: int
    order: str
    layouts: tuple[str, ...]
    label: str | None = None
    weight: str | None = None
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    dropped: tuple[int, ...] = ()
    positive: str | None = None
    class_rule: str | None = None
    cluster: str | None = None
    clusters: int | None = None
    time: str | None = None
    period: str | None = None
    draws: tuple[int, ...] | None = None
    outcomes: bool = False

    @property
    def units(self) -> int:
        """How many independent units there are: clusters, or rows."""
        return self.rows if self.clusters is None else self.clusters

    def describe(self) -> str:
        """A few lines in words."""
        lines = [f"{len(self.files)} files · {self.rows:,} {'rows' if self.draws is None else 'items'} · {ORDERS[self.order]}"]
        alike = len(set(self.layouts)) == 1
        lines += self.layouts[:1] if alike else [f"{n}: {layout}" for n, layout in zip(self.files, self.layouts, strict=True)]
        some = "" if self.labelled == self.rows else f", {self.rows - self.labelled:,} rows have none"
        what = "scores" if self.outcomes else "labels"
        lines.append(f"no {what}" if self.label is None else f"{what} in {self.label}: {self.labelled:,} rows{some}")
        lines += [self.class_rule] if self.class_rule else []
        lines += [f"{self.clusters:,} clusters in {self.cluster}"] if self.cluster else []
        lines += [f"time {self.time} by {self.period}"] if self.period else []
        lines += [f"{n}: {count:,} draws" for n, count in zip(self.files, self.draws or (), strict=False)]
        lines += [f"{n}: {count:,} rows left out" for n, count in zip(self.files, self.dropped, strict=False) if count]
        return "\n".join(lines)


Recognised: TypeAlias = tuple[Source, Layout]
"""A file, and what its columns mean."""


def recognise_all(session: Session, sources: Sequence[Source], reading: Reading) -> list[Recognised]:
    """All files with their layouts, which hold predictions of one kind and of as many classes."""
    layouts = [recognise(source, reading) for source in sources]
    if any(layout.kind not in IN_WORDS for layout in layouts):  # then whole numbers in a text file are scores too
        for m, (layout, source) in enumerate(zip(layouts, sources, strict=True)):
            if layout.kind == "votes" and source.untyped and family(source.columns[layout.columns[0]]) == "integer":
                layouts[m] = replace(layout, kind="score", classes=2)
    check_options(sources, reading)
    if reading["cluster"] and not any(layout.cluster for layout in layouts):
        raise BadInput(f"--cluster: no file has all of the columns {listed(reading['cluster'])}; expected them in one file")
    for m, (layout, source) in enumerate(zip(layouts, sources, strict=True)):
        if (pairs := source.names_in_pairs(session, layout.columns[0])) is not None:
            layouts[m] = layout = replace(layout, classes=len(pairs), class_names=pairs)
        if layout.kind == "list" and layout.classes is None:  # as many as the first list of the file has entries
            column, cell = layout.columns[0], source.cell(layout.columns[0])
            sql = f"SELECT len({cell}) FROM {source.relation} WHERE {cell} IS NOT NULL LIMIT 1"
            found = session.rows(sql, doing=f"{source.name}: reading")
            if not found or found[0][0] < 2:
                what = f"has {found[0][0]} entries in its first row" if found else "is missing in every row"
                told = f"{source.name}: the list {column!r} {what}"
                raise BadInput(f"{told}; expected one probability for each of two or more classes")
            layouts[m] = layout = replace(layout, classes=int(found[0][0]))
        first, name = layouts[0], sources[0].name
        words = [IN_WORDS.get(each.kind, "probabilities") for each in (first, layout)]
        if words[0] != words[1]:
            told = f"{name} holds {words[0]} ({first.describe()}) and {source.name} {words[1]} ({layout.describe()})"
            raise BadInput(f"{told}; pass --probs with columns that hold the same in all")
        if len(layout.id) != len(first.id):
            raise BadInput(f"{source.name}: {len(layout.id)} id columns against {len(first.id)} in {name}; pass --id")
        if layout.classes != first.classes:
            told = f"{name} has {first.classes} classes ({first.describe()}) and {source.name} {layout.classes} ({layout.describe()})"
            raise BadInput(f"{told}; replicas must predict the same classes")
    return list(zip(sources, layouts, strict=True))


def predicted_next_to(source: Source, layout: Layout, reading: Reading) -> str | None:
    """The column of predicted labels next to probabilities that were taken for the predictions by their names."""
    if layout.kind not in ("score", "columns", "list") or reading["probs"]:
        return None
    return next((c for c in source.columns if c.lower() in VOTES and c not in layout.read), None)


def check_options(sources: Sequence[Source], reading: Reading) -> None:
    """Raise `BadInput` where a column that an option names is in no file."""
    asked = [(option, name) for option in ("by", "show", "cluster") for name in reading[option]]
    for option, name in [*((option, reading[option]) for option in ("label", "weight", "time")), *asked]:
        if name is not None and not any(name in source.columns for source in sources):
            raise _missing(sources[0], name, option)


def recognise(source: Source, reading: Reading) -> Layout:
    """The layout of a source. Label, weight, groups, clusters and time may be in one of several files only.

    Raises:
        BadInput: a column that an option names is not there, or what a column means is not certain.
    """
    have, logits = source.columns, reading["logits"]
    label = reading["label"] if reading["label"] is not None else _only(source, LABELS, "label", reading["probs"])
    for option, name in (*(("id", name) for name in reading["id"]), ("draws", reading["draws"])):
        if name is not None and name not in have:
            raise _missing(source, name, option)
    ids: tuple[str, ...] = ()
    if not reading["by_position"]:
        ids = tuple(reading["id"] or filter(None, [_only(source, IDS, "id", reading["probs"])]))
    if not ids and not reading["by_position"]:
        alone = " (one column: lines are cut at , ; | or tabs)" if source.untyped and len(have) == 1 else ""
        raise BadInput(
            f"{source.name}: no column has a usual name of an id; pass --id, or --by-position where row n of every "
            f"file is the same example. The columns are {listed(list(have))}{alone}"
        )
    by, cluster, weight, time = reading["by"], reading["cluster"], reading["weight"], reading["time"]
    taken = {*ids, *by, *reading["show"], *cluster, label, weight, time, reading["draws"]}
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
        show=tuple(c for c in reading["show"] if c in have),
        cluster=cluster if all(c in have for c in cluster) else (),
        draws=reading["draws"],
        time=time if time in have else None,
        logits=logits,
        class_names=_class_names(source.packed.get(columns[0], columns)),
    )


def _missing(source: Source, name: str, option: str) -> BadInput:
    """The error for a column that an option names and the file lacks."""
    return BadInput(f"{source.name}: no column {name!r} (named by --{option}); the columns are {listed(list(source.columns))}")


def _only(source: Source, known: Sequence[str], option: str, probs: Sequence[str] | None) -> str | None:
    found = [c for c in source.columns if c.lower() in known and c not in (probs or ())]
    if len(found) > 1:
        raise BadInput(f"{source.name}: several columns could be the {option} ({listed(found)}); pass --{option}")
    return found[0] if found else None


def _chosen(source: Source, wanted: tuple[str, ...], free: list[str]) -> tuple[str, ...]:
    """The columns that --probs names; one name that is not a column may be the prefix of name_0, name_1 …"""
    if len(wanted) == 1 and wanted[0] not in source.columns and (columns := _numbered(source, wanted[0], free)):
        return columns
    for name in wanted:
        if name not in source.columns:
            raise _missing(source, name, "probs")
    if len(set(wanted)) < len(wanted):
        raise BadInput(f"--probs names a column twice: {listed(wanted)}")
    return wanted


def _found(source: Source, free: list[str], *, logits: bool) -> tuple[str, ...]:
    """The columns of the predictions, from names and types."""
    heads = {c: m[1] for c in free if (m := re.fullmatch(r"(.+?)_\d+", c))}
    of_logits = {head for head in heads.values() if head.lower() in LOGITS} | {c for c in free if c.lower() in LOGITS}
    usual = LOGITS if logits and of_logits else PROBABILITIES
    prefixes = {head for head in heads.values() if head.lower() in usual}
    choices = [columns for prefix in sorted(prefixes) if len(columns := _numbered(source, prefix, free)) > 1]
    if not choices:
        lists = [c for c in free if family(source.columns[c]) == "numbers"]
        choices = [(c,) for c in [c for c in lists if c.lower() in usual] or lists if c.lower() in usual or c not in source.named]
    if not choices:
        ones = {f"{prefix}_1" for prefix in prefixes} if len(prefixes) == 1 else set()
        choices = [(c,) for c in free if c.lower() in usual or c in ones]
    if not choices:
        for prefix in PROBABILITIES:
            after = [c for c in free if c.lower().startswith(prefix + "_") and family(source.columns[c]) == "number"]
            if len(after) > 1:
                return by_number(after)
        choices = [(c,) for c in free if c.lower() in VOTES]
    if not choices and of_logits:
        raise BadInput(
            f"{source.name}: {listed(sorted(of_logits))} looks like logits; pass --logits, or --probs to choose other columns"
        )
    if len(choices) != 1:
        several = f"several could hold them ({', '.join(c[0] for c in choices)})" if choices else "none has a usual name"
        raise BadInput(
            f"{source.name}: it is not clear which columns hold the predictions: {several}; pass --probs. "
            f"The columns are {listed(list(source.columns))}"
        )
    return choices[0]


def _numbered(source: Source, prefix: str, free: Sequence[str]) -> tuple[str, ...]:
    """prefix_0 … prefix_{K-1} in numeric order."""
    found = numbered(prefix, free)
    gaps = sorted(set(range(len(found))) - set(found))
    if len(found) > 1 and gaps:
        raise BadInput(
            f"{source.name}: columns {prefix}_{min(found)} … {prefix}_{max(found)} lack {prefix}_{gaps[0]}; classes count from "
            "0 without gaps. Pass --probs with the columns in the order of the classes"
        )
    return tuple(found.values())


def names_after_prefix(columns: Sequence[str]) -> tuple[str, ...]:
    """cat, dog of p_cat, p_dog and of probs.cat, probs.dog; the columns' own names where they share no such prefix."""
    if len({c.rpartition(".")[0] for c in columns}) == 1:
        columns = [c.rpartition(".")[2] for c in columns]
    heads = {c.split("_", 1)[0] for c in columns}
    shared = len(heads) == 1 and heads.pop().lower() in (*PROBABILITIES, *LOGITS) and all("_" in c for c in columns)
    return tuple(c.split("_", 1)[1] if shared else c for c in columns)


def _class_names(columns: Sequence[str]) -> tuple[str, ...] | None:
    """The names of the classes after the prefix; None where they end in the numbers from 0."""
    names = names_after_prefix(columns)
    return None if len(names) < 2 or numbers_at_end(names) == list(range(len(names))) else names


def _kind(source: Source, columns: tuple[str, ...], reading: Reading) -> Kind:
    numeric = ("number", "integer", *(("text", "boolean") if source.untyped else ()))  # other cells are counted later
    first, several = columns[0], len(columns) > 1
    is_list = not several and family(source.columns[first]) == "numbers"
    if reading["regression"] and (several or is_list):
        what = f"a list in {first!r}" if is_list else f"{len(columns)} ({listed(columns)})"
        raise BadInput(f"{source.name}: --regression needs one column of predictions, got {what}")
    usual = first.lower() in (*PROBABILITIES, *LOGITS) or reading["regression"] or reading["logits"]
    for c in columns:
        of = family(source.columns[c])
        if of not in numeric if several or (usual and not is_list) else of in ("time", "list", "other"):
            expected = "numbers" if usual else "a number, a list of numbers, or a label"
            expected = "numbers, one column for each class" if several else "a list of numbers" if of == "list" else expected
            raise BadInput(f"{source.name}: column {c!r} has type {described(c, source.columns[c])}, expected {expected}")
    if several or is_list:
        return "list" if is_list else "columns"
    return "regression" if reading["regression"] else "score" if usual or family(source.columns[first]) == "number" else "votes"
