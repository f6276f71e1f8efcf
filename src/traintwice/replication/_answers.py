"""What a training returns, as checked predictions: arrays, tables, files, or a mapping of splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from traintwice._arrays import are_whole, as_classes, plain_objects, refuse_ones, to_numpy
from traintwice._database import Session
from traintwice._formatting import listed
from traintwice._study_files import NAME, NAME_IN_WORDS, content_digest
from traintwice.errors import BadInput
from traintwice.predictions import Predictions, Reading, from_arrays, is_array, open_predictions, write_predictions
from traintwice.predictions._layout import IDS
from traintwice.predictions._opening import open_source
from traintwice.predictions._predictions import places_of_ids

ONE_SPLIT = ""
"""Name of the split where a training returns predictions of one split."""

BY_ID = ("id", "by_position", "draws")
"""Options of reading that are for tables alone."""

SPLITS = {"train", "training", "validation", "valid", "val", "dev", "eval", "calibration", "test", "holdout"}
"""Usual names of splits: arrays of one axis with these names are splits, not the columns of a table."""

EXPECTED = (
    "expected predictions: an array (rows, classes), predicted labels or scores (rows,), a table or the path of a file, or a dict of these "
    "by split"
)


@dataclass(frozen=True)
class KnownRows:
    """Labels and ids of the test rows by split, where they are known before a training, and how tables of predictions are read.

    ``index``: digest of the pandas index of labels or ids, see `_index`.
    """

    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    ids: Mapping[str, np.ndarray] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    index: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def splits(self) -> set[str]:
        """Names of the splits that labels or ids are known of."""
        return ({*self.labels} | {*self.ids}) - {ONE_SPLIT}


@dataclass(frozen=True)
class Answers:
    """Predictions of a replica on a split: probabilities ``N K``, predicted labels ``N`` or numbers ``N``; with ids and labels if known.

    ``index``: digest of the pandas index of rows without ids, see `_index`.
    """

    values: np.ndarray
    ids: np.ndarray | None
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None
    index: str | None = None

    def write(self, path: Path) -> None:
        """Write a Parquet file, rows in the order of the ids. Rows without ids are numbered as they come."""
        ids = np.arange(len(self.values)) if self.ids is None else self.ids
        write_predictions(path, self.values, ids=ids, labels=self.labels, class_names=self.class_names)

    def shape(self) -> dict[str, Any]:
        """What replicas must have in common: rows, classes, digests of ids and labels."""
        order = slice(None) if self.ids is None else np.argsort(self.ids, kind="stable")
        found = {
            "rows": len(self.values),
            "classes": self.values.shape[1] if self.values.ndim == 2 else None,
            "class names": None if self.class_names is None else list(self.class_names),
            "ids": _digest(self.ids, order),
            "index": self.index,
            "labels": _digest(self.labels, order),
        }
        if self.values.ndim == 1 and self.class_names is not None:  # the names are those that the replica predicts
            named = None if self.labels is None else np.asarray(self.class_names)[self.labels]
            found["names of labels"] = _digest(named, order)
        return found


def known_rows(labels: Any, ids: Any, reading: Reading) -> KnownRows:
    """What a user says of the test rows: arrays, or mappings from split to array."""
    found: dict[str, dict[str, np.ndarray]] = {"labels": {}, "ids": {}}
    index: dict[str, str | None] = {}
    for name, given in (("ids", ids), ("labels", labels)):
        by_split = given if isinstance(given, Mapping) else {} if given is None else {ONE_SPLIT: given}
        for split, values in by_split.items():
            array = to_numpy(values)
            if array.ndim != 1:
                raise BadInput(f"{name}: got shape {array.shape}, expected one entry for each test row")
            array = found[name][split] = _known(plain_objects(array, name, name), name, numbers=bool(reading.get("regression")))
            index[split] = _index(values) or index.get(split)
            if name == "ids" and len(np.unique(array)) < len(array):
                raise BadInput(
                    f"ids: {len(array) - len(np.unique(array)):,} of {len(array):,} repeat another; each row needs its own"
                )
    for split, array in found["ids"].items():
        if split in found["labels"] and len(found["labels"][split]) != len(array):
            raise BadInput(
                f"got {len(found['labels'][split]):,} labels and {len(array):,} ids; expected one of each for each row"
            )
    return KnownRows(found["labels"], found["ids"], reading, index)


def _known(array: np.ndarray, name: str, *, numbers: bool) -> np.ndarray:
    """Labels or ids without missing entries; labels that are truth values or whole floating point numbers become class numbers."""
    missing = np.isnan(array) if array.dtype.kind == "f" else _nothing(array) if array.dtype.kind == "O" else None
    if missing is not None and missing.any() and not (numbers and name == "labels"):
        told = f"{name}: {int(missing.sum()):,} of {len(array):,} are missing (first: row {int(missing.argmax()):,})"
        raise BadInput(f"{told}; {'label all rows or none' if name == 'labels' else 'each row needs its own'}")
    if name == "ids" and array.dtype.kind not in "iuUOT":
        raise BadInput(f"ids: got {array.dtype}, which does not identify rows exactly; expected whole numbers or texts")
    if name == "ids" or numbers or array.dtype.kind not in "bf":
        return array
    classes = as_classes(array)
    if classes.dtype.kind == "f":
        raise BadInput(
            f"labels: got numbers such as {array[~are_whole(array)][0]}, expected classes; pass regression=True for numbers"
        )
    return classes


def _nothing(array: np.ndarray) -> np.ndarray:
    """Which entries of an array of Python objects are None."""
    return np.array([entry is None for entry in array.flat], dtype=bool).reshape(array.shape)


def _index(given: Any) -> str | None:
    """A digest of the index of a pandas object; None for other objects and for rows that are numbered from 0."""
    entries = given.index.tolist() if hasattr(given, "iloc") else []
    if entries == list(range(len(entries))):
        return None
    return _digest(np.array(list(map(str, entries))), slice(None))


def answers_of(returned: Any, test: KnownRows) -> dict[str, Answers]:
    """Checked predictions by split of what a training returned, see `traintwice.replicate`."""
    if not _is_splits(returned, test):
        return {ONE_SPLIT: _one(returned, ONE_SPLIT, test)}
    if test.splits and {*returned} != test.splits:
        raise BadInput(
            f"the splits are {', '.join(map(str, returned))}, expected {', '.join(sorted(test.splits))}, as in labels and ids"
        )
    for split in returned:
        if not isinstance(split, str) or not NAME.fullmatch(split):
            raise BadInput(f"splits: got the name {split!r}, expected {NAME_IN_WORDS}")
    return {split: _one(part, split, test) for split, part in returned.items()}


def _is_splits(returned: Any, test: KnownRows) -> bool:
    """Whether a result is a mapping of splits; a mapping of columns has arrays of one axis and one length alone."""
    if not isinstance(returned, Mapping) or not returned:
        return False
    if test.splits or {*returned} <= SPLITS:
        return True
    parts = list(returned.values())
    columns = [part for part in parts if (hasattr(part, "ndim") and part.ndim == 1) or isinstance(part, list)]
    if len(columns) == len(parts) and len({len(part) for part in columns}) > 1:
        return True
    return all(isinstance(part, Mapping | Path | Predictions) or not hasattr(part, "ndim") or part.ndim > 1 for part in parts)


def _one(returned: Any, split: str, test: KnownRows) -> Answers:
    labels, ids = test.labels.get(split), test.ids.get(split)
    index, known = _index(returned), test.index.get(split)
    if index and known and index != known:
        raise BadInput(
            "the pandas index of the predictions differs from that of the labels or ids: the rows come in another order. Bring them into "
            "the same order with .loc"
        )
    if isinstance(returned, str):
        returned = Path(returned)
    if isinstance(returned, list | tuple):
        returned = _of_list(returned)
    if isinstance(returned, Predictions):
        return _checked(returned, labels, ids)
    if isinstance(returned, Path) or hasattr(returned, "columns") or isinstance(returned, Mapping):
        found = _from_table(returned, labels, ids, test.reading)
    elif is_array(returned) or hasattr(returned, "__array__"):
        found = _from_array(to_numpy(returned), labels, ids, test.reading)
    else:
        raise BadInput(f"the training returned {'None' if returned is None else f'a {type(returned).__name__}'}, {EXPECTED}")
    return found if found.ids is not None else replace(found, index=index)


def _of_list(rows: Sequence[Any]) -> np.ndarray:
    """A list of rows as an array."""
    parts = [to_numpy(row) if hasattr(row, "__array__") else row for row in rows]
    try:
        return np.asarray(parts)
    except ValueError:
        shapes = list(dict.fromkeys(str(np.shape(part)) for part in parts if hasattr(part, "shape")))
        of = f" of shapes {', '.join(shapes[:3])}" if shapes else ""
        raise BadInput(
            f"the training returned a {type(rows).__name__} of {len(rows):,} parts{of}, which are not rows of one array; join mini-batches "
            "with numpy.concatenate, and return the predictions alone"
        ) from None


def _from_array(array: np.ndarray, labels: np.ndarray | None, ids: np.ndarray | None, reading: Reading) -> Answers:
    for name, known in (("label", labels), ("id", ids)):
        if known is not None and array.ndim and len(known) != len(array):
            raise BadInput(f"{len(array):,} rows of predictions, expected {len(known):,}, one for each {name}")
    options: dict[str, Any] = {name: value for name, value in reading.items() if name not in BY_ID}
    array = plain_objects(array, "predictions", "the training")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
        if array.dtype.kind == "f" and not options.get("logits") and not options.get("regression"):
            refuse_ones(array, "the training")
    if array.dtype.kind == "O" and (missing := _nothing(array)).any():
        first = int(np.argwhere(missing)[0][0])
        raise BadInput(f"{int(missing.sum()):,} of {array.size:,} predictions are missing (first: row {first:,})")
    names = options.get("classes")
    if names is None and (_is_text(labels) or _is_text(array)):
        names = _names(array, labels)
        if array.ndim == 1 and all(map(str.isdecimal, names)):
            array, labels, names = _as_numbers(array), _as_numbers(labels), None
        else:
            options["classes"] = names
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    finite = np.isfinite(array) if array.dtype.kind == "f" else None
    if finite is not None and options.get("logits") and array.ndim == 2:  # a class that cannot be has the logit -inf
        finite = finite | (np.isneginf(array) & finite.any(axis=1, keepdims=True))
    if finite is not None and not finite.all():
        first = int(np.argwhere(~finite)[0][0])
        raise BadInput(f"{int((~finite).sum()):,} of {array.size:,} predictions are NaN or infinite (first: row {first:,})")
    if names is not None:
        array, labels = _coded(array, names, "predicted labels"), _coded(labels, names, "labels")
    predictions = from_arrays([array], **cast(Reading, {**options, "label": labels, "id": ids}))
    return _checked(predictions, None, None)


def _from_table(table: Any, labels: np.ndarray | None, ids: np.ndarray | None, reading: Reading) -> Answers:
    by_position = {"by_position": True} if "id" not in reading and _has_no_id(table) else {}
    with open_predictions([table], **cast(Reading, {**reading, **by_position})) as one:
        predictions = one.read()
    return _checked(predictions, labels, ids)


def _has_no_id(table: Any) -> bool:
    """Whether a table or file has no column with a usual name of an id."""
    session = Session()
    try:
        return not any(column.lower() in IDS for column in open_source(session, table, 0).columns)
    finally:
        session.close()


def _checked(p: Predictions, labels: np.ndarray | None, ids: np.ndarray | None) -> Answers:
    """Predictions in the order of the known ids, with the known labels."""
    values = to_numpy((p.scores if p.has_scores else p.probs if p.has_probs else p.votes)[0])
    own_ids = None if p.ids is None else to_numpy(p.ids)
    known = p.targets if p.has_scores else p.known.labels
    own_labels = None if known is None else to_numpy(known)
    if ids is not None:
        if own_ids is not None:
            order = places_of_ids(own_ids, ids, what="the table")
            values, own_labels = values[order], None if own_labels is None else own_labels[order]
        elif len(values) != len(ids):
            raise BadInput(f"{len(values):,} rows of predictions, expected {len(ids):,}, one for each id")
        own_ids = ids
    if labels is not None:
        if ids is None and own_ids is not None:
            raise BadInput("the table has ids and labels were given by position; pass ids, so that each label finds its row")
        if len(values) != len(labels):
            raise BadInput(f"{len(values):,} rows of predictions, expected {len(labels):,}, one for each label")
        coded = _coded(labels, p.class_names, "labels")
        if own_labels is not None and not np.array_equal(own_labels, coded):
            raise BadInput(
                "the labels of the table differ from the labels given: its rows come in another order. Add a column of ids"
            )
        own_labels = coded
    if own_labels is not None and not p.has_scores and int(own_labels.min()) < 0:
        raise BadInput(f"{int((own_labels < 0).sum()):,} of {len(own_labels):,} rows have no label; label all rows or none")
    return Answers(values, own_ids, own_labels, p.class_names)


def _as_numbers(values: Any) -> Any:
    """Whole numbers in the place of texts of whole numbers; other values are unchanged."""
    return np.array(values.tolist(), dtype=np.int64) if _is_text(values) else values


def _names(array: np.ndarray, labels: np.ndarray | None) -> list[str]:
    """Names of the classes, of labels or predicted labels that are texts; an order that decides what a column is, is asked for."""
    texts = [np.array(values.tolist(), dtype=str) for values in (labels, array) if values is not None and _is_text(values)]
    names = [str(name) for name in np.unique(np.concatenate(texts))]
    is_truth = array.dtype.kind == "b" and set(names) <= {"False", "True"}
    if labels is not None and len(texts) == 1 and array.ndim == 1 and array.dtype.kind != "f" and not is_truth:
        raise BadInput(
            f"{'the predicted labels' if _is_text(array) else 'the labels'} are texts such as {names[0]!r}, and the "
            f"{'labels' if _is_text(array) else 'predicted labels'} are of {(labels if _is_text(array) else array).dtype}; pass the names "
            'of the classes in the order of the numbers: classes=["…", "…"]'
        )
    if array.ndim == 2 and all(map(str.isdecimal, names)) and names != [str(k) for k in range(array.shape[1])]:
        raise BadInput(
            f"the labels are texts of numbers such as {names[-1]!r}; pass them as integers, the number of the column of each class, "
            "counted from 0"
        )
    if array.dtype.kind == "f" and array.ndim and not all(map(str.isdecimal, names)):
        what = f"the predictions {array.shape[1]} columns without names" if array.ndim == 2 else "the predictions one score"
        raise BadInput(
            f"the labels are the texts {listed(names)}, and {what}; pass the names of the classes in the order of the columns (of a "
            'score: the class of 0, then the class of 1): classes=["…", "…"]'
        )
    return names


def _is_text(array: np.ndarray | None) -> bool:
    return array is not None and array.dtype.kind in "UOT" and array.ndim == 1


def _coded(values: Any, names: Any, what: str) -> Any:
    """Class numbers for names of classes; other values are unchanged."""
    if values is None or names is None or not _is_text(values):
        return values
    number = {str(name): k for k, name in enumerate(names)}
    strange = sorted({str(value) for value in values.tolist()} - set(number))
    if strange:
        raise BadInput(f"{what}: {', '.join(map(repr, strange[:3]))} is not among the classes {', '.join(map(str, names))}")
    return np.array([number[str(value)] for value in values.tolist()], dtype=np.int64)


def _digest(array: np.ndarray | None, order: Any) -> str | None:
    """A digest of values, the same for every integer or text type."""
    if array is None:
        return None
    ordered = array[order]
    kind = ordered.dtype.kind
    plain = ordered.astype(np.int64) if kind in "iu" else ordered.astype(np.float64) if kind == "f" else None
    content = plain.tobytes() if plain is not None else "\0".join(map(str, ordered.tolist())).encode()
    return content_digest(content)
