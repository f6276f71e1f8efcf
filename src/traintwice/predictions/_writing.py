"""Writes the predictions of one model as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._array_files import as_columns
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._session import Session, check_target
from traintwice.types import Array

__all__ = ["write_answers", "write_predictions"]


@typed
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
        path: where to; ends in ``.parquet``. An existing file is replaced when the new file is complete.
        probs: probabilities ``N K`` (columns p_0 … or, with names, p_<name>), or predicted labels ``N``, or floating point numbers
            ``N`` of a regression (column pred; read the file with ``regression=True``).
        ids: what identifies each row, integers or text, shape ``N`` (column id). Without them the file can only be compared
            by position.
        labels: true labels, integers ``N`` (column y); of a regression the true values, numbers ``N``, nan where one is not known.
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
    if predicted.ndim == 1 and predicted.dtype.kind == "f":  # the checks
        Predictions.from_scores(predicted[None], None, weights, targets=labels, ids=ids)
    else:
        Predictions(predicted[None], labels, weights, ids=ids, class_names=class_names)
    names = None
    if class_names is not None:
        names = np.asarray([str(name) for name in class_names])
        alike = len({name.casefold() for name in names}) < len(names)
        if alike or (any(name.isdigit() for name in names) and names.tolist() != list(map(str, range(len(names))))):
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
    with _as_query(path, given) as (session, select):
        if ids is not None:
            repeated = "SELECT 1 FROM given GROUP BY id HAVING count(*) > 1"
            sql = f"SELECT (SELECT count(*) FROM ({repeated})), count(*) FILTER (id IS NULL) FROM given"
            ((twice, missing),) = session.rows(sql, doing=f"{path}: reading the ids")
            if twice or missing:
                told = f"{twice:,} ids are on more than one row" if twice else f"{missing:,} rows have no id"
                raise BadInput(f"{path}: {told}; an id must name one example")
        session.write(path, f"{select}{' ORDER BY id' if ids is not None else ''}")
    return path


@contextmanager
def _as_query(path: Path, arrays: Mapping[str, Any]) -> Iterator[tuple[Session, str]]:
    """A session in which arrays are the table ``given``, and a query of their columns."""
    columns, session = as_columns(arrays, str(path)), Session()
    try:
        with session.explained(f"{path}: reading the arrays"):
            session.connection.register("given", columns.block(0, columns.length))
        yield session, f"SELECT {columns.select()} FROM given"
    finally:
        session.close()


def write_answers(
    path: str | Path,
    answers: np.ndarray,
    *,
    ids: Array | None,
    class_names: Sequence[str] | None,
    taken: np.ndarray | None = None,
) -> Path:
    """Write the answer of each row as Parquet: columns id and pred, which is empty where a row has no answer.

    Args:
        path: where to; ends in ``.parquet``.
        answers: numbers of classes ``N``; negative where a row has no answer.
        ids: of the rows; None writes none.
        class_names: names to write in the place of numbers.
        taken: written as column taken; None writes none.
    """
    path, none, pred = check_target(path), "-1", answers.astype(np.int64)
    if class_names is not None:
        none, pred = "''", np.where(answers < 0, "", np.asarray([str(name) for name in class_names])[answers])
    further = {name: array for name, array in (("id", ids), ("taken", taken)) if array is not None}
    with _as_query(path, {"pred": pred, **further}) as (session, select):
        session.write(path, f"SELECT * REPLACE (nullif(pred, {none}) AS pred) FROM ({select})")
    return path
