"""The rows of several models: files and tables matched by id, or arrays; either way in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import array_api_compat
import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.aligned import AlignedPredictions, DrawBlock, Summary
from traintwice.predictions.layout import MOST_CLASSES, Classes, Kind, Layout, agreed_classes, listed, missing_column, recognise
from traintwice.predictions.predictions import Predictions, to_numpy
from traintwice.predictions.reading import Reading, reading_of
from traintwice.predictions.session import Session, literal
from traintwice.predictions.sources import Source, expand, open_source
from traintwice.predictions.views import View, check_contents, make_views, period_of, vote
from traintwice.progress import tell

__all__ = ["Rows", "from_arrays", "is_array", "items_of", "open_predictions", "open_rows", "replicas_of"]


def open_predictions(paths: Any, **reading: Unpack[Reading]) -> AlignedPredictions:
    r"""Predictions of several models on the same examples, from files or tables, matched by id.

    Every file is one replica. Files whose ids come in the same order, which is verified id by id, are read side by side;
    any other order is joined by DuckDB within the memory limit. Cells of several files are checked in the pass that matches
    the rows, when these are first needed.

    Args:
        paths: a path, glob, directory or table, or a list of them. Parquet, CSV, TSV, JSON lines, npz, npy, safetensors;
            pandas, Polars and Arrow tables; mappings from names to arrays. Nothing is unpickled.
        id: the column or columns that identify a row; one of the usual names (id, row_id …) is recognised.
        probs: the columns of the predictions, in the order of the classes; or one column with a list, a score in [0, 1] or
            a predicted label; or the prefix of name_0, name_1 … None recognises p_0 …, one list, one score, one label.
        label: the true label, an integer class or a name; y, label and target are recognised.
        weight, by: columns of weights and groups.
        cluster: the columns that name the cluster of a row (a user, say): rows of one cluster are not independent.
        draws: the column that numbers repeated draws of one item by one model; id then names the item.
        time: a column of time, the last group: hours, days … years, or ranges of numbers.
        classes: names of the classes in the order of the predictions' columns, where labels are names.
        positive: name of the positive class of a binary model, which becomes class 1.
        logits: the predictions are logits; softmax (or the logistic function, for one column) is applied.
        regression: the predictions are numbers and not probabilities.
        memory: limit for DuckDB, such as "2GB"; None takes half of this machine's memory. Beyond it, it spills to disk.
        on_missing: what to do with ids that are missing from a file or are in it twice.
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
        sources = [open_source(session, item, number) for number, item in enumerate(items)]
        named, sources, layouts = _recognised(session, sources, wanted)
        groups = (*wanted["by"], *filter(None, [wanted["time"]]))
        views, period = make_views(session, sources, layouts, named, groups)
        rows = [session.rows(f"SELECT count(*) FROM {v.name}", doing=f"{v.source.name}: reading")[0][0] for v in views]
        for view, count in zip(views, rows, strict=True):
            if count == 0:
                raise BadInput(f"{view.source.name} has columns but no rows")
        at_once, drawn = len(views) == 1 or wanted["draws"] is not None, None
        for view in views if at_once else ():
            check_contents(session, view)
        if wanted["draws"] is not None:
            drawn, (views, rows) = tuple(rows), _items(session, views)
        return AlignedPredictions(
            session,
            views,
            rows,
            unchecked=() if at_once else views,
            groups=groups,
            named=named,
            period=period,
            drop=wanted["on_missing"] == "drop",
            draws=drawn,
        )
    except BaseException:
        session.close()
        raise


def _recognised(session: Session, sources: list[Source], reading: Reading) -> tuple[Classes, list[Source], list[Layout]]:
    """The layouts of all files, which hold predictions of one kind and of the same classes."""
    layouts = [recognise(source, reading) for source in sources]
    probabilities = {"columns": "probabilities", "list": "probabilities", "score": "probabilities"}
    if any(layout.kind in probabilities for layout in layouts):  # then whole numbers in a text file are scores too
        layouts = [
            replace(layout, kind="score", classes=2)
            if layout.kind == "votes" and source.untyped and source.family(layout.columns[0]) == "integer"
            else layout
            for layout, source in zip(layouts, sources, strict=True)
        ]
    for option, columns in (
        ("label", reading["label"]),
        ("weight", reading["weight"]),
        ("by", reading["by"]),
        ("time", reading["time"]),
    ):
        for name in columns if isinstance(columns, tuple) else filter(None, [columns]):
            if not any(name in source.columns for source in sources):
                raise missing_column(sources[0], name, option)
    if reading["cluster"] and not any(layout.cluster for layout in layouts):
        absent = [c for c in reading["cluster"] if not any(c in source.columns for source in sources)]
        if absent:
            raise missing_column(sources[0], absent[0], "cluster")
        raise BadInput(f"--cluster: no file has all of the columns {listed(reading['cluster'])}; expected them in one file")
    first, of_first = layouts[0], probabilities.get(layouts[0].kind, layouts[0].kind)
    for m, (layout, source) in enumerate(zip(layouts, sources, strict=True)):
        if probabilities.get(layout.kind, layout.kind) != of_first:
            words = {"votes": "predicted labels", "regression": "a regression"}
            one, other = (words.get(kind, "probabilities") for kind in (first.kind, layout.kind))
            raise BadInput(
                f"{sources[0].name} holds {one} ({first.describe()}) and {source.name} {other} ({layout.describe()}); pass --probs with "
                "columns that hold the same in all"
            )
        if len(layout.id) != len(first.id):
            raise BadInput(f"{source.name}: {len(layout.id)} id columns against {len(first.id)} in {sources[0].name}; pass --id")
        if layout.kind == "list" and layout.classes is None:
            layouts[m] = replace(layout, classes=_length_of_first(session, source, layout.columns[0]))
        if layouts[m].classes != layouts[0].classes:
            raise BadInput(
                f"{sources[0].name} has {layouts[0].classes} classes ({layouts[0].describe()}) and {source.name} "
                f"{layouts[m].classes} ({layouts[m].describe()}); replicas must predict the same classes"
            )
    named, sources, layouts = agreed_classes(session, sources, layouts, reading)
    if named.names is not None:
        texts = ", ".join(literal(name) for name in named.names)
        session.rows(f"CREATE TYPE class_names AS ENUM ({texts})", doing="naming the classes")
        layouts = [replace(layout, classes=len(named.names)) for layout in layouts]
    return named, sources, layouts


def _length_of_first(session: Session, source: Source, column: str) -> int:
    """Entries of the first list of a file."""
    cell = source.cell(column)
    sql = f"SELECT len({cell}) FROM {source.relation} WHERE {cell} IS NOT NULL LIMIT 1"
    found = session.rows(sql, doing=f"{source.name}: reading")
    if not found or found[0][0] < 2:
        what = f"has {found[0][0]} entries in its first row" if found else "is missing in every row"
        raise BadInput(f"{source.name}: the list {column!r} {what}; expected one probability for each of two or more classes")
    return int(found[0][0])


def _items(session: Session, views: Sequence[View]) -> tuple[list[View], list[int]]:
    """Files of items in the place of files of draws: what belongs to the item, and h, how often each class was drawn.

    Raises:
        BadInput: a draw of an item is in a file twice, or what belongs to an item changes between its draws.
    """
    items, rows = [], []
    for m, view in enumerate(views):
        doing, ids, name = f"{view.source.name}: counting the draws", ", ".join(view.ids), view.source.name
        shared = [c for c in view.cells if c in ("y", "w", "c", "t") or c.startswith("g")]
        repeated = f"SELECT {ids}, d FROM {view.name} GROUP BY {ids}, d HAVING count(*) > 1"
        ((twice,),) = session.rows(f"SELECT count(*) FROM ({repeated})", doing=doing)
        if twice:
            told = f"{name}: {twice:,} draws are on more than one row"
            raise BadInput(f"{told}; an id and a value of {view.layout.draws!r} must name one row")
        changes = ", ".join(f"count(*) FILTER (low_{c} <> high_{c})" for c in shared) or "0"
        ends = ", ".join([ids, *(f"min({c}) AS low_{c}, max({c}) AS high_{c}" for c in shared)])
        (found,) = session.rows(f"SELECT {changes} FROM (SELECT {ends} FROM {view.name} GROUP BY {ids})", doing=doing)
        for column, count in zip(shared, found, strict=False):
            if count:
                raise BadInput(
                    f"{name}: {count:,} items have several values in {view.names[column]!r}; expected the same in all draws"
                )
        kept = ", ".join([ids, *(f"min({c}) AS {c}" for c in shared)])
        drawn = f"SELECT *, {vote(view, str)} AS drawn FROM {view.name}"
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


class Rows:
    """Rows of M models in blocks, whatever they come from.

    Attributes:
        files: the aligned files; None for arrays.
        replicas: M.
        classes: K; None for predicted labels and regressions.
        class_names: names of the classes, where known.
        regression, has_probs, has_draws: each model gives numbers, probabilities, or several draws of each item.
        has_labels: False where no row can have a label.
        groups: names of the group columns, the time axis last.
        time_axis: name of the time axis, or None.
        clusters: the columns of clusters, or None where rows are independent.
        positive: name of the positive class of a binary comparison, or None.
        waive: ids, as text, of rows that do not count.
        waived: how many rows the last pass left out for that.
    """

    def __init__(
        self,
        source: AlignedPredictions | Predictions,
        names: Sequence[str] = (),
        *,
        named: Classes,
        time_axis: str | None = None,
        clusters: str | None = None,
    ) -> None:
        self._source, self._names, self._named = source, tuple(names), named
        self.files = source if isinstance(source, AlignedPredictions) else None
        self.replicas, self.classes, self.class_names = source.replicas, source.classes, source.class_names
        self.regression = source.is_regression if isinstance(source, AlignedPredictions) else source.has_scores
        self.has_draws = self.files is not None and self.files.has_draws
        self.has_probs, self.has_labels = source.has_probs, source.has_labels
        self.groups = tuple(source.groups)
        self.time_axis, self.clusters = time_axis, clusters
        self.positive = named.positive
        self.waive: Collection[str] = ()
        self.waived = 0

    @property
    def summary(self) -> Summary:
        """What was read; matches the rows of files where that was not done yet."""
        if isinstance(self._source, AlignedPredictions):
            return self._source.summary
        p = self._source
        layout = "numbers" if p.has_scores else f"{p.classes} classes" if p.has_probs else "predicted labels"
        targets = None if p.targets is None else int((~np.isnan(p.targets)).sum())
        return Summary(
            files=self._names,
            rows=p.examples,
            labelled=targets if targets is not None else p.examples if p.has_labels else 0,
            order="by position",
            layouts=(layout,) * p.replicas,
            label="labels" if p.has_labels or targets is not None else None,
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
        self.waived = done = 0
        source = self._source
        rows = source.alignment.rows if isinstance(source, AlignedPredictions) else source.examples
        for block in self._every_block():
            done += block.examples
            tell(done, rows)
            keep = self._keep(block.ids)
            if keep is None or keep.any():
                yield block if keep is None else block.where(keep)

    def items(self) -> Iterator[DrawBlock]:
        """Blocks of items, with how often each model drew each class; see `AlignedPredictions.items`."""
        if self.files is None:
            raise BadInput("these rows are not draws; pass draws= and id= where a model answered an item several times")
        self.waived = 0
        for block in self.files.items():
            keep = self._keep(block.ids)
            yield block if keep is None else block.where(keep)

    def read(self) -> Predictions:
        """All rows in memory; labels only where every row has one."""
        parts = list(self.blocks())
        if not parts:
            raise BadInput("no rows are left")
        return Predictions.joined(parts)

    def _every_block(self) -> Iterator[Predictions]:
        if isinstance(self._source, AlignedPredictions):
            yield from self._source.batches()
        else:
            yield from (block for _, _, block in self._source.blocks(self.has_probs))

    def _keep(self, ids: Any) -> np.ndarray | None:
        """A mask of the rows that count; None where all do."""
        if not self.waive:
            return None
        if ids is None:
            raise BadInput("rows can only be waived by their ids, and these have none; pass --id")
        keep = np.array([str(i) not in self.waive for i in to_numpy(ids).tolist()], dtype=bool)
        self.waived += int((~keep).sum())
        return keep


def is_array(given: Any) -> bool:
    """True for an array or `Predictions`, False for a file or table."""
    return isinstance(given, Predictions) or bool(array_api_compat.is_array_api_obj(given))


def items_of(given: Any) -> list[Any]:
    """One item for each model that was given: files of a glob or directory, tables, arrays."""
    if is_array(given):
        return [given]
    if isinstance(given, list | tuple):
        return [item for part in given for item in items_of(part)]
    return expand([given]) if isinstance(given, str | Path) else [given]


def replicas_of(given: Any) -> list[Any]:
    """One item for each replica: an array ``M N K`` or ``M N``, or `Predictions` of M replicas, is cut into its replicas.

    Raises:
        BadInput: one array that has another shape.

    >>> [item.shape for item in replicas_of(np.zeros((3, 5), dtype=int))], len(replicas_of([np.zeros(5), np.ones(5)]))
    ([(5,), (5,), (5,)], 2)
    """
    items = items_of(given)
    if len(items) != 1 or not is_array(items[0]):
        return items
    (whole,) = items
    if isinstance(whole, Predictions):
        return [whole.models(m, m + 1) for m in range(whole.replicas)]
    if whole.ndim not in (2, 3):
        raise BadInput(
            f"predictions: got shape {tuple(whole.shape)}, expected (replicas, examples) or (replicas, examples, classes)"
        )
    return list(to_numpy(whole))


@contextmanager
def open_rows(models: Sequence[Any], names: Sequence[str] = (), **reading: Unpack[Reading]) -> Iterator[Rows]:
    """The rows of several models.

    Args:
        models: one item for each, as `items_of` and `replicas_of` give them; all arrays, or all files and tables.
        names: of the models, for arrays.
        reading: see `open_predictions`. With arrays, id, label, weight, draws and time are arrays with one entry for each row, and
            by and cluster arrays or mappings from names to arrays.
    Raises:
        BadInput: arrays and files are mixed, or see `open_predictions`.
    """
    wanted = reading_of(reading)
    arrays = [is_array(model) for model in models]
    if any(arrays) and not all(arrays):
        raise BadInput(
            "arrays and files cannot be compared with each other: write the arrays with write_predictions, or read the files"
        )
    if all(arrays) and wanted["draws"] is None:
        whole, named = _stacked(models, wanted)
        clusters, time = _mapping(wanted["cluster"], "cluster"), None if wanted["time"] is None else "time"
        yield Rows(whole, names, named=named, time_axis=time, clusters=" + ".join(clusters) or None)
        return
    if all(arrays):
        models, reading = _tables_of_draws(models, wanted)
    for name, value in reading.items():
        if value is not None and not isinstance(value, str | bool | int | tuple | list):
            raise BadInput(f"{name}: got {type(value).__name__}; with files it is the name of a column")
    with open_predictions(list(models), **reading) as files:
        yield Rows(files, named=files.named, time_axis=wanted["time"], clusters=files.cluster)


def from_arrays(models: Sequence[Any], **reading: Unpack[Reading]) -> Predictions:
    """The rows of several models that are arrays, one array or `Predictions` each.

    Raises:
        BadInput: their shapes differ, or see `Predictions`.
    """
    return _stacked(models, reading_of(reading))[0]


def _stacked(models: Sequence[Any], reading: Reading) -> tuple[Predictions, Classes]:
    known = models[0] if isinstance(models[0], Predictions) else None
    given = [_one_model(model, reading) for model in models]
    first = given[0]
    for number, model in enumerate(given[1:], start=2):
        if model.shape != first.shape:
            raise BadInput(
                f"model 1 has predictions of shape {first.shape} and model {number} of {model.shape}; rows and classes must match"
            )
    whole = np.stack(given)
    columns = {name: _column(reading[name], name) for name in ("id", "label", "weight")}
    groups = _mapping(reading["by"], "by")
    if reading["time"] is not None:
        groups["time"] = _periods(_column(reading["time"], "time"))
    clusters: Any = _cluster_codes(_mapping(reading["cluster"], "cluster"), whole.shape[1])
    names: Any = reading["classes"] or None
    if known is not None:
        own = {"id": known.ids, "label": known.labels if known.has_labels else known.targets, "weight": known.weights}
        columns = {name: _column(own[name], name) if value is None else value for name, value in columns.items()}
        groups = groups or {name: to_numpy(values) for name, values in known.groups.items()}
        clusters = clusters if clusters is not None or known.clusters is None else to_numpy(known.clusters)
        names = names or known.class_names
    ids, labels, weights = columns.values()
    for name, values in {"id": ids, **groups}.items():
        if values is not None and len(values) != whole.shape[1]:
            raise BadInput(f"{name}: got {len(values):,} entries, expected {whole.shape[1]:,}, one for each row")
    if reading["regression"] or (known is not None and known.has_scores):
        checked = Predictions.from_scores(whole, None, weights, targets=labels)
        made = Predictions.trusted(
            checked.scores, None, checked.weights, scores=True, targets=checked.targets, ids=ids, groups=groups, clusters=clusters
        )
        return made, Classes()
    named, flipped, swapped = _classes_of(models[0], whole, names, reading)
    if swapped:
        whole = whole[:, :, ::-1]
    if flipped:
        labels = None if labels is None else np.where(labels < 2, 1 - labels.astype(np.int64), labels)
        whole = np.where(whole < 2, 1 - whole.astype(np.int64), whole) if whole.ndim == 2 else whole
    made = Predictions(whole, labels, weights, ids=ids, groups=groups, clusters=clusters, class_names=named.names)
    return made, named


def _classes_of(model: Any, whole: np.ndarray, names: tuple[str, ...] | None, reading: Reading) -> tuple[Classes, bool, bool]:
    """The classes of arrays by the rule for files; whether that turns the classes of labels round, and the columns."""
    is_score = whole.ndim == 3 and not isinstance(model, Predictions) and model.ndim == 1
    kind: Kind = "votes" if whole.ndim == 2 else "score" if is_score else "columns"
    count = whole.shape[2] if whole.ndim == 3 else None
    numbers = tuple(str(k) for k in range(count or 2))
    layout = Layout(kind, numbers if kind == "columns" else ("predictions",), classes=count, label="labels")
    source = Source("arrays", "", "", dict.fromkeys(["labels", *layout.columns], "BIGINT"), class_names=names)
    named, _, (placed,) = agreed_classes(None, [source], [layout], reading)
    flipped = named.names is not None and named.names == (names or numbers)[::-1] and len(named.names) == 2
    return named, flipped, placed.columns == numbers[::-1] and kind == "columns"


def _column(value: Any, name: str) -> np.ndarray | None:
    if isinstance(value, str | tuple) and value:
        raise BadInput(f"{name}: got the name {value!r}; with arrays give an array with one entry for each row")
    return None if value is None or isinstance(value, tuple) else to_numpy(value)


def _mapping(value: Any, name: str) -> dict[str, np.ndarray]:
    """Arrays by name; one array is called by the name of its option."""
    if isinstance(value, tuple | list) and all(hasattr(entry, "shape") for entry in value):
        value = {f"{name} {j + 1}": entry for j, entry in enumerate(value)}
    if isinstance(value, Mapping):
        return {str(key): to_numpy(entry) for key, entry in value.items()}
    if isinstance(value, str | tuple):
        raise BadInput(f"{name}: with arrays give a mapping from names to arrays with one entry for each row")
    return {name: to_numpy(value)}


def _cluster_codes(clusters: Mapping[str, np.ndarray], rows: int) -> np.ndarray | None:
    """Numbers 0 … G−1 of the clusters that one or more arrays name together."""
    codes: np.ndarray | None = None
    for name, values in clusters.items():
        if values.shape != (rows,):
            raise BadInput(f"{name}: got shape {values.shape}, expected ({rows},), the cluster of each row")
        missing = np.array([v is None or v != v for v in values.tolist()]) if values.dtype.kind in "fOM" else np.zeros(rows, bool)
        if missing.any():
            raise BadInput(
                f"{name}: {int(missing.sum()):,} of {rows:,} rows have no cluster (first: row {missing.argmax():,}); every row needs one"
            )
        found, own = np.unique(values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True)
        codes = own.astype(np.int64) if codes is None else codes * len(found) + own
    return None if codes is None else np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _one_model(model: Any, reading: Reading) -> np.ndarray:
    """Probabilities ``N K``, predicted labels ``N`` or numbers ``N`` of one model."""
    if isinstance(model, Predictions):
        if model.replicas != 1:
            raise BadInput(f"got Predictions of {model.replicas} replicas, expected one model; probs[[m]] picks one")
        return np.asarray(to_numpy(model.scores if model.has_scores else model.probs if model.has_probs else model.votes)[0])
    array = to_numpy(model)
    if array.ndim not in (1, 2):
        raise BadInput(f"got predictions of shape {array.shape}, expected (rows, classes) or (rows,) for one model")
    if reading["regression"]:
        return array
    if reading["logits"]:
        array = np.stack([np.zeros(len(array)), array], axis=1) if array.ndim == 1 else array.astype(np.float64)
        powers = np.exp(array - array.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if array.ndim == 1 and array.dtype.kind == "f":
        if not ((array >= 0) & (array <= 1)).all():
            raise BadInput(
                "got one number for each row, not all in [0, 1]; pass logits=True for logits, regression=True for numbers that are "
                "not probabilities, or integers for predicted labels"
            )
        return np.stack([1.0 - array, array], axis=1)
    return array


def _periods(times: Any) -> np.ndarray:
    """The period of each time, as text that sorts as time does."""
    whole = times.dtype.kind in "iu"
    if not whole and times.dtype.kind not in "fM":
        raise BadInput(f"time: got dtype {times.dtype}, expected dates or numbers")
    session = Session()
    try:
        session.connection.register("times", {"t": times if whole or times.dtype.kind == "f" else times.astype("datetime64[us]")})
        cell = "CAST(t AS DOUBLE)" if times.dtype.kind != "M" else "CAST(t AS TIMESTAMP)"
        period = period_of(session, "times", cell, "whole" if whole else "any" if times.dtype.kind == "f" else None)
        (found,) = session.arrays(f"SELECT {period.sql.format(t=cell)} AS period FROM times", doing="reading the times").values()
    finally:
        session.close()
    return np.where(np.ma.getmaskarray(found), None, np.ma.getdata(found))


def _tables_of_draws(models: Sequence[Any], reading: Reading) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """Tables, and how to read them, in the place of arrays of which several rows belong to one item."""
    if isinstance(reading["id"], tuple):
        raise BadInput("draws: pass id too, an array with the item of each row")
    shared = {
        "id": reading["id"],
        "label": reading["label"],
        "weight": reading["weight"],
        "draws": reading["draws"],
        "time": reading["time"],
    }
    columns = {name: to_numpy(value) for name, value in shared.items() if value is not None}
    options: dict[str, Any] = {name: name for name in columns} | {"classes": reading["classes"], "positive": reading["positive"]}
    for option in ("by", "cluster"):
        arrays = _mapping(reading[option], option)
        columns |= {f"{option} {name}": values for name, values in arrays.items()}
        options[option] = [f"{option} {name}" for name in arrays]
    tables = [{**columns, "predicted": _one_model(model, reading)} for model in models]
    return tables, {**options, "probs": "predicted"}
