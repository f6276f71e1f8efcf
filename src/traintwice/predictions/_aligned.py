"""Predictions of several files on the same examples, matched row by row: sums in SQL, or blocks of rows of bounded size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Unpack

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._blocks import RowBlocks, items_of_draws
from traintwice.predictions._classes import Classes, agreed_classes
from traintwice.predictions._faults import check_contents
from traintwice.predictions._inputs import expand
from traintwice.predictions._layout import Summary, recognise_all
from traintwice.predictions._matching import CELLS, Matcher, Steps
from traintwice.predictions._opening import filled, open_source
from traintwice.predictions._reading import Reading, groups_of, reading_of
from traintwice.predictions._session import Session, check_target, identifier
from traintwice.predictions._source import with_path
from traintwice.predictions._tables import DatabaseTable, LakeTable
from traintwice.predictions._views import View, make_views, without_unanswered

DOING = "reading the predictions"


class AlignedPredictions(RowBlocks, AbstractContextManager["AlignedPredictions"]):
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
        matcher = Matcher(session, views, rows, unchecked=unchecked, drop=reading["on_missing"] == "drop")
        super().__init__(matcher, named.names, groups_of(reading), reading["show"])
        self.named, self._period, self._draws = named, period, draws
        self.has_labels, self.has_weights = (any(name in view.cells for view in views) for name in ("y", "w"))
        self._names = {c: name for view in reversed(views) for c, name in view.names.items()}  # of the first file that has it
        self.cluster, self.most_rows, self.connection = self._names.get("c"), max(rows), session.connection

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
        path, ids = check_target(path), {name: f"i{j}" for j, name in enumerate(self._views[0].layout.id)}
        described = self._session.rows(f"DESCRIBE {self.relation()}", doing=DOING) if ids else []
        large = {column for column, kind, *_ in described if kind.endswith("HUGEINT")}
        ids = {name: f"CAST({i} AS VARCHAR)" if i in large else i for name, i in ids.items()}
        self._session.write(path, f"SELECT {_select({**ids, **columns})} FROM ({self.relation()})")
        self._check_unchanged()
        return path


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())


@typed
def open_predictions(paths: Any, **reading: Unpack[Reading]) -> AlignedPredictions:
    r"""Predictions of several models on the same examples, from files or tables, matched by id.

    Every file is one replica. Files whose ids come in the same order, which is verified id by id, are read side by side;
    any other order is joined by DuckDB within the memory limit. Cells of several files are checked in the pass that matches
    the rows, when these are first needed.

    Args:
        paths: a path, address, glob, directory or table, or a list of them; ``bank:STUDY/RECIPE`` for the predicted labels of the
            replicas of a recipe in a bank, whose ids are places in the test split. An address (``s3://``, ``https://`` …) is that
            of a file, folder or table elsewhere; ``TABLE@VERSION`` is a Delta or Iceberg table as it was. Files are Parquet,
            CSV, TSV, JSON lines, Arrow, npz, npy, safetensors; tables pandas, Polars, Arrow, and mappings from names to arrays.
            Nothing is unpickled.
        id: the column or columns that identify a row; one of the usual names (id, row_id …) is recognised.
        probs: the columns of the predictions, in the order of the classes; or one column with a list, a score in [0, 1] or
            a predicted label; or the prefix of name_0, name_1 … None recognises p_0 …, one list, one score, one label.
        label: the true label, an integer class or a name; y, label and target are recognised.
        weight, by: columns of weights and groups.
        show: columns to show with single rows; files may differ in them, and the first value that is there is taken.
        cluster: the columns that name the cluster of a row (a user, say): rows of one cluster are not independent.
        draws: the column that numbers repeated draws of one item by one model; id then names the item.
        time: a column of time, the last group: hours, days … years, or ranges of numbers.
        classes: names of the classes in the order of the predictions' columns, where labels are names.
        positive: name of the positive class of a binary model, which becomes class 1.
        logits: the predictions are logits; softmax (or the logistic function, for one column) is applied.
        regression: the predictions are numbers and not probabilities.
        memory: limit for DuckDB, such as "2GB"; None takes half of this machine's memory. Beyond it, it spills to disk.
        on_missing: what to do with ids that are missing from a file or are in it twice, and with rows of an id that hold no
            prediction (missing or NaN): refuse them, or drop them.
        by_position: match row n with row n and compare no ids.

    Label, weight, groups, clusters and time may be in any one file; files that have the same column must agree on it.

    Returns:
        `AlignedPredictions`: `batches` streams, `read` takes all into memory, `sums` computes in SQL, `summary` reports
        what was found.
    Raises:
        BadInput: a file cannot be read, the meaning of columns is not certain (the message names the option to pass), rows do not
            match or a prediction is not a probability (with counts and the first offending row).
    Example:
        >>> old = {"id": np.array([1, 2, 3]), "p": np.array([0.9, 0.2, 0.4]), "y": np.array([1, 0, 0])}
        >>> new = {"id": np.array([3, 1, 2]), "p": np.array([0.6, 0.8, 0.1])}
        >>> with open_predictions([old, new]) as both:
        ...     print(both.summary.describe().splitlines()[0], both.sums({"flips": "v0 <> v1"}))
        2 files · 3 rows · joined by id {'flips': 1.0}
    """
    wanted = reading_of(reading)
    items = expand(paths)
    session = Session(wanted["memory"])
    try:
        columns = _columns_of(wanted)
        for item in items if wanted["by_position"] else ():
            if isinstance(item, LakeTable | DatabaseTable):
                raise BadInput(f"{item}: the rows of a table have no order, so --by-position cannot match them; pass --id")
        sources = [open_source(session, item, number, columns) for number, item in enumerate(items)]
        for path in sorted(columns):
            sources = [with_path(session, source, path) for source in sources]
        if any(source.fill is not None for source in sources):
            sources = filled(sources, wanted)
        named, files = agreed_classes(session, recognise_all(session, sources, wanted), wanted)
        views, period = make_views(session, files, named.names, wanted)
        if wanted["on_missing"] == "drop" and not wanted["by_position"]:
            views = [without_unanswered(session, view) for view in views]
        rows = [session.rows(f"SELECT count(*) FROM {v.name}", doing=f"{v.source.name}: reading")[0][0] for v in views]
        for view, count in zip(views, rows, strict=True):
            if count == 0:
                raise BadInput(f"{view.source.name} has columns but no rows{' with a prediction' if view.unanswered else ''}")
        unchecked, drawn = views, None
        if len(views) == 1 or wanted["draws"] is not None:
            for view in views:
                check_contents(session, view)
            unchecked = []
        if wanted["draws"] is not None:
            drawn, (views, rows) = tuple(rows), items_of_draws(session, views)
        return AlignedPredictions(
            session, views, rows, named=named, reading=wanted, unchecked=unchecked, period=period, draws=drawn
        )
    except BaseException:
        session.close()
        raise


def _columns_of(reading: Reading) -> frozenset[str]:
    """Every column that an option names."""
    found: set[str] = set()
    for option in ("id", "probs", "by", "cluster", "show", "label", "weight", "time", "draws"):
        value: Any = reading[option]
        names = value if isinstance(value, tuple | list) else () if value is None else (value,)
        if not all(isinstance(name, str) for name in names):
            raise BadInput(f"{option}: got {type(value).__name__}; with files it is the name of a column")
        found.update(names)
    return frozenset(found)
