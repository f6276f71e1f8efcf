"""Predictions of several files on the same examples, matched row by row and read in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.alignment import Alignment
from traintwice.predictions.canonical import View
from traintwice.predictions.classes import NUMBERED, Classes
from traintwice.predictions.fetching import blocks
from traintwice.predictions.matching import Matcher, aggregates
from traintwice.predictions.predictions import BLOCK_ELEMENTS, Predictions
from traintwice.predictions.session import Session
from traintwice.predictions.sql import identifier
from traintwice.predictions.writing import check_target, write_query


@dataclass(frozen=True)
class Summary:
    """What was read, for the header of a report.

    Attributes:
        files: their names, one for each replica.
        rows: examples that all files share.
        labelled: how many of them have a label.
        order: "same order" (every id compared), "joined", or "by position" (as asked).
        layouts: what the columns of each file mean, in words.
        label, weight: the columns of labels and weights, or None.
        classes, class_names: K and the names of the classes, where known.
        dropped: for each file the rows left out because ids were missing elsewhere or duplicated.
        positive: name of the positive class of a binary comparison, where something says which it is.
        class_rule: what gave the order of the classes and the positive class, in words.
        cluster, clusters: the columns of clusters, and how many clusters there are; None where rows are independent.
    """

    files: tuple[str, ...]
    rows: int
    labelled: int
    order: str
    layouts: tuple[str, ...]
    label: str | None
    weight: str | None
    classes: int | None
    class_names: tuple[str, ...] | None
    dropped: tuple[int, ...]
    positive: str | None = None
    class_rule: str | None = None
    cluster: str | None = None
    clusters: int | None = None

    @property
    def units(self) -> int:
        """How many independent units there are: clusters, or rows."""
        return self.rows if self.clusters is None else self.clusters

    def describe(self) -> str:
        """A few lines in words."""
        how = {
            "same order": "same order, every id compared",
            "joined": "joined by id",
            "by position": "by position, ids not compared",
        }
        lines = [f"{len(self.files)} files · {self.rows:,} rows · {how[self.order]}"]
        if len(set(self.layouts)) == 1:
            lines.append(self.layouts[0])
        else:
            lines += [f"{name}: {layout}" for name, layout in zip(self.files, self.layouts, strict=True)]
        if self.label is not None:
            some = "" if self.labelled == self.rows else f", {self.rows - self.labelled:,} rows have none"
            lines.append(f"labels in {self.label}: {self.labelled:,} rows{some}")
        else:
            lines.append("no labels")
        if self.class_rule is not None:
            lines.append(self.class_rule)
        if self.cluster is not None:
            lines.append(f"{self.clusters:,} clusters in {self.cluster}")
        lines += [f"{name}: {count:,} rows left out" for name, count in zip(self.files, self.dropped, strict=True) if count]
        return "\n".join(lines)


class AlignedPredictions:
    """What `open_predictions` returns: the rows that all files share, never all in memory unless `read` is called.

    Rows are matched when they are first needed; `sums` does so in the same pass over the files. Use
    it in a ``with`` statement, or call `close`, to give back the temporary folder early.
    """

    def __init__(
        self,
        session: Session,
        views: Sequence[View],
        rows: Sequence[int],
        *,
        unchecked: Sequence[View] = (),
        groups: Sequence[str] = (),
        named: Classes = NUMBERED,
        drop: bool = False,
    ) -> None:
        self._session = session
        self._views = tuple(views)
        self.groups = tuple(groups)
        self._matcher = Matcher(session, views, rows, groups, unchecked=unchecked, drop=drop)
        self.named = named
        self.class_names = named.names
        self.classes = next((v.classes for v in views if v.classes is not None), None)

    def __enter__(self) -> AlignedPredictions:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and remove its temporary folder."""
        self._session.close()

    @property
    def replicas(self) -> int:
        """M, the number of files."""
        return len(self._views)

    @property
    def most_rows(self) -> int:
        """Rows of the longest file, known before rows are matched."""
        return max(self._matcher.rows)

    @property
    def is_regression(self) -> bool:
        """True where each file holds one number for each row that is no probability: see `Predictions.from_scores`."""
        return self._views[0].layout.kind == "regression"

    @property
    def has_probs(self) -> bool:
        """True where each file holds probabilities, and not predicted labels or a regression."""
        return self._views[0].layout.kind not in ("votes", "regression")

    @property
    def has_weights(self) -> bool:
        """True where a file has a column of weights."""
        return any(v.layout.weight for v in self._views)

    @property
    def has_labels(self) -> bool:
        """True where a file has a column of labels."""
        return any(v.layout.label for v in self._views)

    @property
    def cluster(self) -> str | None:
        """The columns of clusters, where given."""
        return next((" + ".join(v.layout.cluster) for v in self._views if v.layout.cluster), None)

    @property
    def connection(self) -> Any:
        """The DuckDB connection in which the SQL of `relation` can be run."""
        return self._session.connection

    @property
    def alignment(self) -> Alignment:
        """How rows were matched; matches them where that was not done yet."""
        if self._matcher.alignment is None:
            self._matcher.match({})
            self._check_unchanged()
        return cast(Alignment, self._matcher.alignment)

    @property
    def summary(self) -> Summary:
        """What was read, in numbers and words."""
        aligned = self.alignment
        layouts = [v.layout for v in self._views]
        return Summary(
            files=tuple(v.source.name for v in self._views),
            rows=aligned.rows,
            labelled=aligned.labelled,
            order=aligned.order,
            layouts=tuple(v.layout.describe() for v in self._views),
            label=next((layout.label for layout in layouts if layout.label), None),
            weight=next((layout.weight for layout in layouts if layout.weight), None),
            classes=self.classes,
            class_names=self.class_names,
            dropped=aligned.dropped,
            positive=self.named.positive,
            class_rule=self.named.rule,
            cluster=self.cluster,
            clusters=None if self.cluster is None else len(self._cluster_hashes),
        )

    def relation(self) -> str:
        """SQL text of the aligned rows, to be put in parentheses after FROM.

        Columns: ``i0`` … (the ids), ``y`` (true class or NULL; a number for regression), ``w`` (weight, 1 where none was
        given), ``g0`` … (the groups, as text, time last), ``c`` (the cluster, where given), ``t`` (time, where given), and for
        replica m ``p{m}_{k}`` (probability of class k) and ``v{m}`` (predicted class, ties to the lowest), or ``x{m}`` for
        regression.
        """
        _ = self.alignment
        return self._matcher.relation().select()

    def sums(self, expressions: Mapping[str, str], steps: Sequence[Mapping[str, str]] = ()) -> dict[str, float]:
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
        matched = self._matcher.alignment is not None
        found = self._matcher.sums(expressions, steps) if matched else self._matcher.match(expressions, steps)
        self._check_unchanged()
        return found

    def sums_by(self, expressions: Mapping[str, str], by: Sequence[str]) -> list[dict[str, Any]]:
        """As `sums`, for each combination of the group columns ``by``, in their order.

        Returns:
            A record for each group: the values of the group columns (None where missing), ``rows``, and the sums.
        """
        for name in by:
            if name not in self.groups:
                raise BadInput(f"{name!r} is not one of the group columns given to by= ({', '.join(self.groups) or 'none'})")
        _ = self.alignment
        keys = [f"g{self.groups.index(name)}" for name in by]
        wanted = [*keys, "count(*)", *aggregates(self._session, self.relation(), expressions)]
        tail = f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
        found = self._session.rows(f"SELECT {', '.join(wanted)} FROM ({self.relation()}){tail}", doing="reading the predictions")
        self._check_unchanged()
        return [dict(zip([*by, "rows", *expressions], row, strict=True)) for row in found]

    def counts_by(self, expressions: Mapping[str, str]) -> list[dict[str, Any]]:
        """How many rows have each combination of values of some expressions.

        Args:
            expressions: name to SQL over the columns of `relation`.
        Returns:
            A record for each combination that occurs: the values by name, and ``rows``.
        """
        select = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in expressions.items())
        query = f"SELECT {select}, count(*) FROM ({self.relation()}) GROUP BY ALL"
        found = self._session.rows(query, doing="reading the predictions")
        self._check_unchanged()
        return [dict(zip([*expressions, "rows"], row, strict=True)) for row in found]

    def write(self, path: str | Path, columns: Mapping[str, str]) -> Path:
        """Write columns computed from the rows as Parquet, whole or not at all; no row reaches Python.

        Args:
            path: where to; ends in ``.parquet``.
            columns: name to SQL over the columns of `relation`. The ids come first, under the names they have in the first file.
        Raises:
            BadInput: the file cannot be written; nothing is left behind.
        """
        path = check_target(path)
        ids = {name: f"i{j}" for j, name in enumerate(self._views[0].layout.id)}
        select = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in {**columns, **ids}.items())
        names = ", ".join(identifier(name) for name in {**ids, **columns})
        write_query(self._session, path, f"SELECT {names} FROM (SELECT {select} FROM ({self.relation()}))")
        self._check_unchanged()
        return path

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query over the aligned rows.

        Args:
            sql: a SELECT in which ``{rows}`` stands for the relation, as after FROM; see `relation` for its columns.
        Returns:
            A record by column name for each row of the result.
        Example:
            >>> table = {"id": np.array([1, 2]), "p": np.array([0.9, 0.2])}
            >>> with open_predictions([table, table]) as both:
            ...     both.query("SELECT v0, count(*) AS rows FROM {rows} GROUP BY v0 ORDER BY v0")
            [{'v0': 0, 'rows': 1}, {'v0': 1, 'rows': 1}]
        """
        found = self._session.records(sql.replace("{rows}", f"({self.relation()})"), doing="reading the predictions")
        self._check_unchanged()
        return found

    def batches(self) -> Iterator[Predictions]:
        """Blocks of bounded size, all files as replicas, with ids, labels, weights, groups and clusters.

        Where some rows have no label, the rows of a block come in two parts, those with labels and those without; a regression has
        ``targets`` instead, nan where a row has none. Rows come in the order of the files, or in no particular order where files
        were joined.
        """
        for block in self._blocks():
            if block.has_labels:
                labelled = block.labels >= 0
                if not labelled.all():
                    if labelled.any():
                        yield block.where(labelled)
                    yield block.where(~labelled).without_labels()
                    continue
            yield block

    def read(self, *, labelled_only: bool = False) -> Predictions:
        """All rows in memory.

        Args:
            labelled_only: leave out the rows without a label. Otherwise labels are attached only where every row has one
                (`summary` says how many have).
        """
        whole = Predictions.joined(list(self._blocks()))
        if labelled_only:
            labelled = whole.labels >= 0 if whole.has_labels else np.zeros(whole.examples, dtype=bool)
            if not labelled.any():
                raise BadInput("no row has a label; pass --label, or measure without labels")
            return whole.where(labelled)
        return whole if whole.has_labels and (whole.labels >= 0).all() else whole.without_labels()

    def _blocks(self) -> Iterator[Predictions]:
        aligned = self.alignment
        if aligned.order == "joined":
            self._matcher.stage()
        size = max(1, BLOCK_ELEMENTS // (self.replicas * (1 if self._views[0].layout.kind == "votes" else self.classes or 1)))
        relation, staged = self._matcher.relation(), self._matcher.staged
        yield from blocks(
            self._session, relation, aligned.rows, size, staged=staged, codes=self._codes, class_names=self.class_names
        )
        self._check_unchanged()

    def _codes(self, hashes: np.ndarray) -> np.ndarray:
        """The number of each cluster from its hash."""
        return np.searchsorted(self._cluster_hashes, hashes).astype(np.int64)

    @cached_property
    def _cluster_hashes(self) -> np.ndarray:
        """The hash of every cluster, in rising order: its place is the number of the cluster."""
        sql = f"SELECT hash(c) AS h FROM (SELECT DISTINCT c FROM ({self.relation()})) ORDER BY h"
        (found,) = self._session.arrays(sql, doing="reading the clusters").values()
        if (found[1:] == found[:-1]).any():
            raise BadInput("two clusters have the same hash; rename one of them")
        return np.asarray(found)

    def _check_unchanged(self) -> None:
        for view in self._views:
            view.source.check_unchanged()
