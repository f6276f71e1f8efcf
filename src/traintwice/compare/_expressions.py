"""Numbers and truth values of a row, each defined once and rendered to SQL or computed with NumPy, and the measures of their sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from traintwice import metrics
from traintwice.metrics import Metric
from traintwice.metrics._decisions import in_single_precision, reaches
from traintwice.metrics._definition import Unit, to_numpy
from traintwice.metrics._means import weights_of
from traintwice.predictions import Predictions
from traintwice.predictions._source import WIDE
from traintwice.statistics._inference import Scale

Number = Literal["score", "confidence", "number"]
"""What a model gives for a row: the probability of class 1, the largest minus the second largest probability, or a number."""


class RowValues:
    """Rows of all models, over which each expression is computed once; ``places`` are their places among all rows read."""

    def __init__(self, block: Predictions, places: np.ndarray | None = None) -> None:
        self.block = block
        self.places = np.arange(block.examples) if places is None else places
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, expression: Expression) -> np.ndarray:
        """The expression on every row, shape ``N``."""
        if expression.sql not in self._known:
            self._known[expression.sql] = expression.compute(self)
        return self._known[expression.sql]

    @cached_property
    def pair(self) -> Predictions:
        """The old and the new model alone."""
        return self.block.models(0, 2)

    @cached_property
    def weights(self) -> np.ndarray | None:
        return weights_of(self.block)

    def old_and_new(self, kind: Number) -> np.ndarray:
        """What the old and the new model give for every row, shape ``2 N``."""
        if kind == "confidence":
            return to_numpy(self.pair.confidence)
        of = score if kind == "score" else number
        return np.stack([self(of(0)), self(of(1))])


@dataclass(frozen=True)
class Expression:
    """A number or truth value of a row: as SQL over `AlignedPredictions.relation`, never NULL, and computed over `RowValues`."""

    sql: str
    compute: Callable[[RowValues], np.ndarray] = field(compare=False)
    is_truth: bool = True

    def __and__(self, other: Expression) -> Expression:
        return _combined("({} AND {})", np.logical_and, self, other)

    def __sub__(self, other: Expression) -> Expression:
        return _combined("({} - {})", np.subtract, self, other, is_truth=False)

    def __gt__(self, number: float) -> Expression:
        return _combined(f"({{}} > {float(number)!r})", lambda values: values > number, self)

    def size(self) -> Expression:
        return _combined("abs({})", np.abs, self, is_truth=False)

    def differs(self, other: Expression) -> Expression:
        return _combined("({} <> {})", np.not_equal, self, other)


def _combined(sql: str, compute: Callable[..., np.ndarray], *parts: Expression, is_truth: bool = True) -> Expression:
    """An expression of others, whose SQL takes the places of {}."""
    return Expression(sql.format(*(part.sql for part in parts)), lambda rows: compute(*map(rows, parts)), is_truth)


def changed(a: int, b: int) -> Expression:
    """Whether models a and b predict different classes."""
    return _vote(a).differs(_vote(b))


IS_LABELLED = Expression("(y IS NOT NULL)", lambda rows: np.full(rows.block.examples, rows.block.has_labels))
"""Whether the row has a label."""


def right(m: int) -> Expression:
    """Whether the row has a label and model m predicts it."""
    return Expression(f"coalesce(v{m} = y, false)", lambda rows: _if_labelled(rows, lambda b: b.correct[m]))


def graded_score(m: int) -> Expression:
    """The score of a graded answer of model m; 0 where it has none."""
    return Expression(f"coalesce(s{m}, 0)", lambda rows: _if_labelled(rows, lambda b: b.outcomes[m]), is_truth=False)


def lost(a: int, b: int) -> Expression:
    """Whether model a is right and model b wrong; of graded answers, whether the score of b is lower."""

    def compute(block: Predictions) -> Any:
        return block.outcomes[a] > block.outcomes[b] if block.has_outcomes else block.correct[a] & ~block.correct[b]

    return Expression(f"({right(a).sql} AND NOT {right(b).sql})", lambda rows: _if_labelled(rows, compute))


IS_POSITIVE = Expression("coalesce(y = 1, false)", lambda rows: _if_labelled(rows, lambda b: b.labels == 1))
"""Whether the label is class 1."""


def predicts_positive(m: int) -> Expression:
    return _combined("({} = 1)", lambda votes: votes == 1, _vote(m))


def score(m: int) -> Expression:
    """The probability of class 1."""
    return Expression(f"p{m}_1", lambda rows: to_numpy(rows.block.probs[m, :, 1]), is_truth=False)


def decided(m: int, threshold: float) -> Expression:
    """Whether the probability of class 1 reaches a threshold."""
    return _combined(reaches_in_sql("{0}", threshold), lambda scores: reaches(scores, threshold), score(m))


def reaches_in_sql(score: str, threshold: float) -> str:
    single = in_single_precision(threshold)
    return f"({score} >= {threshold:.16e}{f' OR {score} = {single:.16e}' if single < threshold else ''})"


def number(m: int) -> Expression:
    """The number that a regression predicts."""
    return Expression(f"x{m}", lambda rows: to_numpy(rows.block.scores[m]), is_truth=False)


def grown() -> Expression:
    """By how much the new model of a regression misses the label more than the old one does; 0 without a label."""

    def compute(rows: RowValues) -> np.ndarray:
        if rows.block.targets is None:
            return np.zeros(rows.block.examples)
        errors = np.abs(to_numpy(rows.block.scores)[:2] - rows.block.targets)
        return np.asarray(np.nan_to_num(errors[1] - errors[0]))

    return Expression("coalesce(abs(x1 - y) - abs(x0 - y), 0)", compute, is_truth=False)


@cache
def distance(a: int, b: int, classes: int | None) -> Expression:
    """Distance between the predictions of models a and b: total variation; 0 or 1 for labels only (``classes`` None)."""
    if classes is None:
        return _combined("CAST({} AS DOUBLE)", lambda moved: moved.astype(np.float64), changed(a, b), is_truth=False)
    if classes == 2:
        return (score(a) - score(b)).size()
    sql = " + ".join(f"abs(p{a}_{k} - p{b}_{k})" for k in range(classes))
    if classes > WIDE:
        sql = f"list_sum(list_transform(range(1, {classes + 1}), lambda k: abs(p{a}[k]::DOUBLE - p{b}[k])))"

    def compute(rows: RowValues) -> np.ndarray:
        probs = to_numpy(rows.block.by_class)
        return np.asarray(np.abs(probs[a] - probs[b]).sum(axis=0) / 2)

    return Expression(f"(({sql}) / 2)", compute, is_truth=False)


def _vote(m: int) -> Expression:
    return Expression(f"v{m}", lambda rows: to_numpy(rows.block.votes[m]), is_truth=False)


def _if_labelled(rows: RowValues, of: Callable[[Predictions], Any]) -> np.ndarray:
    return to_numpy(of(rows.block)) if rows.block.has_labels else np.zeros(rows.block.examples, dtype=bool)


ONE = "one"
"""The quantity that is 1 on every row."""

Form = Mapping[str, float]
"""A linear form of the sums of quantities, by name."""


@dataclass(frozen=True, eq=False)
class Ratio:
    """One linear form of sums divided by another, less a second such quotient; names as in `traintwice.metrics.Definition`.

    It is about so many ``models``; ``flips`` of a change are the quantities of rows that became wrong, and right.
    """

    name: str
    title: str
    top: Form
    bottom: Form
    less: tuple[Form, Form] | None = None
    unit: Unit = "fraction"
    scale: Scale = "log"
    share: bool = True
    models: int = 2
    most: float = 1.0
    flips: tuple[str, str] | None = None
    soft: ClassVar[bool] = False

    @property
    def quotients(self) -> tuple[tuple[float, Form, Form], ...]:
        first = (1.0, self.top, self.bottom)
        return (first,) if self.less is None else (first, (-1.0, *self.less))


def base_quantities(*, binary: bool, graded: bool = False) -> dict[str, Expression]:
    """Quantities counted for two models; see the kinds of rows in docs/concepts/definitions.md, "Measures"."""
    found = {
        "changed": changed(0, 1),
        "labelled": IS_LABELLED,
        "changed_labelled": changed(0, 1) & IS_LABELLED,
        "lost": lost(0, 1),
        "won": lost(1, 0),
    }
    found |= {"score_0": graded_score(0), "score_1": graded_score(1)} if graded else {"right_0": right(0), "right_1": right(1)}
    if binary:
        found |= {"positive": IS_POSITIVE, "hit_0": IS_POSITIVE & right(0), "hit_1": IS_POSITIVE & right(1)}
        found |= {"hit_lost": IS_POSITIVE & lost(0, 1), "hit_won": IS_POSITIVE & lost(1, 0)}
        found |= {f"said_{m}": predicts_positive(m) & IS_LABELLED for m in (0, 1)}
    return found


LABELLED: Form = {"labelled": 1.0}


def _of(metric: Metric, top: Form, bottom: Form, models: int = 2) -> Ratio:
    """A metric of the old and the new model, or of one of them, as a quotient of sums."""
    d = metric.definition
    return Ratio(d.name, d.title, top, bottom, unit=d.unit, scale=d.scale, share=d.is_share, most=d.most, models=models)


_RIGHT: Form = {"right_0": 0.5, "right_1": 0.5}
_WRONG: Form = {"labelled": 1.0, "right_0": -0.5, "right_1": -0.5}

BETWEEN: tuple[Ratio, ...] = (
    _of(metrics.churn, {"changed": 1.0}, {ONE: 1.0}),
    _of(metrics.negative_flips, {"lost": 1.0}, LABELLED),
    _of(metrics.positive_flips, {"won": 1.0}, LABELLED),
    _of(metrics.lateral_flips, {"changed_labelled": 1.0, "lost": -1.0, "won": -1.0}, LABELLED),
    _of(metrics.win_loss_ratio, {"won": 1.0}, {"lost": 1.0}),
    _of(metrics.churn_to_error, {"changed_labelled": 1.0}, _WRONG),
    _of(metrics.churn_correct, {"lost": 0.5, "won": 0.5}, _RIGHT),
    _of(metrics.churn_incorrect, {"changed_labelled": 1.0, "lost": -0.5, "won": -0.5}, _WRONG),
)
"""Measures between the old and the new model that follow from the counts."""


def _of_each(metric: Metric, top: str, bottom: str, flips: tuple[str, str] | None = None) -> tuple[Ratio, Ratio, Ratio]:
    """A share of each model (names with {} for the model), and its change from old to new."""
    old, new = (_of(metric, {top.format(m): 1.0}, {bottom.format(m): 1.0}, 1) for m in (0, 1))
    return old, new, replace(new, less=(old.top, old.bottom), scale="plain", share=False, models=2, flips=flips)


ACCURACY = _of_each(metrics.accuracy, "right_{}", "labelled", ("lost", "won"))
MEAN_SCORE = _of_each(metrics.mean_score, "score_{}", "labelled")
RECALL = _of_each(metrics.recall, "hit_{}", "positive", ("hit_lost", "hit_won"))
PRECISION = _of_each(metrics.precision, "hit_{}", "said_{}")
