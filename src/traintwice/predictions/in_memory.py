"""Predictions that are arrays in Python: of several models together, and of one model written as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.arrays import as_columns
from traintwice.predictions.layout import Kind, Layout
from traintwice.predictions.predictions import Predictions, to_numpy
from traintwice.predictions.reading import Classes, Reading, agreed_classes, reading_of
from traintwice.predictions.session import Session, check_target, identifier, period_of
from traintwice.predictions.sources import Source
from traintwice.types import Array

__all__ = ["from_arrays", "write_predictions"]


def from_arrays(models: Sequence[Any], **reading: Unpack[Reading]) -> Predictions:
    """The rows of several models that are arrays, one array or `Predictions` each.

    Raises:
        BadInput: their shapes differ, or see `Predictions`.
    """
    return stacked(models, reading_of(reading))[0]


def stacked(models: Sequence[Any], reading: Reading) -> tuple[Predictions, Classes]:
    """The rows of several models, as `from_arrays` gives them, and their classes."""
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
    groups = named_arrays(reading["by"], "by")
    if reading["time"] is not None:
        groups["time"] = _periods(_column(reading["time"], "time"))
    clusters: Any = _cluster_codes(named_arrays(reading["cluster"], "cluster"), whole.shape[1])
    names: Any = reading["classes"] or None
    if known is not None:
        own = {"id": known.ids, "label": known.labels if known.has_labels else known.targets, "weight": known.weights}
        columns = {name: _column(own[name], name) if value is None else value for name, value in columns.items()}
        groups = groups or {name: to_numpy(values) for name, values in known.groups.items()}
        clusters = clusters if clusters is not None or known.clusters is None else to_numpy(known.clusters)
        names = names or known.class_names
    ids, labels, weights = columns.values()
    described: dict[str, Any] = {"ids": ids, "groups": groups, "clusters": clusters}
    if reading["regression"] or (known is not None and known.has_scores):
        return Predictions.from_scores(whole, None, weights, targets=labels, **described), Classes()
    named, flipped, swapped = _classes_of(models[0], whole, names, reading)
    if swapped:
        whole = whole[:, :, ::-1]
    if flipped:
        labels = None if labels is None else np.where(labels < 2, 1 - labels.astype(np.int64), labels)
        whole = np.where(whole < 2, 1 - whole.astype(np.int64), whole) if whole.ndim == 2 else whole
    return Predictions(whole, labels, weights, class_names=named.names, **described), named


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


def named_arrays(value: Any, name: str) -> dict[str, np.ndarray]:
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
        session.connection.register("times", {"t": times.astype("datetime64[us]") if times.dtype.kind == "M" else times})
        cell = f"CAST(t AS {'TIMESTAMP' if times.dtype.kind == 'M' else 'DOUBLE'})"
        period = period_of(session, "times", cell, "integer" if whole else "time" if times.dtype.kind == "M" else "number")
        (found,) = session.arrays(f"SELECT {period.sql.format(t=cell)} AS period FROM times", doing="reading the times").values()
    finally:
        session.close()
    return np.array(found.tolist(), dtype=object)


def tables_of_draws(models: Sequence[Any], reading: Reading) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """Tables, and how to read them, in the place of arrays of which several rows belong to one item."""
    if isinstance(reading["id"], tuple):
        raise BadInput("draws: pass id too, an array with the item of each row")
    own = {name: reading[name] for name in ("id", "label", "weight", "draws", "time")}
    options: dict[str, Any] = {name: f"{name} of rows" for name, value in own.items() if value is not None}
    columns = {options[name]: to_numpy(value) for name, value in own.items() if value is not None}
    for option in ("by", "cluster"):
        arrays = named_arrays(reading[option], option)
        options[option] = list(arrays)
        columns |= arrays
    options |= {"classes": reading["classes"], "positive": reading["positive"], "memory": reading["memory"]}
    tables = []
    for model in models:
        array = _one_model(model, reading)
        is_score = not isinstance(model, Predictions) and model.ndim < array.ndim
        tables.append({**columns, "predicted": array[:, 1] if is_score else array})
    return tables, {**options, "probs": "predicted"}


def write_predictions(
    path: str | Path,
    probs: Array,
    *,
    ids: Array | None = None,
    labels: Array | None = None,
    weights: Array | None = None,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Write one replica's predictions as Parquet, in the order of the ids, so that later comparisons are fast.

    Args:
        path: where to; ends in ``.parquet``. A file that is there is replaced only once the new one is complete.
        probs: probabilities ``N K`` (columns p_0 … or, with names, p_<name>), or predicted labels ``N`` (column pred).
        ids: what identifies each row, integers or text, shape ``N`` (column id). Without them the file can only be compared
            by position.
        labels: true labels, integers ``N`` (column y).
        weights: weights ``N`` (column w).
        class_names: names of the K classes.
    Returns:
        The path.
    Raises:
        BadInput: the arrays are not predictions, an id is repeated, or the file cannot be written (a full disk, a read-only
            folder, a limit on file size); then nothing is left behind.
    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_predictions(f"{folder}/a.parquet", np.array([[0.9, 0.1], [0.3, 0.7]]), ids=np.array([8, 5]))
        ...     with open_predictions(path) as one:
        ...         print(one.read().ids, one.read().votes)
        [5 8] [[1 0]]
    """
    path, predicted = check_target(path), np.asarray(probs)
    if predicted.ndim not in (1, 2):
        raise BadInput(f"{path}: got predictions of shape {predicted.shape}, expected (examples, classes) or (examples,)")
    Predictions(predicted[None], labels, weights, ids=ids, class_names=class_names)  # the checks
    names = None if class_names is None else np.asarray([str(name) for name in class_names])
    alike = names is not None and len({name.casefold() for name in names}) < len(names)
    numbers = names is not None and any(name.isdigit() for name in names) and names.tolist() != list(map(str, range(len(names))))
    if names is not None and (alike or numbers):
        told = f"{path}: class_names: got {', '.join(names)}"
        raise BadInput(f"{told}; each needs a name that is not a number and differs from the others in more than case")
    given: dict[str, Any] = {} if ids is None else {"id": ids}
    if predicted.ndim == 1:
        given["pred"] = predicted if names is None else names[predicted]
    else:
        given |= {"p": predicted} if names is None else {f"p_{c}": predicted[:, k] for k, c in enumerate(names)}
    if labels is not None:
        given["y"] = np.asarray(labels) if names is None else names[np.asarray(labels)]
    if weights is not None:
        given["w"] = weights
    columns = as_columns(given, str(path))
    texts = columns.texts  # as text: DuckDB takes NumPy's for an enumeration, whose order is its own
    select = ", ".join(f"CAST({q} AS VARCHAR) AS {q}" if n in texts else q for n in columns.names for q in [identifier(n)])
    session = Session()
    try:
        with session.explained(f"{path}: reading the arrays"):
            session.connection.register("columns_to_write", columns.block(0, columns.length))
        if ids is not None:
            repeated = "SELECT 1 FROM columns_to_write GROUP BY id HAVING count(*) > 1"
            sql = f"SELECT (SELECT count(*) FROM ({repeated})), count(*) FILTER (id IS NULL) FROM columns_to_write"
            ((twice, missing),) = session.rows(sql, doing=f"{path}: reading the ids")
            if twice or missing:
                told = f"{twice:,} ids are on more than one row" if twice else f"{missing:,} rows have no id"
                raise BadInput(f"{path}: {told}; an id must name one example")
        session.write(path, f"SELECT {select} FROM columns_to_write{' ORDER BY id' if ids is not None else ''}")
    finally:
        session.close()
    return path
