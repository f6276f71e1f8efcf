"""The rows of several models: files and tables matched by id, or arrays; either way in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Unpack, cast

import numpy as np

from traintwice._addresses import Address
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.logs import is_log
from traintwice.predictions._aligned import AlignedPredictions
from traintwice.predictions._bank import BankReplica, read_banked
from traintwice.predictions._checks import is_series, to_numpy
from traintwice.predictions._classes import Classes, agreed_classes
from traintwice.predictions._draws import DrawBlock
from traintwice.predictions._faults import check_contents
from traintwice.predictions._inputs import Shards, expand, is_array
from traintwice.predictions._layout import Summary, recognise_all
from traintwice.predictions._outcome_rows import read_outcomes
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._reading import Reading, reading_of
from traintwice.predictions._session import Session
from traintwice.predictions._source import with_path
from traintwice.predictions._sources import filled, open_source
from traintwice.predictions._tables import DatabaseTable, LakeTable
from traintwice.predictions._views import make_views, without_unanswered
from traintwice.progress import report

__all__ = ["Rows", "open_predictions", "open_rows"]


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
        sources = filled(sources, wanted)
        layouts = recognise_all(session, sources, wanted)
        named, sources, layouts = agreed_classes(session, sources, layouts, wanted)
        views, period = make_views(session, sources, layouts, named.names, wanted)
        if wanted["on_missing"] == "drop" and not wanted["by_position"]:
            views = [without_unanswered(session, view) for view in views]
        rows = [session.rows(f"SELECT count(*) FROM {v.name}", doing=f"{v.source.name}: reading")[0][0] for v in views]
        for view, count in zip(views, rows, strict=True):
            if count == 0:
                raise BadInput(f"{view.source.name} has columns but no rows{' with a prediction' if view.unanswered else ''}")
        at_once, drawn = len(views) == 1 or wanted["draws"] is not None, None
        for view in views if at_once else ():
            check_contents(session, view)
        if wanted["draws"] is not None:
            from traintwice.predictions._draws import items_of_draws

            drawn, (views, rows) = tuple(rows), items_of_draws(session, views)
        unchecked = () if at_once else views
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


class Rows:
    """Rows of M models in blocks, whatever they come from.

    Attributes:
        files: the aligned files; None for arrays.
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

    @typed
    def __init__(
        self,
        source: AlignedPredictions | Predictions,
        names: Sequence[str] = (),
        *,
        named: Classes,
        time_axis: str | None = None,
        clusters: str | None = None,
        summary: Summary | None = None,
        draws: Sequence[DrawBlock] | None = None,
    ) -> None:
        self._source, self._names, self._named, self._summary, self._draws = source, tuple(names), named, summary, draws
        self.files = source if isinstance(source, AlignedPredictions) else None
        self.replicas, self.classes, self.class_names = source.replicas, source.classes, source.class_names
        self.regression = source.is_regression if isinstance(source, AlignedPredictions) else source.has_scores
        self.has_draws = draws is not None or (self.files is not None and self.files.has_draws)
        self.outcomes = source._kind if isinstance(source, Predictions) and source.has_outcomes else None
        self.has_probs = source.has_probs
        self.has_labels = source.has_labels if isinstance(source, AlignedPredictions) else bool(source.labelled.any())
        self.groups = tuple(source.groups)
        self.shown = tuple(source.shown if isinstance(source, AlignedPredictions) else source.known.shown)
        self.time_axis, self.clusters = time_axis, clusters
        self.positive = named.positive
        self.waive: Collection[str] = ()
        self.waived = 0

    @property
    def summary(self) -> Summary:
        """What was read; matches the rows of files where that was not done yet."""
        if self._summary is not None:
            return self._summary
        if isinstance(self._source, AlignedPredictions):
            return self._source.summary
        p = self._source
        layout = "numbers" if p.has_scores else f"{p.classes} classes" if p.has_probs else "predicted labels"
        targets = None if p.targets is None else int((~np.isnan(p.targets)).sum())
        return Summary(
            files=self._names,
            rows=p.examples,
            labelled=int(p.labelled.sum()) if targets is None else targets,
            order="by position",
            layouts=(layout,) * p.replicas,
            label=None if p.known.labels is None and targets is None else "labels",
            weight=None if p.weights is None else "weights",
            classes=p.classes,
            class_names=p.class_names,
            dropped=(0,) * p.replicas,
            positive=self._named.positive,
            class_rule=self._named.rule,
            cluster=self.clusters,
            clusters=None if p.clusters is None else int(p.clusters.max()) + 1,
            time=self.time_axis,
        )

    def blocks(self) -> Iterator[Predictions]:
        """Blocks of rows, all models as replicas; a block either has labels in every row or in none."""
        for block in self._blocks():
            yield from block.by_label()

    def _blocks(self) -> Iterator[Predictions]:
        self.waived = done = 0
        source = self._source
        if isinstance(source, AlignedPredictions):
            blocks, rows = source.blocks(), source.alignment.rows
        else:
            blocks, rows = (part for _, _, part in source.blocks(source.has_top)), source.examples
        for block in blocks:
            done += block.examples
            report(done, rows)
            keep = self._keep(block.ids)
            if keep is None or keep.any():
                yield block if keep is None else block.where(keep)

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class; see `AlignedPredictions.items`."""
        blocks = self._draws if self.files is None else self.files.items()
        if blocks is None:
            raise BadInput("these rows are not draws; pass draws= and id= where a model answered an item several times")
        self.waived = 0
        for block in blocks:
            keep = self._keep(block.ids)
            yield block if keep is None else block.where(keep)

    def read(self) -> Predictions:
        """All rows in memory; where only some have a label, ``labelled`` is a mask of them."""
        parts = list(self._blocks())
        if not parts:
            raise BadInput("no rows are left")
        return Predictions.joined(parts)

    def _keep(self, ids: Any) -> np.ndarray | None:
        """A mask of the rows that count; None where all do."""
        if not self.waive:
            return None
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
        from traintwice.predictions._in_memory import predicted_by

        models, wanted = predicted_by(models, wanted)
    arrays = [is_array(model) for model in models]
    if any(arrays) and not all(arrays):
        raise BadInput(
            "arrays and files cannot be compared with each other: write the arrays with write_predictions, or read the files"
        )
    given_arrays = {
        name: value for name, value in wanted.items() if not isinstance(value, str | bool | int | tuple | list | None)
    }
    if all(arrays) or given_arrays:
        from traintwice.predictions._in_memory import as_tables, check_index, named_arrays, needs_names, stacked, with_arrays

        check_index([*models, *given_arrays.values()])
        models = [to_numpy(model) if is_series(model) else model for model in models]
    banked = [model for model in models if isinstance(model, BankReplica)]
    if banked and len(banked) == len(models):
        kept, summary = read_banked(banked, wanted)
        yield Rows(kept, named=Classes(kept.class_names), summary=summary)
        return
    if all(arrays) and wanted["draws"] is None and not needs_names(models, wanted):
        whole, named = stacked(models, wanted)
        clusters, time = named_arrays(wanted["cluster"], "cluster"), None if wanted["time"] is None else "time"
        yield Rows(whole, names, named=named, time_axis=time, clusters=" + ".join(clusters) or None)
        return
    if all(arrays):
        models, of_tables = as_tables(models, wanted)
        reading = cast(Reading, of_tables)
    elif given_arrays:
        models, of_tables = with_arrays(models, wanted, given_arrays)
        reading = cast(Reading, of_tables)
    if wanted["correct"] is not None and (away := next((m for m in models if isinstance(m, Address | Shards)), None)) is not None:
        raise BadInput(f"{away}: --correct reads one file of this machine for each model; copy it to a file first")
    logs = [is_log(model) for model in models] if wanted["correct"] is None else [True]
    if any(logs):
        if not all(logs):
            raise BadInput(
                f"{models[logs.index(False)]} is not an evaluation log and {models[logs.index(True)]} is one; pass logs alone"
            )
        outcomes, summary, draws = read_outcomes(models, wanted)
        yield Rows(outcomes, named=Classes(outcomes.class_names), clusters=summary.cluster, summary=summary, draws=draws)
        return
    for name in ("answer", "normalise", "scorer", "filter", "task"):
        if wanted[name]:
            told = (
                "--answer needs --correct, the column of the correctness"
                if name == "answer"
                else f"--{name} is for evaluation logs"
            )
            raise BadInput(f"{told}; {models[0]} is not a log of a known layout")
    with open_predictions(list(models), **reading) as files:
        yield Rows(files, named=files.named, time_axis=reading.get("time"), clusters=files.cluster)
