"""Ranges of aligned rows as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.relation import Relation
from traintwice.predictions.session import Session
from traintwice.predictions.types_of_columns import family

Codes = Callable[[np.ndarray], np.ndarray]
"""Gives the number of each cluster from its hash."""


def blocks(
    session: Session, relation: Relation, rows: int, size: int, *, staged: bool, codes: Codes, class_names: Sequence[str] | None
) -> Iterator[Predictions]:
    """The aligned rows in ranges of ``size``; labels are −1 where a row of a block has none.

    Files in the same order are read side by side, each by its own row numbers, so nothing is joined and only the row
    groups in question are touched; joined rows come from the table that holds them.
    """
    for start in range(0, rows, size):
        stop = min(start + size, rows)
        if staged:
            sources = [f"{relation.source} WHERE rowid >= {start} AND rowid < {stop}"] * len(relation.views)
        else:
            sources = [f"{v.name} WHERE {v.name}.r >= {start} AND {v.name}.r < {stop}" for v in relation.views]
        yield _block(session, relation, stop - start, sources, codes, class_names)


def _block(
    session: Session,
    relation: Relation,
    rows: int,
    sources: Sequence[str],
    codes: Codes,
    class_names: Sequence[str] | None,
) -> Predictions:
    def column(m: int, sql: str) -> np.ndarray:
        return _column(session, sql, sources[m], rows)

    views = relation.views
    scores = views[0].layout.kind == "regression"
    values = np.stack([_predicted(session, relation, m, source, rows) for m, source in enumerate(sources)])
    labels = None
    for m, view in enumerate(views):
        if view.layout.label:
            theirs = column(m, f"coalesce({relation.cell(m, 'y')}, {_none(view.layout.kind)})")
            labels = theirs if labels is None else np.where(np.isnan(labels) if scores else labels < 0, theirs, labels)
    weights = next((column(m, relation.cell(m, "w")) for m, v in enumerate(views) if v.layout.weight), None)
    clusters = next((codes(column(m, f"hash({relation.cell(m, 'c')})")) for m, v in enumerate(views) if v.layout.cluster), None)
    groups = {}
    for name in relation.groups:
        owner = next(m for m, v in enumerate(views) if name in v.layout.groups)
        groups[name] = column(owner, relation.cell(owner, f"g{views[owner].layout.groups.index(name)}"))
    return Predictions.trusted(
        values,
        None if scores else labels,
        weights,
        scores=scores,
        targets=labels if scores else None,
        ids=_ids(session, relation, sources[0], rows),
        groups=groups,
        clusters=clusters,
        class_names=class_names,
    )


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
