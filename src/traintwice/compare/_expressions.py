"""Numbers and truth values of a row, each defined once and rendered to SQL or computed with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.predictions._columns import WIDE


class RowValues:
    """RowValues of all models, over which each expression is computed once."""

    def __init__(self, block: Predictions) -> None:
        self.block = block
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, expression: Expression) -> np.ndarray:
        """The expression on every row, shape ``N``."""
        if expression.sql not in self._known:
            self._known[expression.sql] = expression.compute(self)
        return self._known[expression.sql]


@dataclass(frozen=True)
class Expression:
    """A number or truth value of a row.

    Attributes:
        sql: over the columns of `AlignedPredictions.relation`; never NULL.
        compute: the same over `RowValues`.
        is_truth: whether it is a truth value.
    """

    sql: str
    compute: Callable[[RowValues], np.ndarray] = field(compare=False)
    is_truth: bool = True

    def __and__(self, other: Expression) -> Expression:
        return Expression(f"({self.sql} AND {other.sql})", lambda rows: rows(self) & rows(other))

    def __invert__(self) -> Expression:
        return Expression(f"(NOT {self.sql})", lambda rows: ~rows(self))

    def __sub__(self, other: Expression) -> Expression:
        return Expression(f"({self.sql} - {other.sql})", lambda rows: rows(self) - rows(other), is_truth=False)

    def __gt__(self, number: float) -> Expression:
        return Expression(f"({self.sql} > {float(number)!r})", lambda rows: rows(self) > number)

    def size(self) -> Expression:
        """Its absolute value."""
        return Expression(f"abs({self.sql})", lambda rows: np.abs(rows(self)), is_truth=False)

    def differs(self, other: Expression) -> Expression:
        """Whether two expressions have different values."""
        return Expression(f"({self.sql} <> {other.sql})", lambda rows: rows(self) != rows(other))


def changed(a: int, b: int) -> Expression:
    """Whether models a and b predict different classes."""
    return _vote(a).differs(_vote(b))


def labelled() -> Expression:
    """Whether the row has a label."""
    return Expression("(y IS NOT NULL)", lambda rows: np.full(rows.block.examples, rows.block.has_labels))


def right(m: int) -> Expression:
    """Whether the row has a label and model m predicts it."""
    return Expression(f"coalesce(v{m} = y, false)", lambda rows: _if_labelled(rows, lambda b: b.correct[m]))


def lost(a: int, b: int) -> Expression:
    """Whether model a is right and model b wrong; of graded answers, whether the score of b is lower."""

    def compute(block: Predictions) -> Any:
        return block.outcomes[a] > block.outcomes[b] if block.has_outcomes else block.correct[a] & ~block.correct[b]

    return Expression((right(a) & ~right(b)).sql, lambda rows: _if_labelled(rows, compute))


def positive() -> Expression:
    """Whether the label is class 1."""
    return Expression("coalesce(y = 1, false)", lambda rows: _if_labelled(rows, lambda b: b.labels == 1))


def predicts_positive(m: int) -> Expression:
    """Whether model m predicts class 1."""
    return Expression(f"(v{m} = 1)", lambda rows: rows(_vote(m)) == 1)


def score(m: int) -> Expression:
    """The probability of class 1."""
    return Expression(f"p{m}_1", lambda rows: to_numpy(rows.block.probs[m, :, 1]), is_truth=False)


def decided(m: int, threshold: float) -> Expression:
    """Whether the probability of class 1 is at least a threshold."""
    return Expression(f"(p{m}_1 >= {float(threshold)!r})", lambda rows: rows(score(m)) >= threshold)


def number(m: int) -> Expression:
    """The number that a regression predicts."""
    return Expression(f"x{m}", lambda rows: to_numpy(rows.block.scores[m]), is_truth=False)


@cache
def distance(a: int, b: int, classes: int | None) -> Expression:
    """Distance between the predictions of models a and b: total variation; 0 or 1 for labels only (``classes`` None)."""
    if classes is None:
        one = changed(a, b)
        return Expression(f"CAST({one.sql} AS DOUBLE)", lambda rows: rows(one).astype(np.float64), is_truth=False)
    if classes == 2:
        return (score(a) - score(b)).size()
    sql = " + ".join(f"abs(p{a}_{k} - p{b}_{k})" for k in range(classes))
    if classes > WIDE:
        sql = f"list_sum(list_transform(range(1, {classes + 1}), lambda k: abs(p{a}[k]::DOUBLE - p{b}[k])))"

    def compute(rows: RowValues) -> np.ndarray:
        probs = to_numpy(rows.block.by_class)
        return np.asarray(np.abs(probs[a] - probs[b]).sum(axis=0) / 2)

    return Expression(f"(({sql}) / 2)", compute, is_truth=False)


@cache
def unstable(models: tuple[int, ...], classes: int | None) -> Expression:
    """The instability of a row, see `traintwice.compare.instability`, of the old recipe's models."""
    from traintwice.compare._changed_rows import instability

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


def _vote(m: int) -> Expression:
    return Expression(f"v{m}", lambda rows: to_numpy(rows.block.votes[m]), is_truth=False)


def _if_labelled(rows: RowValues, of: Callable[[Predictions], Any]) -> np.ndarray:
    return to_numpy(of(rows.block)) if rows.block.has_labels else np.zeros(rows.block.examples, dtype=bool)
