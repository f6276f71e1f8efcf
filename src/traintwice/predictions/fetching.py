"""Ranges of aligned rows as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.relation import Relation
from traintwice.predictions.session import Session
from traintwice.predictions.types_of_columns import family


@dataclass(frozen=True)
class Block:
    """Some aligned rows: probabilities ``M N K``, predicted labels ``M N`` or, for regression, numbers ``M N``.

    Attributes:
        values: what the replicas predict.
        labels: classes, −1 where a row has none; for regression numbers, nan where a row has none; None without labels.
        weights, ids, groups, time: of each row, where known.
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    ids: np.ndarray | None = None
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    time: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """N."""
        return int(self.values.shape[1])

    @property
    def labelled(self) -> np.ndarray:
        """True for each row that has a label."""
        if self.labels is None:
            return np.zeros(self.rows, dtype=bool)
        return ~np.isnan(self.labels) if self.labels.dtype.kind == "f" else self.labels >= 0

    def where(self, chosen: np.ndarray) -> Block:
        """The rows chosen by a mask."""

        def pick(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[chosen]

        groups = {name: values[chosen] for name, values in self.groups.items()}
        return Block(self.values[:, chosen], pick(self.labels), pick(self.weights), pick(self.ids), groups, pick(self.time))

    def without_labels(self) -> Block:
        """The same rows, no labels attached."""
        return replace(self, labels=None)

    def as_predictions(self, class_names: Sequence[str] | None) -> Iterator[Predictions]:
        """The rows with labels, then the rows without, each part only where it has rows."""
        labelled = self.labelled
        for part, has in (
            ((self.where(labelled), True), (self.where(~labelled).without_labels(), False))
            if (labelled.any() and not labelled.all())
            else ((self if labelled.all() else self.without_labels(), bool(labelled.all())),)
        ):
            yield Predictions.trusted(
                part.values,
                part.labels if has else None,
                part.weights,
                ids=part.ids,
                groups=part.groups,
                time=part.time,
                class_names=class_names,
            )

    @classmethod
    def joined(cls, parts: Sequence[Block]) -> Block:
        """Blocks one after the other."""

        def join(name: str) -> Any:
            arrays = [getattr(part, name) for part in parts]
            return None if arrays[0] is None else np.concatenate(arrays)

        groups = {name: np.concatenate([part.groups[name] for part in parts]) for name in parts[0].groups}
        values = np.concatenate([part.values for part in parts], axis=1)
        return cls(values, join("labels"), join("weights"), join("ids"), groups, join("time"))


def blocks(session: Session, relation: Relation, rows: int, size: int, *, staged: bool) -> Iterator[Block]:
    """The aligned rows in ranges of ``size``.

    Files in the same order are read side by side, each by its own row numbers, so nothing is joined and only the row
    groups in question are touched; joined rows come from the table that holds them.
    """
    for start in range(0, rows, size):
        stop = min(start + size, rows)
        if staged:
            yield _block(
                session,
                relation,
                stop - start,
                [f"{relation.source} WHERE rowid >= {start} AND rowid < {stop}"] * len(relation.views),
            )
        else:
            ranges = [f"{v.name} WHERE {v.name}.r >= {start} AND {v.name}.r < {stop}" for v in relation.views]
            yield _block(session, relation, stop - start, ranges)


def _block(session: Session, relation: Relation, rows: int, sources: Sequence[str]) -> Block:
    def column(m: int, sql: str) -> np.ndarray:
        return _column(session, sql, sources[m], rows)

    views = relation.views
    values = np.stack([_predicted(session, relation, m, source, rows) for m, source in enumerate(sources)])
    labels = None
    for m, view in enumerate(views):
        if view.layout.label:
            theirs = column(m, f"coalesce({relation.cell(m, 'y')}, {_none(view.layout.kind)})")
            labels = theirs if labels is None else np.where(_missing(labels), theirs, labels)
    weights = next((column(m, relation.cell(m, "w")) for m, v in enumerate(views) if v.layout.weight), None)
    time = next((column(m, relation.cell(m, "t")) for m, v in enumerate(views) if v.layout.time), None)
    groups = {}
    for name in relation.groups:
        owner = next(m for m, v in enumerate(views) if name in v.layout.by)
        groups[name] = column(owner, relation.cell(owner, f"g{views[owner].layout.by.index(name)}"))
    return Block(values, labels, weights, _ids(session, relation, sources[0], rows), groups, time)


def _predicted(session: Session, relation: Relation, m: int, source: str, rows: int) -> np.ndarray:
    view = relation.views[m]
    first = view.predictions[0]
    if first == "l":
        return _column(session, f"unnest({relation.cell(m, 'l')})", source, rows * (view.classes or 0)).reshape(rows, -1)
    if first in ("s", "v", "x"):
        values = _column(session, relation.cell(m, first), source, rows)
        return np.stack([1.0 - values, values], axis=1) if first == "s" else values
    cells = ", ".join(relation.cell(m, k) for k in view.predictions)
    found = session.arrays(f"SELECT {cells} FROM {source}", doing=f"{view.source.name}: reading")
    return np.stack([_whole(array, rows, view.source.name) for array in found.values()], axis=1)


def _ids(session: Session, relation: Relation, source: str, rows: int) -> np.ndarray | None:
    ids = [_column(session, _exact(session, relation, i, source), source, rows) for i in relation.views[0].ids]
    if len(ids) < 2:
        return ids[0] if ids else None
    together = np.empty(rows, dtype=object)
    together[:] = list(zip(*[i.tolist() for i in ids], strict=True))
    return together


def _exact(session: Session, relation: Relation, name: str, source: str) -> str:
    """The SQL of an id column in a type that NumPy holds without loss: integers beyond 64 bits and dates go as text."""
    cell = relation.cell(0, name)
    kind = session.rows(f"DESCRIBE SELECT {cell} AS c FROM {source}", doing="reading ids")[0][1]
    as_it_is = family(kind) in ("integer", "boolean") and kind not in ("HUGEINT", "UHUGEINT")
    return cell if as_it_is else f"CAST({cell} AS VARCHAR)"


def _column(session: Session, sql: str, source: str, rows: int) -> np.ndarray:
    (array,) = session.arrays(f"SELECT {sql} AS c FROM {source}", doing="reading the predictions").values()
    return _whole(array, rows, source)


def _whole(array: Any, rows: int, source: str) -> np.ndarray:
    if len(array) != rows:
        raise BadInput(f"{source}: changed while it was read ({len(array):,} of {rows:,} rows came back); run again")
    if isinstance(array, np.ma.MaskedArray):  # only groups and time may be missing
        missing: Any = None if array.dtype == object else np.datetime64("NaT")
        return np.where(np.ma.getmaskarray(array), missing, array.data)
    return np.asarray(array)


def _none(kind: str) -> str:
    return "'nan'::DOUBLE" if kind == "regression" else "-1"


def _missing(labels: np.ndarray) -> np.ndarray:
    return np.isnan(labels) if labels.dtype.kind == "f" else labels < 0
