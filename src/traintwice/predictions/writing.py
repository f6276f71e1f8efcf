"""Write predictions so that later comparisons are fast: Parquet, in the order of the ids, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.arrays import as_columns
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.session import Session, brief
from traintwice.predictions.sql import identifier, literal
from traintwice.types import Array


def write_predictions(
    path: str | Path,
    probs: Array,
    *,
    ids: Array | None = None,
    labels: Array | None = None,
    weights: Array | None = None,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Write one replica's predictions as Parquet, in the order of the ids.

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
        BadInput: the arrays are no predictions, an id stands twice, or the file cannot be written (a full disk, a read-only
            folder, a limit on file size); then nothing is left behind.
    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_predictions(f"{folder}/a.parquet", np.array([[0.9, 0.1], [0.3, 0.7]]), ids=np.array([8, 5]))
        ...     with open_predictions(path) as one:
        ...         print(one.read().ids, one.read().votes)
        [5 8] [[1 0]]
    """
    path = check_target(path)
    columns = _columns(probs, ids, labels, weights, class_names, str(path))
    session = Session()
    try:
        with session.explained(f"{path}: reading the arrays"):
            session.connection.register("columns_to_write", columns)
        if ids is not None:
            _check_ids(session, path)
        order = " ORDER BY id" if ids is not None else ""
        select = ", ".join(_as_text(name, column) for name, column in columns.items())
        write_query(session, path, f"SELECT {select} FROM columns_to_write{order}")
    finally:
        session.close()
    return path


def _columns(
    probs: Array,
    ids: Array | None,
    labels: Array | None,
    weights: Array | None,
    class_names: Sequence[str] | None,
    name: str,
) -> dict[str, np.ndarray]:
    predicted = np.asarray(probs)
    if predicted.ndim not in (1, 2):
        raise BadInput(f"{name}: got predictions of shape {predicted.shape}, expected (examples, classes) or (examples,)")
    Predictions(predicted[None], labels, weights, ids=ids, class_names=class_names)  # the checks
    given: dict[str, Any] = {} if ids is None else {"id": ids}
    if predicted.ndim == 1:
        given["pred"] = predicted if class_names is None else np.asarray(class_names)[predicted]
    elif class_names is None:
        given["p"] = predicted
    else:
        given |= {f"p_{c}": predicted[:, k] for k, c in enumerate(class_names)}
    if labels is not None:
        given["y"] = np.asarray(labels) if class_names is None else np.asarray(class_names)[np.asarray(labels)]
    if weights is not None:
        given["w"] = weights
    columns = as_columns(given, name)
    return columns.block(0, columns.length)


def _as_text(name: str, column: np.ndarray) -> str:
    """A column as it is written: text as text (DuckDB takes NumPy's for an enumeration, whose order is its own)."""
    quoted = identifier(name)
    return f"CAST({quoted} AS VARCHAR) AS {quoted}" if column.dtype.kind in "UO" else quoted


def _check_ids(session: Session, path: Path) -> None:
    repeated = "SELECT 1 FROM columns_to_write GROUP BY id HAVING count(*) > 1"
    sql = f"SELECT (SELECT count(*) FROM ({repeated})), (SELECT count(*) FROM columns_to_write WHERE id IS NULL)"
    ((twice, missing),) = session.rows(sql, doing=f"{path}: reading the ids")
    if twice or missing:
        told = f"{twice:,} ids stand on more than one row" if twice else f"{missing:,} rows have no id"
        raise BadInput(f"{path}: {told}; an id must name one example")


def check_target(path: str | Path) -> Path:
    """A path that Parquet can be written to.

    Raises:
        BadInput: another ending, or there is something that is no regular file.
    """
    path = Path(path)
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise BadInput(f"{path}: predictions are written as Parquet; give a name that ends in .parquet")
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is not a regular file; predictions are written to a temporary name beside it and then renamed")
    return path


def write_query(session: Session, path: Path, select: str) -> None:
    """The rows of a query as Parquet: COPY to a temporary name in the same folder, then rename; on any failure the temporary file goes."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as reason:
        raise BadInput(
            f"{path}: cannot be written here ({reason.strerror}); choose a folder that exists and is writable"
        ) from reason
    try:
        session.connection.execute(f"COPY ({select}) TO {literal(temporary)} (FORMAT parquet, USE_TMP_FILE false)")
        Path(temporary).chmod(0o666 & ~_umask())
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException as reason:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(reason, (session.errors, OSError)):
            raise BadInput(f"{path}: could not be written ({brief(reason)}); nothing was left behind") from reason
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
