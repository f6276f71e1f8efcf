"""Predictions of several files on the same examples, matched row by row: sums in SQL, or blocks of rows of bounded size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._block_reader import DOING, BlockReader
from traintwice.predictions._classes import Classes
from traintwice.predictions._draws import DrawBlock
from traintwice.predictions._layout import Summary
from traintwice.predictions._matching import CELLS, Alignment, Cells, Matcher, Steps
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._reading import Reading, groups_of
from traintwice.predictions._session import Session, check_target, identifier
from traintwice.predictions._views import View


class AlignedPredictions(AbstractContextManager["AlignedPredictions"]):
    """What `open_predictions` returns: the rows that all files share, never all in memory unless `read` is called.

    Rows are matched when they are first needed; `sums` matches them in the same pass over the files. `close`, or the end of a
    ``with`` statement, removes the temporary folder.

    Attributes:
        replicas: M, the number of files.
        classes, class_names, named: K and the names of the classes, where known; and what gave their order.
        groups, shown: names of the group columns, time last; and of the columns to show.
        cluster: the columns of clusters, joined by " + "; None where rows are independent.
        is_regression, has_probs, has_draws: each file holds numbers, probabilities, or several draws of each item.
        has_labels, has_weights: a file has a column of them.
        most_rows: rows of the longest file, known before rows are matched.
        connection: the DuckDB connection in which the SQL of `relation` can be run.
    """

    @typed
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
        self._session, self._views, self._period, self._draws = session, tuple(views), period, draws
        self.groups, self.shown, drop = groups_of(reading), tuple(reading["show"]), reading["on_missing"] == "drop"
        self._matcher = Matcher(session, views, rows, unchecked=unchecked, drop=drop)
        self.replicas, self.named, self.class_names = len(views), named, named.names
        kind, self.classes = views[0].layout.kind, views[0].layout.classes
        self.is_regression, self.has_draws = kind == "regression", draws is not None
        self.has_probs = kind not in ("votes", "regression") and not self.has_draws
        self.has_labels, self.has_weights = (any(name in view.cells for view in views) for name in ("y", "w"))
        self._names = {
            column: name for view in reversed(views) for column, name in view.names.items()
        }  # of the first file that has it
        self.cluster, self.most_rows, self.connection = self._names.get("c"), max(rows), session.connection
        classes = self.classes if self.has_probs or self.has_draws else None
        self._reader = BlockReader(self._matcher, classes, self.class_names, self.groups, self.shown)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and remove its temporary folder."""
        self._session.close()

    @property
    def alignment(self) -> Alignment:
        """How rows were matched; matches them where that was not done yet."""
        if self._matcher.alignment is None:
            self.cells({} if self.cluster is None else {"c": "c"}, {})
        return cast(Alignment, self._matcher.alignment)

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
            clusters=None if self.cluster is None else len(self._reader.cluster_hashes),
            time=self._names.get("t"),
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
            expressions: name to SQL over the columns of `relation`, such as ``{"flips": "v0 <> v1"}``; truth counts as 1, NULL
                as nothing. An expression must have a value on every row (no logarithm of zero).
            steps: columns that are computed first, each step from the columns before it; what several expressions need is
                then computed once.
        Returns:
            Name to sum in float64, which is exact for counts; formed in the same order on every machine where files come in
            the same order. The first call matches the rows in the same pass.
        Raises:
            BadInput: rows do not match or hold no predictions; see `open_predictions`.
        """
        names = [f"sum_{i}" for i in range(len(expressions))]
        self.cells({}, dict(zip(names, expressions.values(), strict=True)), steps)
        parts = self._session.rows(f"SELECT {', '.join(names) or '1'} FROM {CELLS}", doing=DOING)
        return {name: _total(part) for name, part in zip(expressions, zip(*parts, strict=True), strict=False)}

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
        tail = f" GROUP BY {', '.join(keys.values())} ORDER BY {', '.join(keys.values())}" if keys else ""
        return self.query(f"SELECT {_select(columns)} FROM {table}{tail}")

    def cells(self, keys: Mapping[str, str], sums: Mapping[str, str], steps: Steps = ()) -> str:
        """Counts of the rows, and sums over them, by combination of values; the first call matches the rows in the same pass.

        Args:
            keys, sums, steps: see `traintwice.predictions._matching.Cells`.
        Returns:
            The name of a table for `query`: the keys, ``rows``, and the sums. A combination may be on several lines, whose counts and
            sums are added. The next call, also by `sums`, replaces it.
        """
        self._matcher.cells(Cells(keys, sums, steps))
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
            columns: name to SQL over the columns of `relation`. The ids come first, under the names they have in the first file.
        Raises:
            BadInput: the file cannot be written; nothing is left behind.
        """
        path, ids = check_target(path), {name: f"i{j}" for j, name in enumerate(self._views[0].layout.id)}
        self._session.write(path, f"SELECT {_select({**ids, **columns})} FROM ({self.relation()})")
        self._check_unchanged()
        return path

    def batches(self) -> Iterator[Predictions]:
        """Blocks of bounded size, all files as replicas, with ids, labels, weights, groups and clusters.

        Where some rows have no label, the rows of a block come in two parts, those with labels and those without; a regression has
        ``targets`` instead, nan where a row has none. Rows come in the order of the files, or in no particular order where files
        were joined.
        """
        for block in self.blocks():
            yield from block.by_label()

    def blocks(self) -> Iterator[Predictions]:
        """As `batches`, with the rows of a block in one part; ``labelled`` is a mask of those with a label."""
        if self.has_draws:
            raise BadInput("items were drawn several times (--draws): they are compared by their draws, not row by row")
        yield from self._reader.blocks(self.alignment.rows)
        self._check_unchanged()

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class. Raises `BadInput` without draws."""
        if not self.has_draws:
            raise BadInput("these rows are not draws; pass --draws COLUMN where a model answered an item several times")
        yield from self._reader.items(self.alignment.rows)
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


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())


def _total(parts: Sequence[float]) -> float:
    return math.fsum(parts) if all(map(math.isfinite, parts)) else sum(parts)
