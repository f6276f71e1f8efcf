"""Predictions of several models: files and tables matched by id, or arrays; either way in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Unpack, cast

import numpy as np

from traintwice._arrays import is_series, to_numpy
from traintwice._database import Session, registered
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._aligned import AlignedPredictions
from traintwice.predictions._array_files import from_arrays
from traintwice.predictions._bank import BankReplica, read_banked
from traintwice.predictions._classes import agreed_classes
from traintwice.predictions._faults import check_contents, refuse_contradiction, refuse_text
from traintwice.predictions._file_formats import of_file, of_shards
from traintwice.predictions._in_memory import as_tables, check_index, needs_names, predicted_by, stacked, with_arrays
from traintwice.predictions._inputs import File, Shards, TableWithArrays, are_logs, expand, is_array
from traintwice.predictions._layout import Summary, check_options, predicted_next_to, recognise, recognise_all
from traintwice.predictions._outcome_rows import read_outcomes
from traintwice.predictions._predictions import DrawBlock, Predictions, refuse_draws
from traintwice.predictions._reading import Reading, reading_of
from traintwice.predictions._source import Source, Table, refuse_repeated, with_path
from traintwice.predictions._tables import DatabaseTable, LakeTable, stream
from traintwice.predictions._views import items_of_draws, make_views, without_unanswered
from traintwice.progress import report


class Rows:
    """Rows of M models in blocks, whatever they come from.

    Args:
        source: matched files, or arrays.
        summary: what was read; None for files, which have their own.
        draws: the draws of every item, where arrays have several.

    Attributes:
        files: the matched files; None for arrays.
        replicas: M.
        classes: K; None for predicted labels and regressions.
        class_names: names of the classes, where known.
        regression, has_probs, has_draws: each model gives numbers, probabilities, or several draws of each item.
        outcomes: "outcomes" where answers are right or wrong, "graded" where they have scores between 0 and 1; else None.
        has_labels: False where no row can have a label.
        groups, shown: names of the group columns, the time axis last; and of the columns to show with single rows.
        time_axis: name of the time axis, or None.
        clusters: the columns of clusters, or None where rows are independent.
        positive: name of the positive class of a binary comparison, or None.
        waive: ids, as text, of rows that do not count.
        waived: how many rows the last pass left out for that.
    """

    def __init__(
        self,
        source: AlignedPredictions | Predictions,
        summary: Summary | None = None,
        draws: Sequence[DrawBlock] | None = None,
    ) -> None:
        self._source, self._summary, self._draws = source, summary, draws
        self.replicas, self.classes, self.class_names = source.replicas, source.classes, source.class_names
        self.has_probs, self.groups = source.has_probs, tuple(source.groups)
        self.files: AlignedPredictions | None = None
        self.outcomes: str | None = None
        if isinstance(source, AlignedPredictions):
            self.files, self.regression, self.shown = source, source.is_regression, source.shown
            self.has_labels, self.has_draws = source.has_labels, source.has_draws
            self.time_axis, self.clusters, self.positive = source.time, source.cluster, source.named.positive
        else:
            self.outcomes = source._kind if source.has_outcomes else None
            self.regression, self.shown = source.has_scores, tuple(source.known.shown)
            self.has_labels, self.has_draws = bool(source.labelled.any()), draws is not None
            self.time_axis, self.clusters, self.positive = self.summary.time, self.summary.cluster, self.summary.positive
        self.waive: Collection[str] = ()
        self.waived = 0

    @property
    def summary(self) -> Summary:
        """What was read; matches the rows of files where that was not done yet."""
        return self._summary or cast(AlignedPredictions, self._source).summary

    def blocks(self) -> Iterator[Predictions]:
        """Blocks of rows, all models as replicas; a block either has labels in every row or in none."""
        for block in self._blocks():
            yield from block.by_label()

    def _blocks(self) -> Iterator[Predictions]:
        refuse_draws(self.has_draws)
        self.waived = done = 0
        source = self._source
        if isinstance(source, AlignedPredictions):
            blocks, rows = source.blocks(), source.alignment.rows
        else:
            blocks, rows = (part for _, _, part in source.blocks(source.has_top)), source.examples
        for block in blocks:
            done += block.examples
            report(done, rows)
            if not self.waive:
                yield block
            elif (keep := self._keep(block.ids)).any():
                yield block.where(keep)

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class; see `AlignedPredictions.items`."""
        blocks = self._draws if self.files is None else self.files.items()
        if blocks is None:
            raise BadInput("these rows are not draws; pass draws= and id= where a model answered an item several times")
        self.waived = 0
        for block in blocks:
            yield block.where(self._keep(block.ids)) if self.waive else block

    def read(self) -> Predictions:
        """All rows in memory; where only some have a label, ``labelled`` is a mask of them."""
        parts = list(self._blocks())
        if not parts:
            raise BadInput("no rows are left")
        return Predictions.joined(parts)

    def _keep(self, ids: Any) -> np.ndarray:
        """A mask of the rows that are not waived."""
        if ids is None:
            raise BadInput("rows can only be waived by their ids, and these have none; pass --id")
        keep = np.array([str(i) not in self.waive for i in to_numpy(ids).tolist()], dtype=bool)
        self.waived += int((~keep).sum())
        return keep


@contextmanager
def open_rows(models: Sequence[Any], names: Sequence[str] = (), **reading: Unpack[Reading]) -> Iterator[Rows]:
    """The rows of several models.

    Args:
        models: one item for each, as `items_of` and `replicas_of` give them; all arrays, or all files and tables.
        names: of the models, for arrays.
        reading: see `open_predictions`. With X, models are fitted estimators, as those of scikit-learn. With arrays, id, label, weight,
            draws and time are arrays with one entry for each row, and by and cluster arrays or mappings from names to arrays. With
            tables in memory they may be arrays too.
    Raises:
        BadInput: arrays and files are mixed, or see `open_predictions`.
    """
    wanted = reading_of(reading)
    if wanted["X"] is not None:
        models, wanted = predicted_by(models, wanted)
    arrays = [is_array(model) for model in models]
    if any(arrays) and not all(arrays):
        raise BadInput(
            "arrays and files cannot be compared with each other: write the arrays with write_predictions, or read the files"
        )
    of_rows = {name: value for name, value in wanted.items() if not isinstance(value, str | bool | int | tuple | list | None)}
    if all(arrays) or of_rows or wanted["by_position"]:
        check_index([*models, *of_rows.values()])
        models = [to_numpy(model) if is_series(model) else model for model in models]
    options: Any = reading
    are_banked = bool(models) and all(isinstance(model, BankReplica) for model in models)
    if of_rows and not are_banked and not all(arrays):
        models, options = with_arrays(models, wanted, of_rows)
    if are_banked:
        yield Rows(*read_banked(models, wanted))
    elif are_logs(models, wanted):
        yield Rows(*read_outcomes(models, wanted))
    elif all(arrays) and wanted["draws"] is None and not needs_names(models, wanted):
        yield Rows(*stacked(models, wanted, names))
    else:
        if all(arrays):
            models, options = as_tables(models, wanted)
        with open_predictions(list(models), **options) as files:
            yield Rows(files)


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
        recognised = recognise_all(session, sources, wanted)
        for source, layout in recognised:
            refuse_text(session, source, layout)
            refuse_contradiction(session, source, layout, wanted)
        named, files = agreed_classes(session, recognised, wanted)
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


def open_source(session: Session, item: Any, number: int, named: frozenset[str] = frozenset()) -> Source:
    """Make one input scannable, as table ``source<number>`` where it is not a file; the named columns stay columns of their own."""
    table = Table(session, f"source{number}", named)
    if isinstance(item, TableWithArrays):
        return _with_arrays(table, open_source(session, item.table, number, named), item.columns)
    if isinstance(item, Shards):
        return of_shards(table, item)
    if isinstance(item, File):
        return of_file(table, item)
    if isinstance(item, BankReplica):
        return from_arrays(table, item.table(), str(item))
    if isinstance(item, LakeTable | DatabaseTable):
        return table.on_demand(partial(stream, table, str(item), item.open(named)), str(item))
    name = f"table {number + 1}"
    if isinstance(item, Mapping):
        return from_arrays(table, item, name)
    if hasattr(item, "collect_schema") and hasattr(item, "collect"):
        item = item.collect()  # the columns of a lazy Polars frame
    if not hasattr(item, "__arrow_c_stream__") and not hasattr(item, "iloc"):  # results of Spark and BigQuery
        convert = next((c for c in ("toArrow", "to_arrow", "toPandas") if callable(getattr(item, c, None))), None)
        item = item if convert is None else getattr(item, convert)()
    if hasattr(item, "reset_index") and (keys := [n for n in item.index.names if n is not None and n not in item.columns]):
        item = item.reset_index(level=keys)  # named index columns of pandas
    names = getattr(item, "column_names", getattr(item, "columns", None))
    if names is None and hasattr(item, "shape"):
        return from_arrays(table, {"": item}, name)
    if names is None and not hasattr(item, "__arrow_c_stream__"):
        raise BadInput(
            f"{name}: got {type(item).__name__}, expected a path, a pandas, Polars or Arrow table, a mapping from names to "
            "arrays, or an array"
        )
    refuse_repeated([] if names is None else [str(n) for n in names], name)
    with registered(table.session, f"object_{table.name}", item, name) as relation:
        return table.staged(relation, name)


def _with_arrays(table: Table, source: Source, arrays: Mapping[str, Any]) -> Source:
    session, doing = table.session, f"{source.name}: reading"
    added = from_arrays(Table(session, f"arrays_{table.name}", table.named), arrays, source.name)
    ((rows, entries),) = session.rows(
        f"SELECT (SELECT count(*) FROM {source.relation}), (SELECT count(*) FROM {added.relation})", doing=doing
    )
    if rows != entries:
        raise BadInput(f"{source.name}: the table has {rows:,} rows and {next(iter(arrays))!r} {entries:,} entries")
    refuse_repeated([*source.columns, *added.columns], source.name)
    whole = f"whole_{table.name}"
    sql = f"SELECT * FROM {source.relation} POSITIONAL JOIN {added.relation}"
    session.rows(f"CREATE TABLE {whole} AS {sql}", doing=doing)
    return replace(source, relation=whole, columns={**source.columns, **added.columns})


def filled(sources: Sequence[Source], reading: Reading) -> list[Source]:
    """The sources with the rows of the columns that are needed; see `Source.fill`."""
    layouts = [recognise(source, reading) for source in sources]
    check_options(sources, reading)
    found = []
    for source, layout in zip(sources, layouts, strict=True):
        if source.fill is not None:
            columns = (*layout.read, *filter(None, [predicted_next_to(source, layout, reading)]))
            whole = source.fill(dict.fromkeys(source.computed.get(c, ("", c, ""))[1] for c in columns))
            computed = {name: source.columns[name] for name in source.computed}
            source = replace(source, columns={**source.columns, **whole.columns, **computed}, fill=None)
        found.append(source)
    return found
