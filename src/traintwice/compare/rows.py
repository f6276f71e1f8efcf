"""Where the rows of a comparison come from: files and tables matched by id, or arrays; either way in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import array_api_compat
import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import AlignedPredictions, Predictions, Summary, open_predictions
from traintwice.predictions.formats import expand
from traintwice.progress import tell


@dataclass(frozen=True)
class Columns:
    """What the user says about columns (or, beside arrays, gives as arrays); see `traintwice.predictions.open_predictions`."""

    id: Any = None
    probs: str | Sequence[str] | None = None
    label: Any = None
    weight: Any = None
    by: Any = None
    time: str | None = None
    classes: Sequence[str] | None = None
    logits: bool = False
    regression: bool = False
    memory: int | str | None = None
    on_missing: Literal["refuse", "drop"] = "refuse"
    by_position: bool = False


class Rows:
    """Rows of M models in blocks.

    Attributes:
        summary: what was read.
        replicas: M.
        regression: predictions are numbers.
        has_probs: probabilities and not predicted labels only.
        groups: names of the group columns.
        files: the aligned files, where it is files.
        waive: ids, as text, of rows that do not count.
    """

    def __init__(self, source: AlignedPredictions | Predictions, names: Sequence[str], groups: Sequence[str]) -> None:
        self.files = source if isinstance(source, AlignedPredictions) else None
        self._array = source if isinstance(source, Predictions) else None
        self._names = tuple(names)
        self.groups = tuple(groups)
        self.replicas = source.replicas
        self.classes = source.classes
        self.regression = source.is_regression if isinstance(source, AlignedPredictions) else source.has_scores
        self.waive: Collection[str] = ()
        self.waived = 0

    @property
    def summary(self) -> Summary:
        """What was read; matches the rows of files where that was not done yet."""
        if self.files is not None:
            return self.files.summary
        p = self._the_array
        labelled = p.examples if p.has_labels else 0
        layout = "numbers" if p.has_scores else f"{p.classes} classes" if p.has_probs else "predicted labels"
        label, weight = ("labels" if labelled else None), (None if p.weights is None else "weights")
        dropped = (0,) * p.replicas
        return Summary(
            self._names,
            p.examples,
            labelled,
            "by position",
            (layout,) * p.replicas,
            label,
            weight,
            p.classes,
            p.class_names,
            dropped,
        )

    @property
    def has_probs(self) -> bool:
        """False where only predicted labels are known."""
        if self.files is not None:
            return self.files.has_probs
        return self._the_array.has_probs

    @property
    def has_labels(self) -> bool:
        """False where no row can have a label."""
        return self.files.has_labels if self.files is not None else self._the_array.has_labels

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where known."""
        return self.files.class_names if self.files is not None else self._the_array.class_names

    def blocks(self) -> Iterator[Predictions]:
        """Blocks of rows, all models as replicas; a block either has labels in every row or in none."""
        self.waived = 0
        done = 0
        for block in self._every_block():
            done += block.examples
            tell(done, self.summary.rows)
            if not self.waive:
                yield block
            elif (part := self._without_waived(block)) is not None:
                yield part

    def read(self) -> Predictions:
        """All rows in memory; labels only where every row has one."""
        parts = list(self.blocks())
        if not parts:
            raise BadInput("no rows are left")
        return joined(parts)

    def _every_block(self) -> Iterator[Predictions]:
        if self.files is None:
            for _, _, block in self._the_array.blocks(self._the_array.has_probs):
                yield block
        elif self.regression:
            for numbers in self.files.scores():
                made = Predictions.from_scores(numbers.values, None, numbers.weights)
                yield made.described(ids=numbers.ids, groups=numbers.groups, time=numbers.time)
        else:
            yield from self.files.batches()

    def _without_waived(self, block: Predictions) -> Predictions | None:
        if block.ids is None:
            raise BadInput("rows can only be waived by their ids, and these have none; pass --id")
        keep = np.array([str(i) not in self.waive for i in to_numpy(block.ids).tolist()], dtype=bool)
        self.waived += int((~keep).sum())
        return block.where(keep) if keep.any() else None

    @property
    def _the_array(self) -> Predictions:
        if self._array is None:
            raise BadInput("these rows come from files")
        return self._array


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Blocks one after the other; labels only where every row has one."""

    def join(arrays: Sequence[Any]) -> Any:
        return None if any(a is None for a in arrays) else np.concatenate([to_numpy(a) for a in arrays])

    first = parts[0]
    labels = join([p.labels for p in parts]) if all(p.has_labels for p in parts) else None
    weights = join([p.weights for p in parts])
    values = [to_numpy(p.scores if p.has_scores else p.probs if p.has_probs else p.votes) for p in parts]
    whole = np.concatenate(values, axis=1)
    if first.has_scores:
        made = Predictions.from_scores(whole, None, weights)
    else:
        made = Predictions.trusted(whole, labels, weights, class_names=first.class_names)
    groups = {name: join([p.groups[name] for p in parts]) for name in first.groups}
    return made.described(ids=join([p.ids for p in parts]), groups=groups, time=join([p.time for p in parts]))


def is_array(given: Any) -> bool:
    """An array or `Predictions`, and no file or table."""
    return isinstance(given, Predictions) or bool(array_api_compat.is_array_api_obj(given))


def items_of(given: Any) -> list[Any]:
    """One item for each model that was given: files of a glob or directory, tables, arrays."""
    if is_array(given):
        return [given]
    if isinstance(given, list | tuple):
        return [item for part in given for item in items_of(part)]
    return expand([given]) if isinstance(given, str | Path) else [given]


@contextmanager
def open_rows(models: Sequence[Any], names: Sequence[str], columns: Columns) -> Iterator[Rows]:
    """The rows of several models.

    Args:
        models: one item for each, as `items_of` gives them; all arrays, or all files and tables.
        names: of the models, for arrays.
        columns: what the user says of the columns.
    Raises:
        BadInput: arrays and files are mixed, or see `open_predictions`.
    """
    arrays = [is_array(model) for model in models]
    if any(arrays) and not all(arrays):
        raise BadInput(
            "arrays and files cannot be compared with each other: write the arrays with write_predictions, or read the files"
        )
    if all(arrays):
        whole = from_arrays(models, columns)
        yield Rows(whole, names, tuple(whole.groups))
        return
    for name, value in (("label", columns.label), ("weight", columns.weight)):
        if value is not None and not isinstance(value, str):
            raise BadInput(f"{name}: got {type(value).__name__}; beside files it is the name of a column")
    by = [columns.by] if isinstance(columns.by, str) else list(columns.by or ())
    with open_predictions(list(models), **{**vars(columns), "by": by}) as files:
        yield Rows(files, [], by)


def from_arrays(models: Sequence[Any], columns: Columns) -> Predictions:
    """The rows of several models that are arrays.

    Raises:
        BadInput: their shapes differ, or see `Predictions`.
    """
    for name, value in (("id", columns.id), ("label", columns.label), ("weight", columns.weight)):
        if isinstance(value, str):
            raise BadInput(f"{name}: got the name {value!r}; beside arrays give an array with one entry for each row")
    if columns.by is not None and not isinstance(columns.by, Mapping):
        raise BadInput("by: beside arrays give a mapping from names to arrays with one entry for each row")
    given = [_one_model(model, columns) for model in models]
    first = given[0]
    for number, model in enumerate(given[1:], start=2):
        if model.shape != first.shape:
            raise BadInput(
                f"model 1 has predictions of shape {first.shape} and model {number} of {model.shape}; rows and classes must match"
            )
    whole = np.stack(given)
    known = models[0] if isinstance(models[0], Predictions) else None
    labels = columns.label if columns.label is not None else known.labels if known is not None and known.has_labels else None
    weights = columns.weight if columns.weight is not None else known.weights if known is not None else None
    labels, weights = (None if a is None else to_numpy(a) for a in (labels, weights))
    ids = columns.id if columns.id is not None else known.ids if known is not None else None
    groups = columns.by if columns.by is not None else known.groups if known is not None else None
    names = columns.classes if columns.classes is not None else known.class_names if known is not None else None
    ids = None if ids is None else to_numpy(ids)
    groups = {str(name): to_numpy(values) for name, values in (groups or {}).items()}
    if columns.regression:
        for name, values in {"ids": ids, **groups}.items():
            if values is not None and len(values) != whole.shape[1]:
                raise BadInput(f"{name}: got {len(values):,} entries, expected {whole.shape[1]:,}, one for each row")
        return Predictions.from_scores(whole, None, weights).described(ids=ids, groups=groups)
    return Predictions(whole, labels, weights, ids=ids, groups=groups, class_names=names)


def _one_model(model: Any, columns: Columns) -> np.ndarray:
    """Probabilities ``N K``, predicted labels ``N`` or numbers ``N`` of one model."""
    if isinstance(model, Predictions):
        if model.replicas != 1:
            raise BadInput(f"got Predictions of {model.replicas} replicas, expected one model; probs[[m]] picks one")
        return np.asarray(to_numpy(model.scores if model.has_scores else model.probs if model.has_probs else model.votes)[0])
    array = to_numpy(model)
    if array.ndim not in (1, 2):
        raise BadInput(f"got predictions of shape {array.shape}, expected (rows, classes) or (rows,) for one model")
    if columns.regression:
        return array
    if columns.logits:
        array = np.stack([np.zeros(len(array)), array], axis=1) if array.ndim == 1 else array.astype(np.float64)
        powers = np.exp(array - array.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if array.ndim == 1 and array.dtype.kind == "f":
        if not ((array >= 0) & (array <= 1)).all():
            raise BadInput(
                "got one number for each row, not all in [0, 1]; pass logits=True for logits, regression=True for numbers that are "
                "no probabilities, or integers for predicted labels"
            )
        return np.stack([1.0 - array, array], axis=1)
    return array
