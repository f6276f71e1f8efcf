"""Repeated draws: files of draws as files of items, with how often each class was drawn, and blocks of such items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions._classes import MOST_CLASSES
from traintwice.predictions._session import Session
from traintwice.predictions._unmatched import ROLES
from traintwice.predictions._views import View


@dataclass(frozen=True)
class DrawBlock:
    """Some items that each model answered one or more times.

    Attributes:
        counts: for each model how often it drew each class, integers ``N K``.
        labels: the true class of each item, −1 where it has none.
        ids, weights, clusters, groups, shown: of each item, as in `Predictions`.
        right: for each model the mean score of its draws, ``N``; None where a draw is right if its class is the label.
        graded: the scores are not only 0 and 1.
    """

    counts: list[np.ndarray]
    labels: np.ndarray
    ids: np.ndarray
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    shown: Mapping[str, np.ndarray] = field(default_factory=dict)
    right: list[np.ndarray] | None = None
    graded: bool = False

    def where(self, chosen: np.ndarray) -> DrawBlock:
        """The items chosen by a mask."""
        weights, clusters = (None if array is None else array[chosen] for array in (self.weights, self.clusters))
        groups, shown = ({name: values[chosen] for name, values in c.items()} for c in (self.groups, self.shown))
        return DrawBlock(
            [c[chosen] for c in self.counts], self.labels[chosen], self.ids[chosen], weights, clusters, groups, shown,
            None if self.right is None else [r[chosen] for r in self.right], self.graded,
        )  # fmt: skip


def items_of_draws(session: Session, views: Sequence[View]) -> tuple[list[View], list[int]]:
    """Views of items: what belongs to the item, and h, how often each class was drawn.

    Raises:
        BadInput: a draw of an item is in a file twice, or what belongs to an item changes between its draws.
    """
    items, rows = [], []
    for m, view in enumerate(views):
        doing, ids, name = f"{view.source.name}: counting the draws", ", ".join(view.ids), view.source.name
        shared = [c for c in view.cells if c in ROLES or c[0] in "go"]
        fixed = [c for c in shared if c[0] != "o"]
        repeated = f"SELECT {ids}, d FROM {view.name} GROUP BY {ids}, d HAVING count(*) > 1"
        ((twice,),) = session.rows(f"SELECT count(*) FROM ({repeated})", doing=doing)
        if twice:
            told = f"{name}: {twice:,} draws are on more than one row"
            raise BadInput(f"{told}; an id and a value of {view.layout.draws!r} must name one row")
        ends = ", ".join(f"min({c}) AS low_{c}, max({c}) AS high_{c}" for c in fixed)
        changes = ", ".join(f"count(*) FILTER (low_{c} <> high_{c})" for c in fixed)
        sql = f"SELECT {changes} FROM (SELECT {ends} FROM {view.name} GROUP BY {ids})"
        for column, count in zip(fixed, *(session.rows(sql, doing=doing) if fixed else [()]), strict=True):
            if count:
                raise BadInput(
                    f"{name}: {count:,} items have several values in {view.names[column]!r}; expected the same in all draws"
                )
        kept = ", ".join([ids, *(f"min({c}) AS {c}" for c in shared)])
        drawn = f"SELECT *, {view.vote()} AS drawn FROM {view.name}"
        select = f"SELECT {kept}, histogram(drawn) AS h FROM ({drawn}) GROUP BY {ids} ORDER BY min(r)"
        session.rows(f"CREATE TABLE d{m} AS {select}", doing=doing)
        session.rows(f"CREATE VIEW items{m} AS SELECT rowid AS r, * FROM d{m}", doing=doing)
        rows.append(session.rows(f"SELECT count(*) FROM d{m}", doing=doing)[0][0])
        cells = {c: f"items{m}.{c}" for c in (*view.ids, *shared, "h")}
        items.append(replace(view, name=f"items{m}", predictions=("h",), table=f"items{m}", row="r", cells=cells))
    if items[0].layout.classes is None:
        largest = [f"SELECT max(list_max(map_keys(h))) AS k FROM {view.table}" for view in items]
        largest += [f"SELECT max(y) AS k FROM {view.table}" for view in items if "y" in view.cells]
        ((most,),) = session.rows(f"SELECT max(k) FROM ({' UNION ALL '.join(largest)})", doing="reading the draws")
        if most >= MOST_CLASSES:
            raise BadInput(f"predicted labels go up to {most:,}, expected classes that count from 0, fewer than {MOST_CLASSES:,}")
        items = [replace(view, layout=replace(view.layout, classes=int(most) + 1)) for view in items]
    return items, rows
