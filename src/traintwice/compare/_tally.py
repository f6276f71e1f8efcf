"""Counts of rows by kind, and the measures that follow from these counts, for all rows and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from traintwice.compare._expressions import (
    Expression,
    RowValues,
    changed,
    labelled,
    lost,
    positive,
    predicts_positive,
    right,
)
from traintwice.compare._pattern_counts import PatternCounts
from traintwice.metrics._definition import Scale, Summary, Unit
from traintwice.metrics._means import weights_of
from traintwice.metrics._moments import Moments

ONE = "one"
"""The quantity that is 1 on every row."""

MOST_BITS, MOST_CELLS = 14, 1 << 20
"""So many truth values, and so many cells of groups and truth values, are counted as whole numbers before they become sums."""

TINY = 1e-12
"""A share below this is what rounding leaves of none."""

Form = Mapping[str, float]
"""A linear form of the sums of quantities, by name."""


@dataclass(frozen=True)
class Ratio:
    """A measure that is one linear form of sums divided by another, or the difference of two such quotients.

    Attributes:
        name, title, unit, scale: as in `traintwice.metrics.Definition`.
        top, bottom: the quotient.
        less: a second quotient that is subtracted; None where there is none.
        share: it is a share of rows.
        models: how many models it is about.
        limit: the largest value; None means 1 for a fraction, and none for a number.
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
    limit: float | None = None

    @property
    def most(self) -> float:
        """The largest value that the measure may have."""
        return self.limit if self.limit is not None else 1.0 if self.unit == "fraction" else np.inf

    @property
    def quotients(self) -> tuple[tuple[float, Form, Form], ...]:
        """Each quotient with its sign."""
        return ((1.0, self.top, self.bottom), *(((-1.0, *self.less),) if self.less else ()))


def base_quantities(*, binary: bool, graded: bool = False) -> dict[str, Expression]:
    """Quantities counted for an old model (0) and a new one (1); see the kinds of rows in docs/concepts/definitions.md, "Measures".

    Args:
        binary: also rows of the positive class.
        graded: rows have scores between 0 and 1, and are not right or wrong.
    """
    found = {
        "changed": changed(0, 1),
        "labelled": labelled(),
        "changed_labelled": changed(0, 1) & labelled(),
        "lost": lost(0, 1),
        "won": lost(1, 0),
    }
    if not graded:
        found |= {"right_0": right(0), "right_1": right(1)}
    if binary:
        found |= {"positive": positive(), "hit_0": positive() & right(0), "hit_1": positive() & right(1)}
        found |= {"hit_lost": positive() & lost(0, 1), "hit_won": positive() & lost(1, 0)}
        found |= {f"said_{m}": predicts_positive(m) & labelled() for m in (0, 1)}
    return found


_LOST, _WON, _EITHER = {"lost": 1.0}, {"won": 1.0}, {"lost": 1.0, "won": 1.0}
_LABELLED = {"labelled": 1.0}
_RIGHTS, _ERRORS = {"right_0": 1.0, "right_1": 1.0}, {"labelled": 2.0, "right_0": -1.0, "right_1": -1.0}

BETWEEN: tuple[Ratio, ...] = (
    Ratio("churn", "churn", {"changed": 1.0}, {ONE: 1.0}),
    Ratio("negative_flips", "negative flips", _LOST, _LABELLED),
    Ratio("positive_flips", "positive flips", _WON, _LABELLED),
    Ratio("lateral_flips", "lateral flips", {"changed_labelled": 1.0, "lost": -1.0, "won": -1.0}, _LABELLED),
    Ratio("win_loss_ratio", "wins / losses", _WON, _LOST, unit="number", share=False),
    Ratio(
        "churn_to_error",
        "churn / error",
        {"changed_labelled": 2.0},
        _ERRORS,
        unit="number",
        scale="logit",
        share=False,
        limit=2.0,
    ),
    Ratio("churn_correct", "churn correct", _EITHER, _RIGHTS),
    Ratio(
        "churn_incorrect",
        "churn incorrect",
        {"changed_labelled": 2.0, "lost": -1.0, "won": -1.0},
        _ERRORS,
        scale="logit",
    ),
)
"""Measures between the old and the new model that follow from the counts; titles as in `traintwice.metrics`."""


def _of_each(name: str, title: str, top: str, bottom: str) -> tuple[Ratio, Ratio, Ratio]:
    """A share of each model (names with {} for the model), and its change from old to new."""

    def quotient(m: int) -> tuple[Form, Form]:
        return {top.format(m): 1.0}, {bottom.format(m): 1.0}

    old, new = (Ratio(name, title, *quotient(m), scale="logit", models=1) for m in (0, 1))
    change = Ratio(name, title, *quotient(1), quotient(0), scale="plain", share=False)
    return old, new, change


ACCURACY = _of_each("accuracy", "accuracy", "right_{}", "labelled")
RECALL = _of_each("recall", "recall", "hit_{}", "positive")
PRECISION = _of_each("precision", "precision", "hit_{}", "said_{}")


class Tally:
    """Sums of named quantities over rows, in all rows or by group, from rows or from counted rows.

    Args:
        quantities: by name; `ONE` is always there. None: the values come with `put`.
        clustered: units are clusters of rows.
    """

    def __init__(self, quantities: Mapping[str, Expression | None], *, clustered: bool = False) -> None:
        self.quantities = {name: q for name, q in quantities.items() if q is not None}
        self.clustered = clustered
        self.moments = Moments(len(quantities), clustered=clustered, centred=False)
        self._place = {name: i for i, name in enumerate([ONE, *quantities])}
        self._bits = (
            bool(self.quantities) and all(q.is_truth for q in self.quantities.values()) and len(self.quantities) <= MOST_BITS
        )
        self._cells = np.zeros(0, dtype=np.int64)
        self._patterns = PatternCounts(len(self.quantities))

    def add(self, rows: RowValues, *, groups: np.ndarray | None = None, counts: np.ndarray | None = None) -> None:
        """Add rows: the number of each row's group, and the number of rows that each row represents.

        Either all rows have weights, or none has.
        """
        values = [rows(q) for q in self.quantities.values()]
        weights = weights_of(rows.block)
        clusters = rows.block.clusters if self.clustered else None
        if self._bits and weights is None and counts is None:
            if self.clustered:
                self._patterns.add(_codes(values), groups, clusters)
                return
            if self._count(values, groups):
                return
        self.put(values, weights, counts=counts, groups=groups, clusters=clusters)

    def put(
        self,
        values: Sequence[np.ndarray],
        weights: np.ndarray | None,
        *,
        counts: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        clusters: np.ndarray | None = None,
    ) -> None:
        """Add rows by their quantities, in the order of the names; see `Moments.add`."""
        self.moments.add(
            np.stack([v.astype(np.float64) for v in values]), weights, counts=counts, groups=groups, clusters=clusters
        )

    def has(self, ratio: Ratio) -> bool:
        """Whether the quantities of a measure are summed."""
        return all(name in self._place for _, *forms in ratio.quotients for form in forms for name in form)

    def total(self, form: Form | str) -> np.ndarray:
        """The sum of a linear form of quantities, by group."""
        self._settle()
        return self.moments.linear(self.vector({form: 1.0} if isinstance(form, str) else form))

    @property
    def rows(self) -> np.ndarray:
        """Number of rows, by group."""
        self._settle()
        return self.moments.rows

    @property
    def weighted(self) -> bool:
        """Whether rows have weights that differ from 1."""
        self._settle()
        return bool((self.moments.squares != self.moments.rows).any())

    def value(self, ratio: Ratio) -> np.ndarray:
        """The measure, by group; nan where its denominator is zero."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sum(sign * self.total(top) / _nonzero(self.total(bottom)) for sign, top, bottom in ratio.quotients))

    def variance(self, ratio: Ratio) -> np.ndarray:
        """The example part of its variance, by group."""
        gradient = np.zeros((self.moments.quantities + 1, len(self.rows)))
        with np.errstate(invalid="ignore", divide="ignore"):
            for sign, top, bottom in ratio.quotients:
                below = _nonzero(self.total(bottom))
                quotient = self.total(top) / below
                gradient += sign * (self.vector(top)[:, None] - quotient * self.vector(bottom)[:, None]) / below
        return self.moments.variance(np.nan_to_num(gradient))

    def variance_of(self, form: np.ndarray) -> np.ndarray:
        """The example part of the variance of a linear form of the sums, by group; see `Moments.variance`."""
        self._settle()
        return self.moments.variance(form)

    def summaries(self, ratio: Ratio) -> list[Summary]:
        """Summaries of a measure, by group."""
        values, variances, units = self.value(ratio), self.variance(ratio), self.moments.units
        if ratio.share:
            none = np.abs(values) < TINY
            values, variances = np.where(none, 0.0, values), np.where(none & ~np.isnan(variances), 0.0, variances)
        pooled = 2.0 if ratio.bottom in (_RIGHTS, _ERRORS) else 1.0
        share = np.minimum(self.total(ratio.bottom) / np.maximum(self.total(ONE), 1e-300) / pooled, 1.0)
        effective = self.total(ONE) ** 2 / np.maximum(self.moments.squares, 1e-300)
        # A measure of labelled rows is one of those rows alone: they are its examples, and its denominator is all of them.
        of_labelled = ratio.bottom == _LABELLED
        rows = self.rows * share if of_labelled else self.rows
        return [
            Summary(
                float(values[g]),
                np.full(ratio.models, values[g]),
                None,
                float(variances[g]),
                round(rows[g]),
                units=int(units[g]) if self.clustered else round(rows[g]),
                effective=float(effective[g] * (share[g] if of_labelled else 1.0)),
                clustered=self.clustered,
                base=1.0 if of_labelled else float(share[g]),
                scale=ratio.scale,
                share=ratio.share,
                most=ratio.most,
            )
            for g in range(len(values))
        ]

    def vector(self, form: Form) -> np.ndarray:
        """The coefficients of a linear form, in the order of the sums."""
        found = np.zeros(len(self._place))
        for name, coefficient in form.items():
            found[self._place[name]] = coefficient
        return found

    def _count(self, values: Sequence[np.ndarray], groups: np.ndarray | None) -> bool:
        """Count the rows of each combination of truth values in each group; False where there are too many of them."""
        bits = len(values)
        size = (1 if groups is None else int(groups.max(initial=0)) + 1) << bits
        if size > MOST_CELLS:
            return False
        code = _codes(values).astype(np.int64)
        if groups is not None:
            code |= groups.astype(np.int64) << bits
        counted = np.bincount(code, minlength=max(size, len(self._cells)))
        counted[: len(self._cells)] += self._cells
        self._cells = counted
        return True

    def _settle(self) -> None:
        """Bring the sums up to date with the cells and patterns counted."""
        if self._patterns.changed:
            self.moments = Moments(self.moments.quantities, clustered=True, centred=False)
            for group, rows, units, linear, second in self._patterns.sums():
                self.moments.add_sums(group, rows, units, linear, second, rows)
        filled = np.flatnonzero(self._cells)
        if not len(filled):
            return
        bits = len(self.quantities)
        values = (filled[None, :] >> np.arange(bits)[:, None]) & 1
        self.moments.add(values.astype(np.float64), counts=self._cells[filled].astype(np.float64), groups=filled >> bits)
        self._cells = np.zeros(0, dtype=np.int64)


@dataclass
class Axis:
    """The groups of one column: their values, numbered in the order in which they were seen."""

    numbers: dict[object, int] = field(default_factory=dict)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The number of each row's group, new values numbered on the way."""
        numbers = self.numbers
        if values.dtype.kind in "iub":
            unique, inverse = np.unique(values, return_inverse=True)
            return np.array([numbers.setdefault(v, len(numbers)) for v in unique.tolist()], dtype=np.int64)[inverse]
        texts = values.tolist()
        for value in dict.fromkeys(texts):
            numbers.setdefault(value, len(numbers))
        return np.fromiter(map(numbers.__getitem__, texts), np.int64, len(texts))


def _codes(values: Sequence[np.ndarray]) -> np.ndarray:
    """The pattern of the truth values of each row: bit i is value i."""
    code = np.zeros(len(values[0]), dtype=np.int32)
    for i, value in enumerate(values):
        code |= value.astype(np.int32) << i
    return code


def _nonzero(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)
