"""The format of sums, version 1: its columns, the states of rows, and the description that each result carries."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from traintwice._typed import fits, hints_of
from traintwice.errors import BadInput

NAME, VERSION = "traintwice sums", 1
COLUMNS = ("kind", "part", "name", "value", "state", "other", "n", "total", "squares")
"""The columns of a table of sums, see docs/concepts/sums.md. The first six are the key of a line; the others are added up."""
KEY, ADDED = COLUMNS[:6], COLUMNS[6:]

Kind = Literal["score", "probs", "pred"]

State = tuple[int, int, int | None]
"""Old class, new class and label (None without one) of the rows of a state."""

KINDS: dict[str, State] = {
    "both_right": (0, 0, 0),
    "both_wrong_alike": (0, 0, 1),
    "regressed": (0, 1, 0),
    "improved": (0, 1, 1),
    "wrong_in_another_way": (0, 1, 2),
    "unlabelled_same": (0, 0, None),
    "unlabelled_changed": (0, 1, None),
}
"""States of rows of more than two classes, each with an example."""

BINARY: dict[str, State] = {
    f"{old}/{new}/{'-' if label is None else label}": (old, new, label)
    for old in (0, 1)
    for new in (0, 1)
    for label in (0, 1, None)
}
"""States of rows of two classes: old class, new class, label."""

DECISIONS = ("0/0", "0/1", "1/0", "1/1")
"""States at a threshold: whether the old score reaches it, and whether the new one does."""

MEANS = ("total_variation", "loss_old", "loss_new", "loss_change")
"""Means of a number over rows; the last three over rows with a label."""

FAULTS = ("no_id", "missing", "not_finite", "outside", "sum", "label", "weight", "weight_size", "cluster")
"""What a row may not have, in the order in which it is reported; a row counts for the first that it has."""
EMPTY = ("empty", "empty_nan")
"""Rows that hold no prediction: with a missing entry, or all NaN."""
CHECKS = ("rows", *FAULTS, *EMPTY, "repeated", "alone")
"""Counts of each table."""
CONFLICTS = ("label", "weight", "cluster", "by")
"""Columns on which the two tables may disagree."""


@dataclass(frozen=True)
class Description:
    """What the rows of a table of sums are about: the text of its line of kind ``format``.

    Predictions are one "score" of class 1, "probs" of each class, or labels ("pred"), whose number of classes is None where they are
    whole numbers. Old and new are tables, names those of classes, and the others columns.
    """

    kind: Kind
    classes: int | None
    names: tuple[str, ...] | None
    old: str
    new: str
    id: tuple[str, ...]
    predictions: tuple[str, ...]
    label: str | None = None
    weight: str | None = None
    by: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return self.classes == 2

    @property
    def states(self) -> dict[str, State]:
        """The states of rows by name."""
        return BINARY if self.binary else KINDS

    @property
    def means(self) -> tuple[str, ...]:
        """The means that are summed."""
        return () if self.kind == "pred" else MEANS if self.label is not None else MEANS[:1]

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps({"format": NAME, "version": VERSION, **asdict(self)}, ensure_ascii=False)


def described(text: Any, where: str) -> Description:
    """The description in a line of kind ``format``; another format or version is refused, and what this version does not have."""
    expected = f"expected the result of the query that `traintwice sums` prints, version {VERSION}"
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("format") != NAME:
        raise BadInput(f"{where}: the line of kind 'format' does not describe sums; {expected}")
    if found.pop("version", None) != VERSION:
        raise BadInput(f"{where}: sums of another version; {expected}. Print the query again with this version")
    del found["format"]
    lists = ("names", "id", "predictions", "by", "cluster", "thresholds")
    known = {f.name for f in fields(Description)}
    whole = found | {key: tuple(found[key]) for key in lists if isinstance(found.get(key), list)}
    if set(found) != known or not _fits(whole):
        raise BadInput(f"{where}: the line of kind 'format' has keys or values that version {VERSION} does not have; {expected}")
    return Description(**whole)


def _fits(values: dict[str, Any]) -> bool:
    """Whether the values of a description have its types."""
    hints, names, classes = hints_of(Description), values["names"], values["classes"]
    typed = all(fits(value, hints[key]) for key, value in values.items())
    return (
        typed
        and values["kind"] in get_args(Kind)
        and (classes is None or classes >= 2)
        and (names is None or len(names) == classes)
    )
