"""Which column is what: recognised from names and types where that is certain, asked for where it is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from traintwice.errors import BadInput
from traintwice.predictions.reading import Reading
from traintwice.predictions.sources import Source
from traintwice.predictions.types_of_columns import family, is_list_of_numbers, list_length

Kind = Literal["columns", "list", "score", "votes", "regression"]

PROBABILITIES = ("p", "prob", "probs", "proba", "probas", "probability", "probabilities", "score", "scores", "y_prob", "y_score")
LOGITS = ("logit", "logits")
VOTES = ("pred", "preds", "prediction", "predictions", "predicted", "predicted_label", "y_pred", "yhat", "y_hat", "votes")
IDS = ("id", "ids", "row_id", "example_id", "sample_id", "uid", "uuid", "key")
LABELS = ("y", "label", "labels", "y_true", "true_label", "target")
MENTIONED = 12
"""Columns listed in a message; a file may have thousands."""


@dataclass(frozen=True)
class Layout:
    """What the columns of one file mean.

    Attributes:
        kind: ``columns``: one column for each class. ``list``: one list column. ``score``: one score in [0, 1] of a
            binary model. ``votes``: predicted labels. ``regression``: one number.
        columns: the columns of the predictions, in the order of the classes.
        classes: K; None for predicted labels and regression, and for lists before a row was read.
        id, label, weight, by, cluster, draws, time: the columns of these roles; empty or None where the file has none.
        logits: the predictions are logits, turned into probabilities when read.
        class_names: names of the classes where the names of the columns say them.
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

    @property
    def groups(self) -> tuple[str, ...]:
        """The group columns, time last."""
        return (*self.by, self.time) if self.time else self.by

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
        parts = [
            predictions + (" (logits)" if self.logits and self.kind != "score" else ""),
            f"id {' + '.join(self.id)}" if self.id else "no id",
            f"labels in {self.label}" if self.label else "",
            f"weight {self.weight}" if self.weight else "",
            f"by {', '.join(self.by)}" if self.by else "",
            f"cluster {' + '.join(self.cluster)}" if self.cluster else "",
            f"draws {self.draws}" if self.draws else "",
            f"time {self.time}" if self.time else "",
        ]
        return " · ".join(part for part in parts if part)


def recognise(source: Source, reading: Reading) -> Layout:
    """The layout of a source. Label, weight, groups, clusters and time may be in one of several files only.

    Raises:
        BadInput: a column asked for is not there, or what cannot be told must be asked for; the message names the option.
    """
    have = source.columns
    label = reading["label"] if reading["label"] is not None else _only(source, LABELS, "label")
    ids = _ids(source, reading)
    by, cluster, weight, time, draws = (reading[name] for name in ("by", "cluster", "weight", "time", "draws"))
    taken = {*ids, *by, *cluster, label, weight, time, draws}
    free = [c for c in have if c not in taken]
    columns, names = _chosen(source, tuple(reading["probs"]), free) if reading["probs"] else _found(source, free, reading)
    kind = _kind(source, columns, reading)
    classes = {"columns": len(columns), "score": 2, "list": list_length(have[columns[0]])}.get(kind)
    if draws is not None and draws not in have:
        raise missing_column(source, draws, "draws")
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
        draws=draws,
        time=time if time in have else None,
        logits=reading["logits"],
        class_names=names,
    )


def listed(names: Sequence[str]) -> str:
    """Names of columns for a message, the first dozen.

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
        raise BadInput(f"{source.name}: cannot tell which of {listed(found)} is meant; pass --{option}")
    return found[0] if found else None


def _ids(source: Source, reading: Reading) -> tuple[str, ...]:
    if reading["by_position"]:
        return ()
    if reading["id"]:
        for name in reading["id"]:
            if name not in source.columns:
                raise missing_column(source, name, "id")
        return tuple(reading["id"])
    found = _only(source, IDS, "id")
    if found is None:
        raise BadInput(
            f"{source.name}: cannot tell which column identifies the rows; pass --id, or --by-position where row n of every "
            f"file is the same example. The columns are {listed(list(source.columns))}"
        )
    return (found,)


def _chosen(source: Source, wanted: tuple[str, ...], free: list[str]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The columns that --probs names; one name that is no column may be the prefix of name_0, name_1 …"""
    if len(wanted) == 1 and wanted[0] not in source.columns:
        numbered = _numbered(source, wanted[0], free)
        if numbered:
            return numbered, None
    for name in wanted:
        if name not in source.columns:
            raise missing_column(source, name, "probs")
    if len(set(wanted)) < len(wanted):
        raise BadInput(f"--probs names a column twice: {listed(wanted)}")
    return wanted, _names_after_prefix(wanted)


def _found(source: Source, free: list[str], reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The columns of the predictions, from names and types."""
    logits = {m[1] for c in free if (m := re.fullmatch(r"(.+?)_\d+", c)) and m[1].lower() in LOGITS}
    logits |= {c for c in free if c.lower() in LOGITS}
    prefixes = {m[1] for c in free if (m := re.fullmatch(r"(.+?)_\d+", c)) and m[1].lower() in PROBABILITIES}
    if reading["logits"] and logits:
        prefixes = logits
    choices = [numbered for prefix in sorted(prefixes) if len(numbered := _numbered(source, prefix, free)) > 1]
    if not choices:
        lists = [c for c in free if is_list_of_numbers(source.columns[c])]
        named = [c for c in lists if c.lower() in (LOGITS if reading["logits"] and logits else PROBABILITIES)]
        choices = [(c,) for c in named or lists]
    if not choices:
        wanted = LOGITS if reading["logits"] and logits else PROBABILITIES
        choices = [(c,) for c in free if c.lower() in wanted or (len(prefixes) == 1 and c in {f"{p}_1" for p in prefixes})]
    if not choices:
        for prefix in PROBABILITIES:
            after = [c for c in free if c.lower().startswith(prefix + "_") and family(source.columns[c]) == "number"]
            if len(after) > 1:
                return tuple(after), _names_after_prefix(after)
    if not choices:
        choices = [(c,) for c in free if c.lower() in VOTES]
    if not choices and logits:
        raise BadInput(
            f"{source.name}: {listed(sorted(logits))} looks like logits; pass --logits, or --probs to choose other columns"
        )
    if len(choices) != 1:
        several = f"several could hold them ({', '.join(c[0] for c in choices)})" if choices else "none has a usual name"
        raise BadInput(
            f"{source.name}: cannot tell which columns hold the predictions: {several}; pass --probs. "
            f"The columns are {listed(list(source.columns))}"
        )
    return choices[0], None


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
    """cat, dog of p_cat, p_dog; the columns' own names where they share no such prefix; None for numbers."""
    heads = {c.split("_", 1)[0] for c in columns}
    shared = len(heads) == 1 and heads.pop().lower() in (*PROBABILITIES, *LOGITS) and all("_" in c for c in columns)
    names = tuple(c.split("_", 1)[1] if shared else c for c in columns)
    return None if all(n.isdigit() for n in names) or len(names) < 2 else names


def _kind(source: Source, columns: tuple[str, ...], reading: Reading) -> Kind:
    types = {c: family(source.columns[c]) for c in columns}
    numeric = {"number", "integer"} | (
        {"text", "boolean"} if source.untyped else set()
    )  # cells that are no numbers are counted later
    if len(columns) > 1:
        for c in columns:
            if types[c] not in numeric:
                raise BadInput(
                    f"{source.name}: column {c!r} has type {source.columns[c]}, expected numbers, one column for each class"
                )
        if reading["regression"]:
            raise BadInput(f"{source.name}: --regression needs one column of predictions, got {len(columns)} ({listed(columns)})")
        return "columns"
    (only,) = columns
    if types[only] == "list":
        if not is_list_of_numbers(source.columns[only]):
            raise BadInput(f"{source.name}: column {only!r} has type {source.columns[only]}, expected a list of numbers")
        if reading["regression"]:
            raise BadInput(f"{source.name}: --regression needs one number for each row, and {only!r} is a list")
        return "list"
    if types[only] in ("time", "other"):
        raise BadInput(
            f"{source.name}: column {only!r} has type {source.columns[only]}, expected a number, a list of numbers, or a label"
        )
    usual = only.lower() in (*PROBABILITIES, *LOGITS)
    if reading["regression"] or reading["logits"] or usual:
        if types[only] not in numeric:
            raise BadInput(f"{source.name}: column {only!r} has type {source.columns[only]}, expected numbers")
        return "regression" if reading["regression"] else "score"
    return "score" if types[only] == "number" else "votes"
