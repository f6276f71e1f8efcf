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
from traintwice.predictions.aligned import AlignedPredictions, Summary
from traintwice.predictions.classes import NUMBERED, Classes, agreed_classes
from traintwice.predictions.formats import expand
from traintwice.predictions.layout import Kind, Layout
from traintwice.predictions.opening import open_predictions
from traintwice.predictions.predictions import Predictions, to_numpy
from traintwice.predictions.reading import Reading, reading_of
from traintwice.predictions.sources import Source
from traintwice.progress import tell

__all__ = ["Rows", "from_arrays", "is_array", "items_of", "open_rows", "replicas_of"]


class Rows:
    """Rows of M models in blocks, whatever they come from.

    Attributes:
        files: the aligned files; None for arrays.
        replicas: M.
        classes: K; None for predicted labels and regressions.
        class_names: names of the classes, where known.
        regression: predictions are numbers.
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
        named: Classes = NUMBERED,
        time_axis: str | None = None,
        clusters: str | None = None,
    ) -> None:
        self._source, self._names, self._named = source, tuple(names), named
        self.files = source if isinstance(source, AlignedPredictions) else None
        self.replicas, self.classes, self.class_names = source.replicas, source.classes, source.class_names
        self.regression = source.is_regression if isinstance(source, AlignedPredictions) else source.has_scores
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
        labelled = targets if targets is not None else p.examples if p.has_labels else 0
        return Summary(
            files=self._names,
            rows=p.examples,
            labelled=labelled,
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
        )

    def blocks(self) -> Iterator[Predictions]:
        """Blocks of rows, all models as replicas; a block either has labels in every row or in none."""
        self.waived = done = 0
        for block in self._every_block():
            done += block.examples
            tell(done, self._rows)
            if not self.waive:
                yield block
            elif (part := self._without_waived(block)) is not None:
                yield part

    def read(self) -> Predictions:
        """All rows in memory; labels only where every row has one."""
        parts = list(self.blocks())
        if not parts:
            raise BadInput("no rows are left")
        return Predictions.joined(parts)

    @property
    def _rows(self) -> int:
        source = self._source
        return source.alignment.rows if isinstance(source, AlignedPredictions) else source.examples

    def _every_block(self) -> Iterator[Predictions]:
        if isinstance(self._source, AlignedPredictions):
            yield from self._source.batches()
        else:
            yield from (block for _, _, block in self._source.blocks(self.has_probs))

    def _without_waived(self, block: Predictions) -> Predictions | None:
        if block.ids is None:
            raise BadInput("rows can only be waived by their ids, and these have none; pass --id")
        keep = np.array([str(i) not in self.waive for i in to_numpy(block.ids).tolist()], dtype=bool)
        self.waived += int((~keep).sum())
        return block.where(keep) if keep.any() else None


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
    if all(arrays):
        whole, named = _stacked(models, wanted)
        clusters = _mapping(wanted["cluster"], "cluster")
        yield Rows(whole, names, named=named, clusters=" + ".join(clusters) or None)
        return
    for name, value in wanted.items():
        if value is not None and not isinstance(value, str | bool | int | tuple):
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
        return made, NUMBERED
    named, order = _classes_of(models[0], whole, names, reading)
    if order == (1, 0):
        whole = whole[:, :, ::-1] if whole.ndim == 3 else np.where(whole < 2, 1 - whole.astype(np.int64), whole)
    if labels is not None and named.names is not None and named.names[::-1] == (names or ("0", "1")):
        labels = np.where(labels < 2, 1 - labels.astype(np.int64), labels)
    made = Predictions(whole, labels, weights, ids=ids, groups=groups, clusters=clusters, class_names=named.names)
    return made, named


def _classes_of(
    model: Any, whole: np.ndarray, names: tuple[str, ...] | None, reading: Reading
) -> tuple[Classes, tuple[int, ...] | None]:
    """The classes of arrays, by the rule for files, and the order of the columns where it changes."""
    is_score = whole.ndim == 3 and not isinstance(model, Predictions) and model.ndim == 1
    kind: Kind = "votes" if whole.ndim == 2 else "score" if is_score else "columns"
    numbers = tuple(str(k) for k in range(whole.shape[2] if whole.ndim == 3 else 2))
    layout = Layout(kind, numbers if kind == "columns" else ("predictions",), classes=whole.shape[2] if whole.ndim == 3 else None)
    source = Source("arrays", "", "", {"labels": "BIGINT", "predictions": "BIGINT"}, class_names=names)
    named, _, (placed,) = agreed_classes(None, [source], [replace(layout, label="labels")], reading)
    if kind == "votes":
        flipped = named.names is not None and named.names[::-1] == (names or numbers)
        return named, (1, 0) if flipped else None
    return named, tuple(int(c) for c in placed.columns) if kind == "columns" else None


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
