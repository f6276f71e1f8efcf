"""A file with one row per example: whether its label changed, how far it moved, how unstable it was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.compare.instability import no_instability
from traintwice.errors import BadInput
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import AlignedPredictions, Rows, items_of, open_predictions, open_rows
from traintwice.predictions.session import literal


def write_rows(path: str | Path, old: Any, new: Any, *, floor: Any = (), **columns: Any) -> Path:
    r"""Write the instability of every row, with what became of it, as Parquet.

        instability = 1 − (largest − second largest of the mean of the old recipe's models), see `instability`

    Args:
        path: where to; ends in ``.parquet``.
        old, new: files, tables or arrays of predictions; rows of arrays without ids are numbered in a column ``row``.
        floor: retrains of the old recipe, which sharpen the score.
        columns: which columns are what; see `diff`.
    Returns:
        The path. Columns: the ids, ``old`` and ``new`` (predicted classes), ``changed``, ``distance`` (total variation; for predicted
        labels 0 or 1) and ``instability`` where it has a value. For a regression the numbers themselves and the distance between
        them. Computed by DuckDB: memory does not grow with rows.
    Raises:
        BadInput: see `open_predictions`; the file cannot be written.
    Source:
        Ours.
    Example:
        >>> import tempfile, duckdb
        >>> old, new = {"id": np.array([7, 8]), "p": np.array([0.9, 0.45])}, {"id": np.array([7, 8]), "p": np.array([0.8, 0.55])}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_rows(f"{folder}/rows.parquet", old, new)
        ...     duckdb.sql(f"SELECT id, changed, round(instability, 2) FROM '{path}'").fetchall()
        [(7, False, 0.2), (8, True, 0.9)]
    """
    retrains = [] if isinstance(floor, list | tuple) and not floor else items_of(floor)
    models = [*items_of(old), *items_of(new), *retrains]
    if len(models) != 2 + len(retrains):
        raise BadInput("old and new: expected one file or table each")
    with open_rows(models, **columns) as rows, _as_files(rows) as files:
        return files.write(path, _columns(rows, [0, *range(2, len(models))]))


@contextmanager
def _as_files(rows: Rows) -> Iterator[AlignedPredictions]:
    """The aligned files; arrays go through tables."""
    if rows.files is not None:
        yield rows.files
        return
    whole = rows.read()
    ids = {"row": np.arange(whole.examples)} if whole.ids is None else {"id": to_numpy(whole.ids)}
    predicted = to_numpy(whole.scores if whole.has_scores else whole.probs if whole.has_probs else whole.votes)
    names = {} if whole.class_names is None or not whole.has_probs else {"classes": np.array(whole.class_names)}
    if whole.class_names is not None and not whole.has_probs:
        predicted = np.array(whole.class_names)[predicted]
    tables = [{**ids, "predicted": of_model, **names} for of_model in predicted]
    with open_predictions(tables, id=list(ids), probs="predicted", regression=whole.has_scores) as files:
        yield files


def _columns(rows: Rows, olds: Sequence[int]) -> dict[str, str]:
    if rows.regression:
        return {"old": "x0", "new": "x1", "distance": "abs(x0 - x1)"}
    names = rows.class_names
    texts = "" if names is None else f"[{', '.join(literal(name) for name in names)}]"
    found = {key: f"{texts}[v{m} + 1]" if texts else f"v{m}" for m, key in enumerate(("old", "new"))}
    found["changed"] = "v0 <> v1"
    if rows.has_probs:
        classes = range(rows.classes or 0)
        found["distance"] = f"({' + '.join(f'abs(p0_{k} - p1_{k})' for k in classes)}) / 2"
    else:
        found["distance"] = "CAST(v0 <> v1 AS DOUBLE)"
    if no_instability(rows.has_probs, False, len(olds)) is None:
        found["instability"] = instability_in_sql(rows.has_probs, rows.classes, olds)
    return found


def instability_in_sql(has_probs: bool, classes: int | None, olds: Sequence[int]) -> str:
    """`instability` over the columns of `AlignedPredictions.relation`.

    Args:
        has_probs: probabilities, or predicted labels.
        classes: K.
        olds: numbers of the old recipe's models.
    """
    if has_probs:
        means = [f"({' + '.join(f'p{m}_{k}' for m in olds)}) / {len(olds)}" for k in range(classes or 0)]
        if len(means) == 2:
            return f"1 - abs({means[1]} - {means[0]})"
        ordered = f"list_reverse_sort([{', '.join(means)}])"
        return f"1 - (({ordered})[1] - ({ordered})[2])"
    votes = f"[{', '.join(f'v{m}' for m in olds)}]"
    counts = f"list_reverse_sort(list_transform(list_distinct({votes}), lambda c: len(list_filter({votes}, lambda v: v = c))))"
    return f"1 - (({counts})[1] - coalesce(({counts})[2], 0)) / {len(olds)}"
