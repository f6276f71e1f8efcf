"""Rows of matched files in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions._draws import DrawBlock
from traintwice.predictions._matching import CELLS, Matcher
from traintwice.predictions._predictions import BLOCK_ELEMENTS, Predictions
from traintwice.predictions._source import WIDE, family

DOING = "reading the predictions"

QUERY_ELEMENTS, LEAST_ROWS = 1 << 22, 1 << 11
"""Elements and rows that one query reads where a block has fewer: with many classes a query takes longer than the rows of a block."""


class BlockReader:
    """Reads the rows that a `Matcher` matches.

    Args:
        classes: K, where predictions have K entries or items are counted by class.
        groups, shown: names of the group columns and of the columns to show.
    """

    def __init__(
        self,
        matcher: Matcher,
        classes: int | None,
        class_names: Sequence[str] | None,
        groups: Sequence[str],
        shown: Sequence[str],
    ) -> None:
        self._matcher, self._views, self._session = matcher, matcher.views, matcher.session
        self._classes, self._class_names, self._groups, self._shown = classes, class_names, groups, shown
        self._numbers = matcher.views[0].layout.kind == "regression"

    def blocks(self, rows: int) -> Iterator[Predictions]:
        """Blocks of the rows, all files as replicas; a label is −1 (a target nan) where a row has none."""
        single = [f"{c}_{m}" for m, view in enumerate(self._views) for c in view.predictions if c != "l"]
        for start, source, count in self._ranges(rows):
            known, found = self._known(source, single, count)
            values = np.stack([self._predicted(m, source, found, count) for m in range(len(self._views))])
            known["targets" if self._numbers else "labels"] = known.pop("labels")
            known |= {"positions": np.arange(start, start + count), "some_labelled": not self._numbers}
            whole = Predictions.trusted(values, scores=self._numbers, class_names=self._class_names, **known)
            size = self._block_rows()
            for first in range(0, count, size):
                yield whole if count <= size else whole.slice(first, min(first + size, count))

    def items(self, rows: int) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class."""
        for _, source, count in self._ranges(rows):
            counts = []
            for m in range(len(self._views)):
                sizes = self._arrays(f"SELECT len(map_keys(h_{m})) AS n FROM {source}", count)["n"].astype(np.int64)
                drawn = f"SELECT unnest(map_keys(h_{m})) AS k, unnest(map_values(h_{m})) AS n FROM {source}"
                found = self._arrays(drawn, int(sizes.sum()))
                counts.append(np.zeros((count, self._classes or 0), dtype=np.int64))
                counts[m][np.repeat(np.arange(count), sizes), found["k"]] = found["n"]
            known = self._known(source, [], count)[0]
            labels = known.pop("labels")
            yield DrawBlock(counts, np.full(count, -1) if labels is None else labels, **known)

    def _ranges(self, rows: int) -> Iterator[tuple[int, str, int]]:
        """The first row, a FROM item with columns as in the matcher's source, and the number of rows of each range."""
        size, wide, alignment = self._block_rows(), (self._classes or 0) > WIDE, self._matcher.alignment
        if wide:
            size *= max(1, min(QUERY_ELEMENTS // (size * len(self._views) * (self._classes or 1)), LEAST_ROWS // size))
        drawn, joined = self._views[0].predictions == ("h",), alignment is None or alignment.order == "joined"
        scanned = any(view.source.row != "rowid" for view in self._views)
        if drawn or joined or (wide and scanned and rows > size):  # a range of a Parquet file decodes all lists before it
            self._matcher.stage()
        for start in range(0, rows, size):
            yield start, self._matcher.source((start, min(start + size, rows))), min(size, rows - start)

    def _block_rows(self) -> int:
        return max(1, BLOCK_ELEMENTS // (len(self._views) * (self._classes or 1)))

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
        known["clusters"] = np.searchsorted(self.cluster_hashes, found["c"]).astype(np.int64) if "c" in found else None
        known["groups"] = {name: found[f"g{j}"] for j, name in enumerate(self._groups)}
        return known | {"shown": {name: found[f"o{j}"] for j, name in enumerate(self._shown)}}, found

    def _predicted(self, m: int, source: str, found: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """What one replica predicts for some rows: ``N K``, ``N`` predicted labels or ``N`` numbers."""
        columns, classes = self._views[m].predictions, self._classes or 0
        if columns == ("l",):
            return self._arrays(f"SELECT unnest(l_{m}) AS p FROM {source}", rows * classes)["p"].reshape(rows, classes)
        values = [found[f"{column}_{m}"] for column in columns]
        values = [1.0 - values[0], *values] if columns == ("s",) else values
        return np.stack(values, axis=1) if len(values) > 1 else values[0]

    def _arrays(self, sql: str, rows: int) -> dict[str, np.ndarray]:
        found = self._session.arrays(sql, doing=DOING)
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
        further = {
            "y": f"coalesce(y, {chr(39) + 'nan' + chr(39) + '::DOUBLE' if self._numbers else '-1'})",
            "w": "w",
            "c": "hash(c)",
        }
        return columns | {n: sql for n, sql in further.items() if any(n in view.cells for view in self._views)}

    @cached_property
    def cluster_hashes(self) -> np.ndarray:
        """The hash of every cluster, in rising order: the place of a hash is the number of its cluster."""
        source = CELLS if "c" in self._matcher.keys else f"({self._matcher.relation()})"
        sql = f"SELECT hash(c) AS h FROM (SELECT DISTINCT c FROM {source}) ORDER BY h"
        (found,) = self._session.arrays(sql, doing="reading the clusters").values()
        if (found[1:] == found[:-1]).any():
            raise BadInput("two clusters have the same hash; rename one of them")
        return np.asarray(found)
