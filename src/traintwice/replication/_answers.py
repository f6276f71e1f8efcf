"""What a training returns, as checked predictions: arrays, tables, files, or a mapping of splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from traintwice._study_files import content_digest
from traintwice.errors import BadInput
from traintwice.predictions import Predictions, Reading, from_arrays, is_array, open_predictions, write_predictions
from traintwice.predictions._derived import to_numpy
from traintwice.predictions._in_memory import places_of_ids
from traintwice.predictions._layout import IDS
from traintwice.predictions._opening import open_source
from traintwice.predictions._session import Session

ONE_SPLIT = ""
"""Name of the split where a training returns predictions of one split."""

BY_ID = ("id", "by_position", "draws")
"""Options of reading that are for tables alone."""


@dataclass(frozen=True)
class KnownRows:
    """Labels and ids of the test rows by split, where they are known before a training, and how tables of predictions are read."""

    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    ids: Mapping[str, np.ndarray] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)

    @property
    def splits(self) -> set[str]:
        """Names of the splits that labels or ids are known of."""
        return ({*self.labels} | {*self.ids}) - {ONE_SPLIT}


@dataclass(frozen=True)
class Answers:
    """Predictions of a replica on a split: probabilities ``N K``, predicted labels ``N`` or numbers ``N``; with ids and labels if known."""

    values: np.ndarray
    ids: np.ndarray | None
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None

    def write(self, path: Path) -> None:
        """Write a Parquet file, rows in the order of the ids. Rows without ids are numbered as they come."""
        ids = np.arange(len(self.values)) if self.ids is None else self.ids
        write_predictions(path, self.values, ids=ids, labels=self.labels, class_names=self.class_names)

    def shape(self) -> dict[str, Any]:
        """What replicas must have in common: rows, classes, digests of ids and labels."""
        order = slice(None) if self.ids is None else np.argsort(self.ids, kind="stable")
        return {
            "rows": len(self.values),
            "classes": self.values.shape[1] if self.values.ndim == 2 else None,
            "class names": None if self.class_names is None else list(self.class_names),
            "ids": _digest(self.ids, order),
            "labels": _digest(self.labels, order),
        }


def known_rows(labels: Any, ids: Any, reading: Reading) -> KnownRows:
    """What a user says of the test rows: arrays, or mappings from split to array."""
    found: dict[str, dict[str, np.ndarray]] = {"labels": {}, "ids": {}}
    for name, given in (("labels", labels), ("ids", ids)):
        by_split = given if isinstance(given, Mapping) else {} if given is None else {ONE_SPLIT: given}
        for split, values in by_split.items():
            array = found[name][split] = to_numpy(values)
            if array.ndim != 1:
                raise BadInput(f"{name}: got shape {array.shape}, expected one entry for each test row")
            if name == "ids" and len(np.unique(array)) < len(array):
                raise BadInput(
                    f"ids: {len(array) - len(np.unique(array)):,} of {len(array):,} repeat another; each row needs its own"
                )
    for split, array in found["ids"].items():
        if split in found["labels"] and len(found["labels"][split]) != len(array):
            raise BadInput(
                f"got {len(found['labels'][split]):,} labels and {len(array):,} ids; expected one of each for each row"
            )
    return KnownRows(found["labels"], found["ids"], reading)


def answers_of(returned: Any, test: KnownRows) -> dict[str, Answers]:
    """Checked predictions by split of what a training returned, see `traintwice.replicate`."""
    if returned is None:
        raise BadInput(
            "the training returned None, expected predictions: an array (rows, classes), a table with ids, or a dict of splits"
        )
    if not _is_splits(returned, test):
        return {ONE_SPLIT: _one(returned, ONE_SPLIT, test)}
    if test.splits and {*returned} != test.splits:
        raise BadInput(f"the splits are {', '.join(returned)}, expected {', '.join(sorted(test.splits))}, as in labels and ids")
    return {split: _one(part, split, test) for split, part in returned.items()}


def _is_splits(returned: Any, test: KnownRows) -> bool:
    """Whether a result is a mapping of splits; a mapping of columns has arrays of one axis alone."""
    if not isinstance(returned, Mapping) or not returned:
        return False
    return bool(test.splits) or all(
        isinstance(part, Mapping | Path | Predictions) or not hasattr(part, "ndim") or part.ndim > 1 for part in returned.values()
    )


def _one(returned: Any, split: str, test: KnownRows) -> Answers:
    labels, ids = test.labels.get(split), test.ids.get(split)
    if isinstance(returned, list | tuple):
        returned = np.asarray(returned)
    if isinstance(returned, Path) or not (is_array(returned) or hasattr(returned, "__array__")) or hasattr(returned, "columns"):
        return _from_table(returned, labels, ids, test.reading)
    if isinstance(returned, Predictions):
        return _checked(returned, labels, ids)
    return _from_array(to_numpy(returned), labels, ids, test.reading)


def _from_array(array: np.ndarray, labels: np.ndarray | None, ids: np.ndarray | None, reading: Reading) -> Answers:
    for name, known in (("label", labels), ("id", ids)):
        if known is not None and array.ndim and len(known) != len(array):
            raise BadInput(f"{len(array):,} rows of predictions, expected {len(known):,}, one for each {name}")
    options: dict[str, Any] = {name: value for name, value in reading.items() if name not in BY_ID}
    names = options.get("classes")
    if names is None and (_is_text(labels) or _is_text(array)):
        names = options["classes"] = [str(name) for name in np.unique(array if labels is None else labels)]
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
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
