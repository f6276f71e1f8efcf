"""Predictions that are arrays in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Unpack

import numpy as np

from traintwice._arrays import as_text, plain_objects, refuse_ones, to_numpy
from traintwice._database import Session
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._classes import Classes, agreed_classes, refuse_shifted
from traintwice.predictions._derived import Examples
from traintwice.predictions._inputs import Place, Shards, TableWithArrays
from traintwice.predictions._layout import Kind, Layout, Summary
from traintwice.predictions._predictions import Predictions, summary_of
from traintwice.predictions._reading import Reading, reading_of
from traintwice.predictions._source import Source
from traintwice.predictions._views import period_of

__all__ = ["from_arrays"]


@typed
def from_arrays(models: Sequence[Any], **reading: Unpack[Reading]) -> Predictions:
    """The rows of several models that are arrays, one array or `Predictions` each.

    Raises:
        BadInput: their shapes differ, or see `Predictions`.
    """
    return stacked(models, reading_of(reading))[0]


def stacked(models: Sequence[Any], reading: Reading, names: Sequence[str] = ()) -> tuple[Predictions, Summary]:
    """The rows of several models of these names, as `from_arrays` gives them, and what was read."""
    models = [_flat(model, reading) for model in models]
    given = [_one_model(model, reading) for model in models]
    if not given:
        raise BadInput("predictions: got none, expected at least one model")
    for number, model in enumerate(given[1:], start=2):
        if model.shape != given[0].shape:
            raise BadInput(
                f"model 1 has predictions of shape {given[0].shape} and model {number} of {model.shape}; rows and classes must match"
            )
    whole = np.stack(given)
    rows = whole.shape[1]
    first = models[0] if isinstance(models[0], Predictions) else None
    known = Examples() if first is None else first.known
    options: Mapping[str, Any] = reading
    own = {"id": known.ids, "label": known.labels if known.targets is None else known.targets, "weight": known.weights}
    ids, labels, weights = (_column(options[name], name, values) for name, values in own.items())
    groups, shown = _named_arrays(reading["by"], "by"), _named_arrays(reading["show"], "show")
    if reading["time"] is not None:
        groups["time"] = _periods(_column(reading["time"], "time"))
    groups, shown = (
        found or {name: to_numpy(values) for name, values in of_model.items()}
        for found, of_model in ((groups, known.groups), (shown, known.shown))
    )
    for name, values in shown.items():
        if len(values) != rows:
            raise BadInput(f"{name}: got {len(values):,} entries, expected {rows:,}, one for each row")
    given_clusters = _named_arrays(reading["cluster"], "cluster")
    clusters = cluster_codes(given_clusters, rows)
    clusters = to_numpy(known.clusters) if clusters is None and known.clusters is not None else clusters
    described: dict[str, Any] = {"ids": ids, "groups": groups, "clusters": clusters}
    of_rows = {"positions": np.arange(rows), "shown": shown}
    in_words: dict[str, Any] = {
        "time": None if reading["time"] is None else "time",
        "cluster": " + ".join(given_clusters) or None,
    }
    if reading["regression"] or (first is not None and first.has_scores):
        found = Predictions.from_scores(whole, None, weights, targets=labels, **described).with_known(**of_rows)
        return found, summary_of(found, names, **in_words)
    if whole.ndim == 2 and not reading["regression"] and not reading["classes"] and (first is None or first.class_names is None):
        places = [
            *((f"model {m}", votes) for m, votes in enumerate(whole, start=1)),
            *([] if labels is None else [("labels", labels)]),
        ]
        distinct = [(name, np.unique(values)) for name, values in places if values.dtype.kind in "iu" and len(values)]
        refuse_shifted([(name, int(found[0]), int(found[-1]), len(found)) for name, found in distinct])
    of_classes = reading["classes"] or (None if first is None else first.class_names)
    named, flipped, swapped = _classes_of(models[0], whole, None if of_classes is None else tuple(of_classes), reading)
    if swapped:
        whole = whole[:, :, ::-1]
    if flipped:
        labels = None if labels is None else _flipped(labels)
        whole = _flipped(whole) if whole.ndim == 2 else whole
    partial = {"labels": labels, "some_labelled": True} if known.some_labelled and reading["label"] is None else {}
    found = Predictions(whole, None if partial else labels, weights, class_names=named.names, **described)
    found = found.with_known(**of_rows, **partial)
    return found, summary_of(found, names, named=named, **in_words)


def _flipped(labels: np.ndarray) -> np.ndarray:
    """Class 0 for class 1 and the other way round."""
    return np.where((labels >= 0) & (labels < 2), 1 - labels.astype(np.int64), labels)


def _classes_of(model: Any, whole: np.ndarray, names: tuple[str, ...] | None, reading: Reading) -> tuple[Classes, bool, bool]:
    """The classes of arrays by the rule for files; whether labels, and columns, change their order by it."""
    is_score = whole.ndim == 3 and not isinstance(model, Predictions) and model.ndim == 1
    kind: Kind = "votes" if whole.ndim == 2 else "score" if is_score else "columns"
    count = whole.shape[2] if whole.ndim == 3 else None
    numbers = tuple(str(k) for k in range(count or 2))
    layout = Layout(kind, numbers if kind == "columns" else ("predictions",), classes=count, label="labels")
    source = Source("arrays", "", "", dict.fromkeys(["labels", *layout.columns], "BIGINT"), class_names=names)
    named, ((_, placed),) = agreed_classes(None, [(source, layout)], reading)
    flipped = named.names is not None and named.names == (names or numbers)[::-1] and len(named.names) == 2
    return named, flipped, placed.columns == numbers[::-1] and kind == "columns"


def _column(value: Any, name: str, default: Any = None) -> Any:
    """An array with entries; by default what a model has."""
    if isinstance(value, str | tuple) and value:
        raise BadInput(f"{name}: got the name {value!r}; with arrays give an array with one entry for each row")
    if value is None or isinstance(value, tuple):
        return None if default is None else to_numpy(default)
    return _entries(value, name)


def _named_arrays(value: Any, name: str) -> dict[str, np.ndarray]:
    """Arrays by name; one array is called by the name of its option."""
    if isinstance(value, tuple | list) and all(hasattr(entry, "shape") for entry in value):
        value = {f"{name} {j + 1}": entry for j, entry in enumerate(value)}
    if isinstance(value, Mapping):
        return {str(key): _entries(entry, f"{name} {key}") for key, entry in value.items()}
    if isinstance(value, str | tuple):
        raise BadInput(f"{name}: with arrays give a mapping from names to arrays with one entry for each row")
    return {name: _entries(value, name)}


def _entries(value: Any, name: str) -> np.ndarray:
    found = to_numpy(value)
    if not found.ndim:
        raise BadInput(f"{name}: got {type(value).__name__}, expected an array with one entry for each row")
    return found


def cluster_codes(clusters: Mapping[str, np.ndarray], rows: int) -> np.ndarray | None:
    """Numbers 0 … G−1 of the clusters that one or more arrays name together."""
    codes: np.ndarray | None = None
    for name, values in clusters.items():
        if values.shape != (rows,):
            raise BadInput(f"{name}: got shape {values.shape}, expected ({rows},), the cluster of each row")
        missing = [n for n, v in enumerate(values.tolist()) if v is None or v != v] if values.dtype.kind in "fOM" else []
        if missing:
            told = f"{name}: {len(missing):,} of {rows:,} rows have no cluster (first: row {missing[0]:,})"
            raise BadInput(f"{told}; every row needs one")
        found, own = np.unique(values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True)
        codes = own.astype(np.int64) if codes is None else codes * len(found) + own
    return None if codes is None else np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _flat(model: Any, reading: Reading) -> Any:
    """An array of one column as the array of its entries."""
    if isinstance(model, Predictions) or getattr(model, "ndim", 0) != 2 or model.shape[1] != 1:
        return model
    column = to_numpy(model)[:, 0]
    if column.dtype.kind == "f" and not reading["logits"] and not reading["regression"]:
        refuse_ones(column, "predictions")
    return column


def _one_model(model: Any, reading: Reading) -> np.ndarray:
    """Probabilities ``N K``, predicted labels ``N`` or numbers ``N`` of one model."""
    if isinstance(model, Predictions):
        if model.replicas != 1:
            raise BadInput(f"got Predictions of {model.replicas} replicas, expected one model; probs[[m]] picks one")
        return np.asarray(to_numpy(model.scores if model.has_scores else model.probs if model.has_probs else model.votes)[0])
    array = plain_objects(to_numpy(model), "predictions", "arrays")
    if array.ndim not in (1, 2):
        raise BadInput(f"got predictions of shape {array.shape}, expected (rows, classes) or (rows,) for one model")
    if reading["regression"]:
        if array.ndim != 1:
            raise BadInput(f"got predictions of shape {array.shape}, expected (rows,): a regression has one number for each row")
        return array.astype(np.float64) if array.dtype.kind in "iu" else array
    if reading["logits"]:
        array = np.stack([np.zeros(len(array)), array], axis=1) if array.ndim == 1 else array.astype(np.float64)
        powers = np.exp(array - array.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if array.ndim == 1 and array.dtype.kind == "f":
        if missing := int(np.isnan(array).sum()):
            raise BadInput(f"{missing:,} of {len(array):,} scores are missing or NaN; leave these rows out of all models")
        if not ((array >= 0) & (array <= 1)).all():
            raise BadInput(
                "got one number for each row, not all in [0, 1]; pass logits=True for logits, regression=True for numbers that are "
                "not probabilities, or integers for predicted labels"
            )
        return np.stack([1.0 - array, array], axis=1)
    return array


def _periods(times: Any) -> np.ndarray:
    """The period of each time, as text that sorts as time does."""
    kind = times.dtype.kind
    if kind not in "iufM" or times.ndim != 1 or not len(times):
        raise BadInput(f"time: got dtype {times.dtype} and shape {times.shape}, expected a date or number for each row")
    with closing(Session()) as session:
        session.connection.register("times", {"t": times.astype("datetime64[us]") if kind == "M" else times})
        cell = f"CAST(t AS {'TIMESTAMP' if kind == 'M' else 'DOUBLE'})"
        period = period_of(session, "times", cell, numbers=kind != "M", whole=kind in "iu")
        (found,) = session.arrays(f"SELECT {period.sql.format(t=cell)} AS period FROM times", doing="reading the times").values()
    return np.array(found.tolist(), dtype=object)


def predicted_by(models: Sequence[Any], reading: Reading) -> tuple[list[np.ndarray], Reading]:
    """What fitted estimators predict for the inputs X, and how to read it.

    Classifiers give probabilities where they have ``predict_proba``, otherwise labels; estimators without ``classes_`` are regressors.
    """
    for model in models:
        if not hasattr(model, "predict"):
            raise BadInput(
                f"X: got {type(model).__name__}, expected a fitted estimator with predict; leave out X for predictions"
            )
    own = [np.asarray(getattr(model, "classes_", [])).tolist() for model in models]
    if any(one != own[0] for one in own):
        raise BadInput("X: the estimators have different classes_; models must predict the same classes")
    if not own[0]:
        return [np.asarray(model.predict(reading["X"]), dtype=np.float64) for model in models], {**reading, "regression": True}
    soft = all(hasattr(model, "predict_proba") for model in models)
    found = [np.asarray(model.predict_proba(reading["X"]) if soft else model.predict(reading["X"])) for model in models]
    if own[0] == list(range(len(own[0]))) and not any(isinstance(name, bool) for name in own[0]):
        return found, reading
    found = found if soft else [as_text(one) for one in found]
    label = None if reading["label"] is None else as_text(to_numpy(reading["label"]))
    return found, {**reading, "label": label, "classes": reading["classes"] or tuple(map(str, own[0]))}


def check_index(given: Sequence[Any]) -> None:
    """Raise `BadInput` where two columns or tables of pandas have rows in another order by their index."""
    indexed = [each for each in given if hasattr(each, "iloc")]
    for each in indexed[1:]:
        if not each.index.equals(indexed[0].index):
            told = "two of the pandas objects have different indices, and rows are matched by their position"
            raise BadInput(f"{told}; bring them into the same order with .loc, or call reset_index(drop=True) on both")


def needs_names(models: Sequence[Any], reading: Reading) -> bool:
    """Whether classes are text or truth values, in predictions or labels, so that they are named as in files."""
    given = [model for model in models if not isinstance(model, Predictions)]
    label = reading["label"]
    given += [] if label is None or isinstance(label, str) else [label]
    names = {*(reading["classes"] or ()), *filter(None, [reading["positive"]])}
    if names and all(name.lstrip("-").isdigit() for name in names):  # 1 and 2, say
        numeric = len(given) > len(models) and to_numpy(label).dtype.kind in "iuf"
        found = {f"{number:g}" for number in np.unique(to_numpy(label)).tolist()} if numeric else set()
        if (names | found) - {str(k) for k in range(len(reading["classes"] or ()) or 2)}:
            return True
    partial = len(given) > len(models) and not reading["regression"] and to_numpy(label).dtype.kind == "f"  # NaN: no label
    return partial or any(to_numpy(each).dtype.kind in "UOSb" for each in given)


def as_tables(models: Sequence[Any], reading: Reading) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """Tables, and how to read them, in the place of arrays whose classes have names or of which several rows belong to one item."""
    by_position = isinstance(reading["id"], tuple)
    if by_position and reading["draws"] is not None:
        raise BadInput("draws: pass id too, an array with the item of each row")
    given: Mapping[str, Any] = reading
    columns, options = _named_columns({name: given[name] for name in ROLES})
    options |= {name: given[name] for name in ("classes", "positive", "memory")}
    tables = []
    for model in (_flat(each, reading) for each in models):
        array = _one_model(model, reading)
        is_score = not isinstance(model, Predictions) and model.ndim < array.ndim
        array = array[:, 1] if is_score else array
        tables.append({**columns, "predicted": array})
    return tables, {**options, "probs": "predicted", "by_position": by_position}


def with_arrays(
    models: Sequence[Any], reading: Reading, arrays: Mapping[str, Any]
) -> tuple[list[TableWithArrays], dict[str, Any]]:
    """Tables, and how to read them, with arrays that belong to their rows as columns."""
    for name, value in arrays.items():
        if name not in ROLES or any(isinstance(model, str | Shards | Place) for model in models):
            raise BadInput(f"{name}: got {type(value).__name__}; with files it is the name of a column")
    columns, options = _named_columns(arrays)
    return [TableWithArrays(model, columns) for model in models], {**reading, **options}


ROLES = ("id", "label", "weight", "draws", "time", "by", "show", "cluster")


def _named_columns(given: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns of a table for the arrays that options hold, and the options with the names of these columns."""
    columns: dict[str, np.ndarray] = {}
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("by", "show", "cluster"):
            arrays = _named_arrays(value, name)
            options[name] = list(arrays)
            columns |= arrays
        elif value is not None and not isinstance(value, tuple):
            options[name] = f"{name} of rows"
            column = columns[options[name]] = to_numpy(value)
            if name == "label" and column.ndim != 1:
                raise BadInput(f"labels: got shape {column.shape}, expected one label for each row")
    return columns, options
