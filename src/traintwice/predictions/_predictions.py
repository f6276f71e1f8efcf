"""The container that every measure reads: M replicas, N examples, K classes; and repeated draws of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from traintwice._arrays import to_numpy
from traintwice.errors import BadInput
from traintwice.predictions._checks import (
    PROBS_OR_LABELS,
    check_class_names,
    check_examples,
    check_probabilities,
    check_scores,
    check_votes,
    namespace_of,
)
from traintwice.predictions._classes import Classes
from traintwice.predictions._derived import Derived, Examples, Kind, smallest
from traintwice.predictions._layout import Summary
from traintwice.types import Array

BLOCK_ELEMENTS = 1 << 17
"""Elements of 8 bytes in a block: fixed, so that sums are formed in the same order on every machine, and few enough for the cache."""


class Predictions(Derived):
    """What M replicas predict for N examples, with the labels and weights of the examples where they are known.

    Args:
        probs: probabilities, shape ``M N K``, each row summing to one; or predicted labels, integers of shape ``M N``.
        labels: true labels, integers 0 … K−1, shape ``N``; None where they are not known.
        weights: weight of each example, shape ``N``, not negative; None: all examples weigh the same.
        ids: what identifies each example, length ``N``.
        groups: for each group column the value of each example, length ``N``.
        clusters: number of the cluster of each example, integers from 0, length ``N``; None: examples are independent.
        class_names: names of the K classes.

    Attributes:
        has_probs, has_scores, has_labels: probabilities, numbers of `from_scores`, or the true label of every example are known.
        has_top: the probabilities of the predicted and of the true label are known.
        replicas, examples, classes: M, N and K; None for predicted labels.
        known: what is known of the examples.

    Raises:
        BadInput: wrong shape or type, NaN or infinity, negative entries, rows that do not sum to one, labels out of range.

    Example:
        >>> p = Predictions(np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]]]), labels=np.array([0, 1]))
        >>> p.replicas, p.examples, p.votes.tolist()
        (2, 2, [[0, 1], [0, 0]])
    """

    def __init__(
        self,
        probs: Array,
        labels: Array | None = None,
        weights: Array | None = None,
        *,
        ids: Array | None = None,
        groups: Mapping[str, Array] | None = None,
        clusters: Array | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        xp = namespace_of(probs, "predictions", PROBS_OR_LABELS)
        if probs.ndim == 3:
            check_probabilities(xp, probs)
        else:
            check_votes(xp, probs)
            probs = smallest(xp, probs, int(xp.max(probs)))
        classes = int(probs.shape[2]) if probs.ndim == 3 else None
        check_class_names(class_names, classes)
        known = check_examples(xp, probs, classes, labels, weights, ids=ids, clusters=clusters, groups=groups)
        self._set(probs, known, "votes" if classes is None else "probs", class_names)

    @classmethod
    def trusted(
        cls,
        values: Array,
        labels: Array | None = None,
        weights: Array | None = None,
        *,
        scores: bool = False,
        class_names: Sequence[str] | None = None,
        **known: Any,
    ) -> Predictions:
        """The same without checks, for rows that were checked before; scores: values are as in `from_scores`."""
        kind: Kind = "scores" if scores else "probs" if values.ndim == 3 else "votes"
        return cls._made(values, Examples(labels, weights, **known), kind, class_names)

    @classmethod
    def from_scores(
        cls,
        scores: Array,
        labels: Array | None = None,
        weights: Array | None = None,
        *,
        targets: Array | None = None,
        **described: Any,
    ) -> Predictions:
        """Predictions that are numbers and not probabilities: a regression, a ranking score, logits.

        Args:
            scores: finite floating point numbers, shape ``M N`` or ``M N K``.
            labels, weights: see `Predictions`; for ``M N`` scores labels are 0 and 1.
            targets: true values of a regression, numbers, shape ``N``; nan where an example has none.
            described: ids, groups and clusters, see `Predictions`.
        Returns:
            `Predictions` with ``scores`` only: measures that read probabilities or predicted labels refuse them.
        Raises:
            BadInput: wrong shape or type, NaN or infinity.
        Example:
            >>> Predictions.from_scores(np.array([[1.5, -2.0], [1.0, -2.5]]), targets=np.array([1.0, np.nan]))
            Predictions(2 replicas x 2 examples, scores, targets)
        """
        xp = namespace_of(scores, "scores", "(replicas, examples)")
        check_scores(xp, scores)
        known = check_examples(xp, scores, int(scores.shape[2]) if scores.ndim == 3 else 2, labels, weights, targets, **described)
        return cls._made(scores, known, "scores")

    @classmethod
    def from_top(
        cls, votes: Array, top: Array, of_label: Array, labels: Array, *, class_names: Sequence[str] | None = None
    ) -> Predictions:
        """Predicted labels with their probability and that of the true label; the probabilities of other classes are not known.

        Args:
            votes: predicted labels, integers, shape ``M N``.
            top: probability of the predicted label, shape ``M N``.
            of_label: probability of the true label, shape ``M N``.
            labels: true labels, integers, shape ``N``.
            class_names: names of the classes.
        Returns:
            `Predictions` for the measures of predicted labels, log loss, calibration error and the true-label difference.
        Raises:
            BadInput: wrong shape, or probabilities outside [0, 1].
        Example:
            >>> Predictions.from_top(np.array([[1, 0]]), np.array([[0.6, 0.9]]), np.array([[0.6, 0.1]]), np.array([1, 2]))
            Predictions(1 replicas x 2 examples, predicted labels and their probability, labels)
        """
        votes, probs = to_numpy(votes), {"top": to_numpy(top), "of_label": to_numpy(of_label)}
        check_votes(np, votes)
        for name, given in probs.items():
            if given.shape != votes.shape or given.dtype.kind != "f" or not ((given >= 0) & (given <= 1)).all():
                raise BadInput(f"{name}: got {given.dtype} of shape {given.shape}, expected probabilities of shape {votes.shape}")
        values = np.stack([votes.astype(np.float64), *probs.values()], axis=2)
        return cls._made(values, check_examples(np, votes, None, labels), "top", class_names)

    @classmethod
    def from_outcomes(
        cls,
        scores: Array,
        answers: Array | None = None,
        weights: Array | None = None,
        *,
        class_names: Sequence[str] | None = None,
        **described: Any,
    ) -> Predictions:
        """Outcomes: whether each answer is right, or its score, with or without the answers themselves.

        Args:
            scores: numbers in [0, 1], shape ``M N``; nan where an answer has none. All 0 and 1: answers are right or wrong.
            answers: numbers of the answers, integers from 0, shape ``M N``: equal numbers are the same answer. None: answers with equal
                scores count as the same.
            class_names: texts of the answers.
            weights, described: weights, ids, groups and clusters, see `Predictions`.
        Raises:
            BadInput: wrong shape, or scores outside [0, 1].
        Example:
            >>> p = Predictions.from_outcomes(np.array([[1.0, 0.0], [1.0, 1.0]]))
            >>> p.correct.tolist(), p.votes.tolist()
            ([[True, False], [True, True]], [[1, 0], [1, 1]])
        """
        given = to_numpy(scores)
        if given.dtype.kind not in "fiub":
            raise BadInput(f"outcomes: got {type(scores).__name__}, expected an array of scores in [0, 1]")
        scores = given.astype(np.float64)
        known = scores[~np.isnan(scores)]
        if scores.ndim != 2 or min(scores.shape) < 1 or (known < 0).any() or (known > 1).any():
            raise BadInput(f"outcomes: got shape {scores.shape}, expected scores in [0, 1] of shape (replicas, examples)")
        binary = bool(np.isin(known, (0, 1)).all())
        if answers is None and binary:
            answers, class_names = np.where(np.isnan(scores), 2, scores), ("wrong", "right", "no score")
        elif answers is None:
            answers = np.unique(scores, return_inverse=True, equal_nan=True)[1].reshape(scores.shape)
        answers = np.asarray(to_numpy(answers))
        if answers.shape != scores.shape:
            raise BadInput(f"answers: got shape {answers.shape}, expected {scores.shape}, that of the scores")
        examples = check_examples(np, scores, None, None, weights, **described)
        values = np.stack([answers.astype(np.float64), scores], axis=2)
        return cls._made(values, examples, "outcomes" if binary else "graded", class_names)

    @classmethod
    def of(cls, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None) -> Predictions:
        """``predictions`` itself where it is one already; then labels and weights must not be given again."""
        if isinstance(predictions, Predictions):
            if labels is not None or weights is not None:
                raise BadInput("labels and weights belong to the Predictions given; do not pass them again")
            return predictions
        return cls(predictions, labels, weights)

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """Blocks of the same replicas one after the other, as NumPy arrays; what a part lacks, the whole lacks."""
        values = np.concatenate([to_numpy(p._values) for p in parts], axis=1)
        return cls._made(values, Examples.joined([p.known for p in parts]), parts[0]._kind, parts[0].class_names)

    def by_label(self) -> Iterator[Predictions]:
        """The examples with a label, then those without one; all in one part where all are alike."""
        labelled = self.labelled
        if labelled.all() or not (self.known.some_labelled or self.has_outcomes):
            yield self
        elif not labelled.any():
            yield self.without_labels()
        else:
            yield self.where(labelled)
            yield self.where(~labelled).without_labels()

    def blocks(self, of_probs: bool = True) -> Iterator[tuple[int, int, Predictions]]:
        """(start, stop, part) over the examples, in blocks of fixed size: M·K probabilities an example, or M labels of a byte."""
        whole = self if of_probs else self.without_probs()
        elements = BLOCK_ELEMENTS // (self.classes or 1) if of_probs else BLOCK_ELEMENTS * 8
        rows = max(1, elements // self.replicas)
        for start in range(0, self.examples, rows):
            stop = min(start + rows, self.examples)
            yield start, stop, whole if rows >= self.examples else whole.slice(start, stop)


@dataclass(frozen=True)
class DrawBlock:
    """Some items that each model answered one or more times.

    Attributes:
        counts: for each model how often it drew each class, integers ``N K``.
        labels: the true class of each item, −1 where it has none.
        ids, weights, clusters, groups, shown: of each item, as in `Predictions`.
        right: for each model the mean score of its draws, ``N``; None where a draw is right if its class is the label.
        flips: next to ``right``, the chance that a draw of the new model scores lower than one of the old model, the chance that it
            scores higher, and the chance that one draw of a model scores lower than another (mean of both models), each ``N``.
        graded: the scores are not only 0 and 1.
    """

    counts: list[np.ndarray]
    labels: np.ndarray
    ids: np.ndarray
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    shown: Mapping[str, np.ndarray] = field(default_factory=dict)
    right: list[np.ndarray] | None = None
    flips: list[np.ndarray] | None = None
    graded: bool = False

    def where(self, chosen: np.ndarray) -> DrawBlock:
        """The items chosen by a mask."""
        weights, clusters = (None if array is None else array[chosen] for array in (self.weights, self.clusters))
        groups, shown = ({name: values[chosen] for name, values in c.items()} for c in (self.groups, self.shown))
        right, flips = (None if arrays is None else [a[chosen] for a in arrays] for arrays in (self.right, self.flips))
        return DrawBlock(
            [c[chosen] for c in self.counts], self.labels[chosen], self.ids[chosen], weights, clusters, groups, shown,
            right, flips, self.graded,
        )  # fmt: skip


def refuse_draws(has_draws: bool) -> None:
    """Raise `BadInput` where rows are repeated draws."""
    if has_draws:
        raise BadInput(
            "items were drawn several times (--draws): they are compared by their draws, not row by row, which `traintwice diff` does for "
            "two models. Else keep one draw of each item, or write the draws of each number to a file of their own"
        )


def summary_of(
    p: Predictions, names: Sequence[str], *, named: Classes | None = None, time: str | None = None, cluster: str | None = None
) -> Summary:
    """What was read of models that are arrays."""
    layout = "numbers" if p.has_scores else f"{p.classes} classes" if p.has_probs else "predicted labels"
    labelled = p.labelled if p.targets is None else ~np.isnan(p.targets)
    return Summary(
        files=tuple(names),
        rows=p.examples,
        labelled=int(labelled.sum()),
        order="by position",
        layouts=(layout,) * p.replicas,
        label=None if p.known.labels is None and p.targets is None else "labels",
        weight=None if p.weights is None else "weights",
        classes=p.classes,
        class_names=p.class_names,
        dropped=(0,) * p.replicas,
        positive=None if named is None else named.positive,
        class_rule=None if named is None else named.rule,
        cluster=cluster,
        clusters=None if p.clusters is None else int(p.clusters.max()) + 1,
        time=time,
    )


def places_of_ids(found: np.ndarray, wanted: np.ndarray, *, what: str, more: bool = False) -> np.ndarray:
    """Where each wanted id is among those found, which are in a table and may be more. Numbers and text are different ids.

    >>> places_of_ids(np.array([3, 1, 2]), np.array([1, 2]), what="the table", more=True)
    array([1, 2])
    """
    if found.dtype.kind != wanted.dtype.kind and "i" not in found.dtype.kind + wanted.dtype.kind:
        found, wanted = found.astype(str), wanted.astype(str)
    place = {value: n for n, value in enumerate(found.tolist())}
    missing = [value for value in wanted.tolist() if value not in place]
    if missing or len(place) != len(found) or (not more and len(place) != len(wanted)):
        strange = sorted(set(place) - set(wanted.tolist()), key=str)
        first = missing[0] if missing else strange[0] if strange else found[0]
        raise BadInput(
            f"{what} has {len(found):,} rows, and {len(missing):,} of the {len(wanted):,} ids are missing (first that differs: "
            f"{first!r}); expected each id once"
        )
    return np.array([place[value] for value in wanted.tolist()], dtype=np.int64)
