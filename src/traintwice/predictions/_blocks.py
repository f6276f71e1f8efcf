"""Rows of matched files in blocks of bounded size; repeated draws are counted, and blocks are of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions._classes import MOST_CLASSES
from traintwice.predictions._faults import ROLES
from traintwice.predictions._matching import CELLS, Alignment, Matcher
from traintwice.predictions._predictions import BLOCK_ELEMENTS, Predictions
from traintwice.predictions._session import Session
from traintwice.predictions._source import WIDE, family
from traintwice.predictions._views import View

QUERY_ELEMENTS, LEAST_ROWS = 1 << 22, 1 << 11
"""Elements and rows that one query reads where a block has fewer: with many classes a query takes longer than the rows of a block."""


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


class RowBlocks:
    """The rows that a `Matcher` matches, in blocks.

    Args:
        groups, shown: names of the group columns and of the columns to show.
    """

    def __init__(
        self, matcher: Matcher, class_names: tuple[str, ...] | None, groups: Sequence[str], shown: Sequence[str]
    ) -> None:
        self._matcher, self._views, self._session = matcher, matcher.views, matcher.session
        self.class_names, self.groups, self.shown = class_names, tuple(groups), tuple(shown)
        kind, self.classes, self.replicas = self._views[0].layout.kind, self._views[0].layout.classes, len(self._views)
        self.is_regression, self.has_draws = kind == "regression", self._views[0].predictions == ("h",)
        self.has_probs = kind not in ("votes", "regression") and not self.has_draws
        self._width = self.classes or 1 if self.has_probs or self.has_draws else 1
        self._rows = max(1, BLOCK_ELEMENTS // (self.replicas * self._width))

    @property
    def alignment(self) -> Alignment:
        """How rows were matched; matches them where that was not done yet."""
        if self._matcher.alignment is None:
            self._matcher.cells({"c": "c"} if any("c" in view.cells for view in self._views) else {}, {}, ())
            self._check_unchanged()
        return cast(Alignment, self._matcher.alignment)

    def batches(self) -> Iterator[Predictions]:
        """Blocks of bounded size, all files as replicas, with ids, labels, weights, groups and clusters.

        Where some rows have no label, the rows of a block come in two parts, those with labels and those without; a regression has
        ``targets`` instead, nan where a row has none. Rows come in the order of the files, or in no particular order where files
        were joined.
        """
        for block in self.blocks():
            yield from block.by_label()

    def blocks(self) -> Iterator[Predictions]:
        """As `batches`, with the rows of a block in one part; a label is −1 (a target nan) where a row has none."""
        if self.has_draws:
            raise BadInput("items were drawn several times (--draws): they are compared by their draws, not row by row")
        single = [f"{c}_{m}" for m, view in enumerate(self._views) for c in view.predictions if c != "l"]
        for start, source, count in self._ranges():
            known, found = self._known(source, single, count)
            values = np.stack([self._predicted(m, source, found, count) for m in range(self.replicas)])
            known["targets" if self.is_regression else "labels"] = known.pop("labels")
            known |= {"positions": np.arange(start, start + count), "some_labelled": not self.is_regression}
            whole = Predictions.trusted(values, scores=self.is_regression, class_names=self.class_names, **known)
            for first in range(0, count, self._rows):
                yield whole if count <= self._rows else whole.slice(first, min(first + self._rows, count))
        self._check_unchanged()

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class. Raises `BadInput` without draws."""
        if not self.has_draws:
            raise BadInput("these rows are not draws; pass --draws COLUMN where a model answered an item several times")
        for _, source, count in self._ranges():
            counts = []
            for m in range(self.replicas):
                sizes = self._arrays(f"SELECT len(map_keys(h_{m})) AS n FROM {source}", count)["n"].astype(np.int64)
                drawn = f"SELECT unnest(map_keys(h_{m})) AS k, unnest(map_values(h_{m})) AS n FROM {source}"
                found = self._arrays(drawn, int(sizes.sum()))
                counts.append(np.zeros((count, self._width), dtype=np.int64))
                counts[m][np.repeat(np.arange(count), sizes), found["k"]] = found["n"]
            known = self._known(source, [], count)[0]
            labels = known.pop("labels")
            yield DrawBlock(counts, np.full(count, -1) if labels is None else labels, **known)
        self._check_unchanged()

    def read(self, *, labelled_only: bool = False) -> Predictions:
        """All rows in memory, or only those with a label; where some rows have none, ``labelled`` is a mask of those with one."""
        whole = Predictions.joined(list(self.blocks()))
        if not labelled_only:
            return whole
        if not (labelled := whole.labelled if whole.targets is None else ~np.isnan(whole.targets)).any():
            raise BadInput("no row has a label; pass --label, or measure without labels")
        return whole.where(labelled)

    def _check_unchanged(self) -> None:
        for view in self._views:
            view.source.check_unchanged()

    def _ranges(self) -> Iterator[tuple[int, str, int]]:
        """The first row, a FROM item with columns as in the matcher's source, and the number of rows of each range."""
        rows, size = self.alignment.rows, self._rows
        stage = self.has_draws or not self._matcher.side_by_side
        if self._width > WIDE:
            size *= max(1, min(QUERY_ELEMENTS // (size * self.replicas * self._width), LEAST_ROWS // size))
            scanned = any(view.source.row != "rowid" for view in self._views)
            stage |= scanned and rows > size  # a range of a Parquet file decodes all lists before it
        if stage:
            self._matcher.stage()
        for start in range(0, rows, size):
            yield start, self._matcher.source((start, min(start + size, rows))), min(size, rows - start)

    def _known(self, source: str, further: Sequence[str], rows: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is known of some rows, by the names that `Predictions` has for it; and further columns of the source."""
        columns = [*(f"{sql} AS {name}" for name, sql in self._columns.items()), *further]
        found = self._arrays(f"SELECT {', '.join(columns) or '1'} FROM ({self._matcher.relation(source)})", rows)
        ids = [found[f"i{j}"] for j in range(len(self._views[0].ids))]
        whole = ids[0] if ids else None
        if len(ids) > 1:
            whole = np.empty(rows, dtype=object)
            whole[:] = list(zip(*[i.tolist() for i in ids], strict=True))
        known: dict[str, Any] = {"labels": found.get("y"), "weights": found.get("w"), "ids": whole}
        known["clusters"] = np.searchsorted(self._cluster_hashes, found["c"]).astype(np.int64) if "c" in found else None
        known["groups"] = {name: found[f"g{j}"] for j, name in enumerate(self.groups)}
        return known | {"shown": {name: found[f"o{j}"] for j, name in enumerate(self.shown)}}, found

    def _predicted(self, m: int, source: str, found: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """What one replica predicts for some rows: ``N K``, ``N`` predicted labels or ``N`` numbers."""
        columns, classes = self._views[m].predictions, self._width
        if columns == ("l",):
            return self._arrays(f"SELECT unnest(l_{m}) AS p FROM {source}", rows * classes)["p"].reshape(rows, classes)
        values = [found[f"{column}_{m}"] for column in columns]
        values = [1.0 - values[0], *values] if columns == ("s",) else values
        return np.stack(values, axis=1) if len(values) > 1 else values[0]

    def _arrays(self, sql: str, rows: int) -> dict[str, np.ndarray]:
        found = self._session.arrays(sql, doing="reading the predictions")
        for name, array in found.items():
            if len(array) != rows:
                raise BadInput(f"a file changed while it was read ({len(array):,} of {rows:,} rows came back); run again")
            if isinstance(array, np.ma.MaskedArray):  # only groups and columns to show may be missing
                found[name] = np.array(array.tolist(), dtype=object)
        return found

    @cached_property
    def _columns(self) -> dict[str, str]:
        """The SQL of what is known of rows, in types that NumPy holds without loss: large integers and dates as text."""
        described = self._session.rows(f"DESCRIBE {self._matcher.relation()}", doing="reading the columns")
        exact = {n for n, kind, *_ in described if family(kind) in ("integer", "boolean") and not kind.endswith("HUGEINT")}
        columns = {n: n if n in exact else f"CAST({n} AS VARCHAR)" for n, *_ in described if n[0] in "igo"}
        none = "'nan'::DOUBLE" if self.is_regression else "-1"
        further = {"y": f"coalesce(y, {none})", "w": "w", "c": "hash(c)"}
        return columns | {n: sql for n, sql in further.items() if any(n in view.cells for view in self._views)}

    @cached_property
    def _cluster_hashes(self) -> np.ndarray:
        """The hash of every cluster, in rising order: the place of a hash is the number of its cluster."""
        source = CELLS if "c" in self._matcher.keys else f"({self._matcher.relation()})"
        sql = f"SELECT hash(c) AS h FROM (SELECT DISTINCT c FROM {source}) ORDER BY h"
        (found,) = self._session.arrays(sql, doing="reading the clusters").values()
        if (found[1:] == found[:-1]).any():
            raise BadInput("two clusters have the same hash; rename one of them")
        return np.asarray(found)


def items_of_draws(session: Session, views: Sequence[View]) -> tuple[list[View], list[int]]:
    """Views of items: what belongs to the item, and h, how often each class was drawn."""
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
