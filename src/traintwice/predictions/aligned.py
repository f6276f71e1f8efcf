"""Predictions of several files on the same examples, matched row by row and read in batches or summed in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.layout import Summary
from traintwice.predictions.matching import Alignment, Matcher, Steps
from traintwice.predictions.predictions import BLOCK_ELEMENTS, Predictions
from traintwice.predictions.reading import Classes
from traintwice.predictions.session import Session, aggregates, check_target, identifier
from traintwice.predictions.sources import family
from traintwice.predictions.views import View

DOING = "reading the predictions"


@dataclass(frozen=True)
class DrawBlock:
    """Some items that each model answered one or more times.

    Attributes:
        counts: for each model how often it drew each class, integers ``N K``.
        labels: the true class of each item, −1 where it has none.
        ids, weights, clusters, groups: of each item, as in `Predictions`.
    """

    counts: list[np.ndarray]
    labels: np.ndarray
    ids: np.ndarray
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    def where(self, chosen: np.ndarray) -> DrawBlock:
        """The items chosen by a mask."""
        weights, clusters = (None if array is None else array[chosen] for array in (self.weights, self.clusters))
        groups = {name: values[chosen] for name, values in self.groups.items()}
        return DrawBlock([c[chosen] for c in self.counts], self.labels[chosen], self.ids[chosen], weights, clusters, groups)


class AlignedPredictions:
    """What `open_predictions` returns: the rows that all files share, never all in memory unless `read` is called.

    Rows are matched when they are first needed; `sums` does so in the same pass over the files. Use
    it in a ``with`` statement, or call `close`, to give back the temporary folder early.

    Attributes:
        replicas: M, the number of files.
        classes, class_names: K and the names of the classes, where known.
        named: the classes, and what gave their order.
        groups: names of the group columns, time last.
        cluster: the columns of clusters, joined by " + "; None where rows are independent.
        is_regression, has_probs, has_draws: each file holds numbers, probabilities, or several draws of each item.
        has_labels, has_weights: a file has a column of them.
        most_rows: rows of the longest file, known before rows are matched.
        connection: the DuckDB connection in which the SQL of `relation` can be run.
    """

    def __init__(
        self,
        session: Session,
        views: Sequence[View],
        rows: Sequence[int],
        *,
        named: Classes,
        unchecked: Sequence[View] = (),
        groups: Sequence[str] = (),
        period: str | None = None,
        drop: bool = False,
        draws: tuple[int, ...] | None = None,
    ) -> None:
        self._session, self._views, self._period, self._draws = session, tuple(views), period, draws
        self._matcher = Matcher(session, views, rows, unchecked=unchecked, drop=drop)
        self.replicas, self.groups, self.named, self.class_names = len(views), tuple(groups), named, named.names
        kind, self.classes = views[0].layout.kind, views[0].layout.classes
        self.is_regression, self.has_draws = kind == "regression", draws is not None
        self.has_probs = kind not in ("votes", "regression") and not self.has_draws
        self.has_labels, self.has_weights = (any(name in view.cells for view in views) for name in ("y", "w"))
        self.cluster, self.most_rows, self.connection = self._name_of("c"), max(rows), session.connection

    def __enter__(self) -> AlignedPredictions:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and remove its temporary folder."""
        self._session.close()

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
        return Summary(
            files=tuple(v.source.name for v in self._views),
            rows=aligned.rows,
            labelled=aligned.labelled,
            order=aligned.order,
            layouts=tuple(v.layout.describe() for v in self._views),
            label=self._name_of("y"),
            weight=self._name_of("w"),
            classes=self.classes,
            class_names=self.class_names,
            dropped=aligned.dropped,
            positive=self.named.positive,
            class_rule=self.named.rule,
            cluster=self.cluster,
            clusters=None if self.cluster is None else len(self._cluster_hashes),
            time=self._name_of("t"),
            period=self._period,
            draws=self._draws,
        )

    def relation(self) -> str:
        """SQL text of the aligned rows, to be put in parentheses after FROM.

        Columns: ``i0`` … (the ids), ``y`` (true class or NULL; a number for regression), ``w`` (weight, 1 where none was
        given), ``g0`` … (the groups, as text, the period of time last), ``c`` (the cluster, where given), ``t`` (time, where
        given), and for replica m ``p{m}_{k}`` (probability of class k) and ``v{m}`` (predicted class, ties to the lowest), or
        ``x{m}`` for regression, or ``h{m}`` for draws: a map from class to how often it was drawn.
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
        keys = {name: f"g{self.groups.index(name)}" for name in by}
        sums = dict(zip(expressions, aggregates(self._session, self.relation(), expressions), strict=True))
        tail = f" GROUP BY {', '.join(keys.values())} ORDER BY {', '.join(keys.values())}" if keys else ""
        return self.query(f"SELECT {_select({**keys, 'rows': 'count(*)', **sums})} FROM {{rows}}{tail}")

    def counts_by(self, expressions: Mapping[str, str]) -> list[dict[str, Any]]:
        """How many rows have each combination of values of some expressions.

        Args:
            expressions: name to SQL over the columns of `relation`.
        Returns:
            A record for each combination that occurs: the values by name, and ``rows``.
        """
        return self.query(f"SELECT {_select({**expressions, 'rows': 'count(*)'})} FROM {{rows}} GROUP BY ALL")

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
        for block in self._blocks():
            labelled = block.labels >= 0 if block.has_labels else np.ones(block.examples, dtype=bool)
            if labelled.any():
                yield block if labelled.all() else block.where(labelled)
            if not labelled.all():
                yield block.where(~labelled).without_labels()

    def read(self, *, labelled_only: bool = False) -> Predictions:
        """All rows in memory.

        Args:
            labelled_only: leave out the rows without a label. Otherwise labels are attached only where every row has one
                (`summary` says how many have); true values of a regression always, nan where a row has none.
        """
        whole = Predictions.joined(list(self._blocks()))
        if self.is_regression and not labelled_only:
            return whole
        if whole.targets is not None:
            return whole.where(~np.isnan(whole.targets))
        labelled = whole.labels >= 0 if whole.has_labels else np.zeros(whole.examples, dtype=bool)
        if labelled_only and not labelled.any():
            raise BadInput("no row has a label; pass --label, or measure without labels")
        return whole if labelled.all() else whole.where(labelled) if labelled_only else whole.without_labels()

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class. Raises `BadInput` without draws."""
        if not self.has_draws:
            raise BadInput("these rows are not draws; pass --draws COLUMN where a model answered an item several times")
        for source, rows in self._ranges():
            counts = []
            for m in range(self.replicas):
                sizes = self._arrays(f"SELECT len(map_keys(h_{m})) AS n FROM {source}", rows)["n"].astype(np.int64)
                drawn = f"SELECT unnest(map_keys(h_{m})) AS k, unnest(map_values(h_{m})) AS n FROM {source}"
                found = self._arrays(drawn, int(sizes.sum()))
                counts.append(np.zeros((rows, self.classes or 0), dtype=np.int64))
                counts[m][np.repeat(np.arange(rows), sizes), found["k"]] = found["n"]
            known = self._known(source, [], rows)[0]
            labels = known.pop("labels")
            yield DrawBlock(counts, np.full(rows, -1) if labels is None else labels, **known)
        self._check_unchanged()

    def _blocks(self) -> Iterator[Predictions]:
        if self.has_draws:
            raise BadInput("items were drawn several times (--draws): they are compared by their draws, not row by row")
        single = [f"{c}_{m}" for m, view in enumerate(self._views) for c in view.predictions if c != "l"]
        for source, rows in self._ranges():
            known, found = self._known(source, single, rows)
            values = np.stack([self._predicted(m, source, found, rows) for m in range(self.replicas)])
            known["targets" if self.is_regression else "labels"] = known.pop("labels")
            yield Predictions.trusted(values, scores=self.is_regression, class_names=self.class_names, **known)
        self._check_unchanged()

    def _ranges(self) -> Iterator[tuple[str, int]]:
        """FROM items of ranges of rows, their columns named as by `flat`, and how many rows each has."""
        rows = self.alignment.rows
        if self.has_draws or self.alignment.order == "joined":
            self._matcher.stage()
        size = max(1, BLOCK_ELEMENTS // (self.replicas * (self.classes or 1 if self.has_probs or self.has_draws else 1)))
        for start in range(0, rows, size):
            yield self._matcher.source((start, min(start + size, rows))), min(size, rows - start)

    def _known(self, source: str, further: Sequence[str], rows: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is known of some rows, by the names that `Predictions` has for it; and further columns of the source."""
        columns = [*(f"{sql} AS {name}" for name, sql in self._columns.items()), *further]
        found = self._arrays(f"SELECT {', '.join(columns) or '1'} FROM ({self._matcher.relation(source)})", rows)
        ids = [found[f"i{j}"] for j in range(len(self._views[0].ids))]
        whole = ids[0] if ids else None
        if len(ids) > 1:
            whole = np.empty(rows, dtype=object)
            whole[:] = list(zip(*[i.tolist() for i in ids], strict=True))
        groups = {name: found[f"g{j}"] for j, name in enumerate(self.groups)}
        codes = np.searchsorted(self._cluster_hashes, found["c"]).astype(np.int64) if "c" in found else None
        known = {"labels": found.get("y"), "weights": found.get("w"), "ids": whole, "clusters": codes, "groups": groups}
        return known, found

    def _predicted(self, m: int, source: str, found: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """What one replica predicts for some rows: ``N K``, ``N`` predicted labels or ``N`` numbers."""
        columns, classes = self._views[m].predictions, self.classes or 0
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
            if isinstance(array, np.ma.MaskedArray):  # only groups may be missing
                found[name] = np.array(array.tolist(), dtype=object)
        return found

    @cached_property
    def _columns(self) -> dict[str, str]:
        """The SQL of what is known of rows, in types that NumPy holds without loss: large integers and dates as text."""
        described = self._session.rows(f"DESCRIBE {self.relation()}", doing="reading the columns")
        exact = {n for n, kind, *_ in described if family(kind) in ("integer", "boolean") and not kind.endswith("HUGEINT")}
        columns = {n: n if n in exact else f"CAST({n} AS VARCHAR)" for n, *_ in described if n[0] in "ig"}
        none = "'nan'::DOUBLE" if self.is_regression else "-1"
        columns |= {"y": f"coalesce(y, {none})"} if self.has_labels else {}
        return columns | ({"w": "w"} if self.has_weights else {}) | ({"c": "hash(c)"} if self.cluster else {})

    @cached_property
    def _cluster_hashes(self) -> np.ndarray:
        """The hash of every cluster, in rising order: its place is the number of the cluster."""
        sql = f"SELECT hash(c) AS h FROM (SELECT DISTINCT c FROM ({self.relation()})) ORDER BY h"
        (found,) = self._session.arrays(sql, doing="reading the clusters").values()
        if (found[1:] == found[:-1]).any():
            raise BadInput("two clusters have the same hash; rename one of them")
        return np.asarray(found)

    def _name_of(self, column: str) -> str | None:
        """The name that files give to a column of `relation`."""
        return next((view.names[column] for view in self._views if column in view.names), None)

    def _check_unchanged(self) -> None:
        for view in self._views:
            view.source.check_unchanged()


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())
