"""Short lists of changed rows, the instability of a row under the old recipe, and a file of all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from traintwice._database import literal
from traintwice._files import check_name
from traintwice._typed import typed
from traintwice.compare._expressions import Expression, RowValues, changed, distance
from traintwice.compare._parts import ChangedRow
from traintwice.errors import BadInput
from traintwice.metrics._churn import same_vote
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import AlignedPredictions, Predictions, Rows, open_predictions
from traintwice.predictions._derived import top_two
from traintwice.predictions._source import WIDE
from traintwice.types import Array


@typed
def instability(predictions: Predictions | Array) -> np.ndarray:
    r"""Instability of each row: how little the old recipe's models, taken together, prefer their first class to their second.

        s_n = 1 − (largest − second largest of P̄_n),   P̄ the mean over the models, of votes where only labels are known

    Args:
        predictions: probabilities ``M N K`` (one old model suffices), predicted labels ``M N`` (M >= 2), or `Predictions`. Not the
            new model's: the score shows where to look before the new model is there.
    Returns:
        Numbers in [0, 1], shape ``N``. 0.05 reads: the first class leads by 95 pp; 1 is a tie. It orders rows; it is not the
        probability of a flip.
    Raises:
        BadInput: the predicted labels of one model alone, or numbers, which have no classes.
    Source:
        Ours, after CH Lemma 2: a row flips only where the probabilities move by more than the margin.
    Example:
        >>> instability(np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.7, 0.3], [0.4, 0.6]]])).round(2).tolist()
        [0.4, 1.0]
    """
    p = Predictions.of(predictions)
    reason = no_instability(p.has_probs, p.has_scores, p.replicas)
    if reason is not None:
        raise BadInput(f"instability: {reason}")
    if p.has_probs:
        first, second = top_two(to_numpy(p.mean).T)
        return np.asarray(1.0 - (first - second))
    votes = to_numpy(p.votes)
    same = to_numpy(same_vote(np, votes)).astype(np.int64)
    first = same.argmax(axis=0)
    most = np.take_along_axis(same, first[None], axis=0)[0]
    others = votes != np.take_along_axis(votes, first[None], axis=0)
    return np.asarray(1.0 - (most - np.where(others, same, 0).max(axis=0)) / p.replicas)


def no_instability(has_probs: bool, has_scores: bool, models: int) -> str | None:
    """Why rows have no instability score, or None where they have one."""
    if has_scores:
        return "numbers have no classes to change"
    if not has_probs and models < 2:
        return "the predicted labels of one model do not say how close it was; give probabilities, or retrains of the old recipe"
    return None


@cache
def unstable(models: tuple[int, ...], classes: int | None) -> Expression:
    """The instability of a row, see `traintwice.compare.instability`, of the old recipe's models."""
    if classes is None:
        votes = f"[{', '.join(f'v{m}' for m in models)}]"
        counts = (
            f"list_reverse_sort(list_transform(list_distinct({votes}), lambda c: len(list_filter({votes}, lambda v: v = c))))"
        )
        sql = f"(1 - (({counts})[1] - coalesce(({counts})[2], 0)) / {len(models)})"
    else:
        means = [f"({' + '.join(f'p{m}_{k}' for m in models)}) / {len(models)}" for k in range(classes)]
        ordered = f"list_reverse_sort([{', '.join(means)}])"
        if classes > WIDE:
            summed = " + ".join(f"p{m}[k]::DOUBLE" for m in models)
            ordered = f"list_reverse_sort(list_transform(range(1, {classes + 1}), lambda k: ({summed}) / {len(models)}))"
        sql = f"(1 - abs({means[1]} - {means[0]}))" if classes == 2 else f"(1 - (({ordered})[1] - ({ordered})[2]))"

    def compute(rows: RowValues) -> np.ndarray:
        block = rows.block
        if len(models) == 1:
            return instability(block.models(models[0], models[0] + 1))
        return instability(Predictions.trusted(to_numpy(block.probs if block.has_probs else block.votes)[list(models)]))

    return Expression(sql, compute, is_truth=False)


Ranked = list[tuple[float, ChangedRow]]
"""Rows with their ranks, largest first."""


def largest(kept: Ranked, rank: np.ndarray, row: Callable[[int], ChangedRow], wanted: int) -> Ranked:
    """The so many rows of largest rank above 0 among those kept and new ones, ties to the earlier row; ``row`` makes a new one."""
    least = kept[-1][0] if kept and len(kept) == wanted else 0.0
    better = np.flatnonzero(rank > least)
    best = better[np.argsort(-rank[better], kind="stable")[:wanted]]
    fresh = [(float(rank[n]), row(int(n))) for n in best]
    return sorted([*kept, *fresh], key=lambda item: (-item[0], item[1].position))[:wanted]


class TopRows:
    """The n rows of largest rank, ties to the earlier row; rows of rank 0 or less are skipped, and ``seen`` counts the others."""

    def __init__(
        self, wanted: int, rank: Expression, far: Expression, unstable_by: Expression | None, names: Sequence[str] | None
    ) -> None:
        self._wanted, self._rank, self._far, self._unstable_by, self._names = wanted, rank, far, unstable_by, names
        self._rows: Ranked = []
        self.seen = 0

    def add(self, rows: RowValues) -> None:
        rank = rows(self._rank).astype(np.float64)
        self.seen += int((rank > 0).sum())
        self._rows = largest(self._rows, rank, partial(self._row, rows), self._wanted)

    def result(self) -> tuple[ChangedRow, ...]:
        return tuple(row for _, row in self._rows)

    def _row(self, rows: RowValues, n: int) -> ChangedRow:
        block, label = rows.block, None
        before = after = None
        if block.has_scores:
            old, new = (f"{float(block.scores[m, n]):.6g}" for m in (0, 1))
            if block.targets is not None and not np.isnan(block.targets[n]):
                label = f"{float(block.targets[n]):.6g}"
        else:
            old, new = (name_of(int(block.votes[m, n]), self._names) for m in (0, 1))
            label = name_of(int(block.labels[n]), self._names) if block.has_labels and not block.has_outcomes else None
        if block.has_probs:
            before, after = (float(block.probs[m, n, int(block.votes[0, n])]) for m in (0, 1))
        return ChangedRow(
            id=plain_id(None if block.ids is None else to_numpy(block.ids)[n]),
            position=int(rows.places[n]),
            old=old,
            new=new,
            old_probability=before,
            new_probability=after,
            label=label,
            distance=float(rows(self._far)[n]),
            instability=None if self._unstable_by is None else float(rows(self._unstable_by)[n]),
            shown={name: None if (value := to_numpy(v)[n]) is None else str(value) for name, v in block.known.shown.items()},
        )


def name_of(label: int, names: Sequence[str] | None) -> str:
    return names[label] if names is not None and 0 <= label < len(names) else str(label)


def row_columns(files: AlignedPredictions, olds: Sequence[int]) -> dict[str, str]:
    """The columns of a file of all rows, name to SQL: old, new, changed, distance, and instability where it has a value."""
    if files.is_regression:
        return {"old": "x0", "new": "x1", "distance": "abs(x0 - x1)"}
    names, classes = files.class_names, files.classes if files.has_probs else None
    texts = "" if names is None else f"[{', '.join(literal(name) for name in names)}]"
    found = {key: f"{texts}[v{m} + 1]" if texts else f"v{m}" for m, key in enumerate(("old", "new"))}
    found |= {"changed": changed(0, 1).sql, "distance": distance(0, 1, classes).sql}
    if no_instability(files.has_probs, False, len(olds)) is None:
        found["instability"] = unstable(tuple(olds), classes).sql
    return found


def write_rows(rows: Rows, path: str | Path, olds: Sequence[int]) -> None:
    """Write every row as Parquet, see `row_columns`; rows of arrays without ids are numbered in a column ``row``."""
    if rows.files is not None:
        rows.files.write(path, row_columns(rows.files, olds))
        return
    whole = rows.read()
    ids = {"row": np.arange(whole.examples)} if whole.ids is None else {"id": to_numpy(whole.ids)}
    predicted = to_numpy(whole.scores if whole.has_scores else whole.probs if whole.has_probs else whole.votes)
    names = {} if whole.class_names is None or not whole.has_probs else {"classes": np.array(whole.class_names)}
    if whole.class_names is not None and not whole.has_probs:
        predicted = np.array(whole.class_names)[predicted]
    tables = [{**ids, "predicted": of_model, **names} for of_model in predicted]
    with open_predictions(tables, id=list(ids), probs="predicted", regression=whole.has_scores) as files:
        files.write(path, row_columns(files, olds))


def check_rows_file(path: str | Path) -> Path:
    """A path that rows can be written to; raise `BadInput` for one that does not end as Parquet does."""
    check_name(path)
    if Path(path).suffix.lower() not in (".parquet", ".pq"):
        raise BadInput(f"{path}: rows are written as Parquet; give a name that ends in .parquet")
    return Path(path)


def plain_id(value: object) -> str | int | None:
    """An id as a whole number or text."""
    if value is None or isinstance(value, str | int):
        return value
    return int(value) if isinstance(value, np.integer) else str(value)
