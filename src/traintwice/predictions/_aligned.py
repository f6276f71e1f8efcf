"""Predictions of several files on the same examples, matched row by row: blocks of rows of bounded size, or sums in SQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from traintwice._database import Session, check_target, identifier
from traintwice.errors import BadInput
from traintwice.predictions._classes import Classes
from traintwice.predictions._layout import Summary
from traintwice.predictions._matching import CELLS, Alignment, Matcher, Steps
from traintwice.predictions._predictions import BLOCK_ELEMENTS, DrawBlock, Predictions, refuse_draws
from traintwice.predictions._reading import Reading, groups_of
from traintwice.predictions._source import WIDE, family
from traintwice.predictions._views import View

DOING = "reading the predictions"

QUERY_ELEMENTS, LEAST_ROWS = 1 << 22, 1 << 11
"""Elements and rows that one query reads where a block has fewer: with many classes a query takes longer than the rows of a block."""


class RowBlocks:
    """The rows of matched files in blocks."""

    def __init__(
        self,
        session: Session,
        views: Sequence[View],
        rows: Sequence[int],
        *,
        named: Classes,
        reading: Reading,
        unchecked: Sequence[View] = (),
        period: str | None = None,
        draws: tuple[int, ...] | None = None,
    ) -> None:
        self._session, self._views, self._period, self._draws = session, views, period, draws
        self._matcher = Matcher(session, views, rows, unchecked=unchecked, drop=reading["on_missing"] == "drop")
        self._names = {c: name for view in reversed(views) for c, name in view.names.items()}  # of the first file that has it
        self.named, self.class_names = named, named.names
        self.cluster, self.time = self._names.get("c"), self._names.get("t")
        self.groups, self.shown, self.most_rows = groups_of(reading), tuple(reading["show"]), max(rows)
        self.has_labels, self.has_weights = (any(name in view.cells for view in views) for name in ("y", "w"))
        kind, self.classes, self.replicas = views[0].layout.kind, views[0].layout.classes, len(views)
        self.is_regression, self.has_draws = kind == "regression", draws is not None
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
        refuse_draws(self.has_draws)
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
        columns = {f"g{j}": f"g{j}" for j in range(len(self.groups))} | {f"o{j}": f"o{j}" for j in range(len(self.shown))}
        for i, kind in self._views[0].ids.items():
            exact = family(kind) in ("integer", "boolean") and not kind.endswith("HUGEINT")
            columns[i] = i if exact else f"CAST({i} AS VARCHAR)"
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


class AlignedPredictions(RowBlocks, AbstractContextManager["AlignedPredictions"]):
    """What `open_predictions` returns: the rows that all files share, never all in memory unless `read` is called.

    Rows are matched when they are first needed; `sums` matches them in the same pass over the files. `close`, or the end of a
    ``with`` statement, removes the temporary folder.

    Attributes:
        replicas: M, the number of files.
        classes, class_names, named: K and the names of the classes, where known; and what gave their order.
        groups, shown: names of the group columns, time last; and of the columns to show.
        cluster, time: the columns of clusters, joined by " + ", None where rows are independent; and the column of time, or None.
        is_regression, has_probs, has_draws: each file holds numbers, probabilities, or several draws of each item.
        has_labels, has_weights: a file has a column of them.
        most_rows: rows of the longest file, known before rows are matched.
    """

    @property
    def connection(self) -> Any:
        """The DuckDB connection in which the SQL of `relation` can be run."""
        return self._session.connection

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def close(self) -> None:
        """Close the database and remove its temporary folder."""
        self._session.close()

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns of ids in the first file; none where rows are matched by position."""
        return self._views[0].layout.id

    @property
    def summary(self) -> Summary:
        """What was read, in numbers and words."""
        aligned = self.alignment
        return Summary(
            files=tuple(v.source.name for v in self._views),
            rows=aligned.rows,
            labelled=aligned.labelled,
            order=aligned.order,
            layouts=tuple(" · ".join(filter(None, [v.layout.describe(), v.source.note])) for v in self._views),
            label=self._names.get("y"),
            weight=self._names.get("w"),
            classes=self.classes,
            class_names=self.class_names,
            dropped=aligned.dropped,
            positive=self.named.positive,
            class_rule=self.named.rule,
            cluster=self.cluster,
            clusters=None if self.cluster is None else len(self._cluster_hashes),
            time=self.time,
            period=self._period,
            draws=self._draws,
        )

    def relation(self) -> str:
        """SQL text of the aligned rows, to be put in parentheses after FROM.

        Columns: ``i0`` … (the ids), ``y`` (true class or NULL; a number for regression), ``w`` (weight, 1 where none was
        given), ``g0`` … (the groups, as text, the period of time last), ``o0`` … (columns to show, as text), ``c`` (the cluster),
        ``t`` (time), and for replica m ``p{m}_{k}`` (probability of class k; beyond 100 classes the list ``p{m}``) and ``v{m}``
        (predicted class, ties to the lowest), or ``x{m}`` for regression, or ``h{m}`` for draws: a map from class to how often
        it was drawn.
        """
        _ = self.alignment
        return self._matcher.relation()

    def sums(self, expressions: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Sums over the rows, computed in DuckDB in parallel; no row reaches Python.

        Args:
            expressions: name to SQL, such as ``{"flips": "v0 <> v1"}``, as the sums of `cells`. An expression must have a value
                on every row (no logarithm of zero).
            steps: as in `cells`; what several expressions need is then computed once.
        Returns:
            Name to sum in float64, which is exact for counts; formed in the same order on every machine where files come in
            the same order. The first call matches the rows in the same pass.
        Raises:
            BadInput: rows do not match or hold no predictions; see `open_predictions`.
        """
        names = [f"sum_{i}" for i in range(len(expressions))]
        self.cells({}, dict(zip(names, expressions.values(), strict=True)), steps)
        parts = self._session.rows(f"SELECT {', '.join(names) or '1'} FROM {CELLS}", doing=DOING)
        columns = zip(expressions, zip(*parts, strict=True), strict=False)
        return {name: math.fsum(c) if all(map(math.isfinite, c)) else sum(c) for name, c in columns}

    def sums_by(self, expressions: Mapping[str, str], by: Sequence[str]) -> list[dict[str, Any]]:
        """As `sums`, for each combination of the group columns ``by``, in their order.

        Returns:
            A record for each group: the values of the group columns (None where missing), ``rows``, and the sums.
        """
        for name in by:
            if name not in self.groups:
                raise BadInput(f"{name!r} is not one of the group columns given to by= ({', '.join(self.groups) or 'none'})")
        keys = {name: f"g{self.groups.index(name)}" for name in by}
        sums = {f"sum_{i}": sql for i, sql in enumerate(expressions.values())}
        table, columns = self.cells({key: key for key in keys.values()}, sums), {**keys, "rows": "sum(rows)::BIGINT"}
        columns |= {name: f"sum({of})" for name, of in zip(expressions, sums, strict=True)}
        groups = ", ".join(keys.values())
        return self.query(f"SELECT {_select(columns)} FROM {table}{f' GROUP BY {groups} ORDER BY {groups}' if keys else ''}")

    def cells(self, keys: Mapping[str, str], sums: Mapping[str, str], steps: Steps = ()) -> str:
        """Counts of the rows, and sums over them, by combination of values; the first call matches the rows in the same pass.

        Args:
            keys: name to SQL over the columns of `relation`, by which rows are grouped.
            sums: name to SQL of what is summed in float64; truth counts as 1, NULL as nothing.
            steps: columns that are computed first, each step from the columns before it.
        Returns:
            The name of a table for `query`: the keys, ``rows``, and the sums. A combination may be on several lines, whose counts and
            sums are added. The next call, also by `sums`, replaces it.
        """
        self._matcher.cells(keys, sums, steps)
        self._check_unchanged()
        return CELLS

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query over the aligned rows.

        Args:
            sql: a SELECT in which ``{rows}`` is what follows FROM; see `relation` for its columns.
        Returns:
            A record by column name for each row of the result.
        Example:
            >>> table = {"id": np.array([1, 2]), "p": np.array([0.9, 0.2])}
            >>> with open_predictions([table, table]) as both:
            ...     both.query("SELECT v0, count(*) AS rows FROM {rows} GROUP BY v0 ORDER BY v0")
            [{'v0': 0, 'rows': 1}, {'v0': 1, 'rows': 1}]
        """
        found = self._session.records(sql.replace("{rows}", f"({self.relation()})"), doing=DOING)
        self._check_unchanged()
        return found

    def write(self, path: str | Path, columns: Mapping[str, str]) -> Path:
        """Write columns computed from the rows as Parquet, whole or not at all; no row reaches Python.

        Args:
            path: where to; ends in ``.parquet``.
            columns: name to SQL over the columns of `relation`. The ids come first, under the names they have in the first file;
                integers of more than 64 bits as text, which Parquet holds without loss.
        Raises:
            BadInput: the file cannot be written; nothing is left behind.
        """
        path, of_ids = check_target(path), zip(self.id_columns, self._views[0].ids.items(), strict=True)
        ids = {name: f"CAST({i} AS VARCHAR)" if kind.endswith("HUGEINT") else i for name, (i, kind) in of_ids}
        self._session.write(path, f"SELECT {_select({**ids, **columns})} FROM ({self.relation()})")
        self._check_unchanged()
        return path


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())
