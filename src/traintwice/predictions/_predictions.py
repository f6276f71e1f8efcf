"""The container that every measure reads: M replicas, N examples, K classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import array_api_compat
import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions._checks import Examples, check_examples, check_probabilities, check_scores, check_votes, to_numpy
from traintwice.predictions._derived import Derived, Kind, smallest
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
        if not array_api_compat.is_array_api_obj(probs):
            raise BadInput(
                f"predictions: got {type(probs).__name__}, expected an array of shape (replicas, examples, classes) "
                "with probabilities or (replicas, examples) with predicted labels"
            )
        xp = array_api_compat.array_namespace(probs)
        if probs.ndim == 3:
            check_probabilities(xp, probs)
        else:
            check_votes(xp, probs)
            probs = smallest(xp, probs, int(xp.max(probs)))
        classes = int(probs.shape[2]) if probs.ndim == 3 else None
        if class_names is not None and not isinstance(class_names, list | tuple):
            raise BadInput(f"class_names: got {type(class_names).__name__}, expected a list of names")
        if class_names is not None and classes is not None and len(class_names) != classes:
            raise BadInput(f"class_names: got {len(class_names)}, expected {classes}, one for each class")
        if groups is not None and not isinstance(groups, Mapping):
            raise BadInput(f"groups: got {type(groups).__name__}, expected a mapping from names to arrays")
        known = check_examples(xp, probs, classes, labels, weights, ids=ids, clusters=clusters, groups=dict(groups or {}))
        self._set(probs, known, "votes" if classes is None else "probs", class_names)

    def _set(self, values: Array, known: Examples, kind: Kind, class_names: Sequence[str] | None) -> Predictions:
        self.xp = array_api_compat.array_namespace(values)
        self._values, self.known, self._kind = values, known, kind
        self._part_of = None
        self.replicas, self.examples = int(values.shape[0]), int(values.shape[1])
        self.classes: int | None = (
            int(values.shape[2]) if values.ndim == 3 and kind not in ("outcomes", "graded", "top") else None
        )
        self.class_names = None if class_names is None else tuple(class_names)
        self.has_probs, self.has_scores = kind == "probs", kind == "scores"
        self.has_outcomes, self.has_top = kind in ("outcomes", "graded"), kind in ("probs", "top")
        self.has_labels = bool(self.labelled.all()) if self.has_outcomes else known.labels is not None and not known.some_labelled
        self.weights, self.targets, self.ids = known.weights, known.targets, known.ids
        self.clusters, self.groups = known.clusters, known.groups
        return self

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
        return cls.__new__(cls)._set(values, Examples(labels, weights, **known), kind, class_names)

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
            labels: true classes, integers, shape ``N``; for ``M N`` scores 0 and 1.
            weights: weight of each example, shape ``N``.
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
        if not array_api_compat.is_array_api_obj(scores):
            raise BadInput(f"scores: got {type(scores).__name__}, expected an array of shape (replicas, examples)")
        xp = array_api_compat.array_namespace(scores)
        check_scores(xp, scores)
        known = check_examples(xp, scores, int(scores.shape[2]) if scores.ndim == 3 else 2, labels, weights, targets, **described)
        return cls.__new__(cls)._set(scores, known, "scores", None)

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
        return cls.__new__(cls)._set(values, check_examples(np, votes, None, labels), "top", class_names)

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
            weights: weight of each example, shape ``N``.
            class_names: texts of the answers.
            described: ids, groups and clusters, see `Predictions`.
        Raises:
            BadInput: wrong shape, or scores outside [0, 1].
        Example:
            >>> p = Predictions.from_outcomes(np.array([[1.0, 0.0], [1.0, 1.0]]))
            >>> p.correct.tolist(), p.votes.tolist()
            ([[True, False], [True, True]], [[1, 0], [1, 1]])
        """
        if to_numpy(scores).dtype.kind not in "fiub":
            raise BadInput(f"outcomes: got {type(scores).__name__}, expected an array of scores in [0, 1]")
        scores = np.asarray(to_numpy(scores), dtype=np.float64)
        known = scores[~np.isnan(scores)]
        if scores.ndim != 2 or min(scores.shape) < 1 or (known < 0).any() or (known > 1).any():
            raise BadInput(
                f"outcomes: got an array of shape {scores.shape}, expected scores in [0, 1] of shape (replicas, examples)"
            )
        binary = bool(np.isin(known, (0, 1)).all())
        if answers is None and binary:
            answers, class_names = np.where(np.isnan(scores), 2, scores), ("wrong", "right", "no score")
        elif answers is None:
            answers = np.unique(scores, return_inverse=True, equal_nan=True)[1].reshape(scores.shape)
        answers = np.asarray(to_numpy(answers))
        if answers.shape != scores.shape:
            raise BadInput(f"answers: got shape {answers.shape}, expected {scores.shape}, that of the scores")
        values = np.stack([answers.astype(np.float64), scores], axis=2)
        examples = check_examples(np, scores, None, None, weights, **described)
        return cls.__new__(cls)._set(values, examples, "outcomes" if binary else "graded", class_names)

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
        known = Examples.joined([p.known for p in parts])
        return cls.__new__(cls)._set(values, known, parts[0]._kind, parts[0].class_names)

    def _with(self, values: Array, known: Examples, kind: Kind | None = None) -> Predictions:
        return Predictions.__new__(Predictions)._set(values, known, kind or self._kind, self.class_names)

    def slice(self, start: int, stop: int) -> Predictions:
        """Examples start … stop−1, unchecked."""
        part = self.where(slice(start, stop))
        part._part_of = (self, start, stop)
        return part

    def where(self, chosen: Any) -> Predictions:
        """The examples chosen by a mask, or in the order of indices; unchecked."""
        return self._with(self._values[:, chosen, ...], self.known.map(lambda array: array[chosen]))

    def models(self, start: int, stop: int) -> Predictions:
        """Replicas start … stop−1 on the same examples, unchecked."""
        return self.change_replicas(lambda array: array[start:stop, ...])

    def without(self, replica: int) -> Predictions:
        """The same examples without one replica."""
        return self.change_replicas(lambda array: self.xp.concat([array[:replica, ...], array[replica + 1 :, ...]], axis=0))

    @cached_property
    def leave_one_out(self) -> tuple[Predictions, ...]:
        """The same examples without each replica in turn; kept, so for blocks and not for all examples."""
        return tuple(self.without(m) for m in range(self.replicas))

    def change_replicas(self, pick: Callable[[Array], Array]) -> Predictions:
        """The same examples with the replicas that a function picks from an array whose first axis is M."""
        part = self._with(pick(self._values), self.known)
        part.__dict__.update({name: pick(self.__dict__[name]) for name in ("votes", "by_class") if name in self.__dict__})
        return part

    def with_known(self, **changes: Any) -> Predictions:
        """The same predictions with other arrays of the examples, unchecked; see `Examples`."""
        return self._with(self._values, replace(self.known, **changes))

    def without_labels(self) -> Predictions:
        """The same predictions, no labels attached."""
        if self.has_outcomes:
            values = self._values.copy()
            values[:, :, 1] = np.nan
            return self._with(values, self.known)
        return self.with_known(labels=None, targets=None)

    def without_probs(self) -> Predictions:
        """The predicted labels alone, for measures that read no more: slices and leave-one-out cost less."""
        return self._with(self.votes, self.known, "votes") if self.has_top else self

    def by_label(self) -> Iterator[Predictions]:
        """The examples with a label, then those without one; all in one part where all are alike."""
        labelled = self.labelled
        if labelled.all() or not (self.known.some_labelled or self.has_outcomes):
            yield self
            return
        if labelled.any():
            yield self.where(labelled)
        yield (self.where(~labelled) if labelled.any() else self).without_labels()

    def blocks(self, of_probs: bool = True) -> Iterator[tuple[int, int, Predictions]]:
        """(start, stop, part) over the examples, in blocks of fixed size: M·K probabilities an example, or M labels of a byte."""
        whole = self if of_probs else self.without_probs()
        elements = BLOCK_ELEMENTS // (self.classes or 1) if of_probs else BLOCK_ELEMENTS * 8
        rows = max(1, elements // self.replicas)
        for start in range(0, self.examples, rows):
            stop = min(start + rows, self.examples)
            yield start, stop, whole if stop - start == self.examples else whole.slice(start, stop)

    def __repr__(self) -> str:
        of_values = {"probs": f"probabilities of {self.classes} classes", "votes": "predicted labels", "scores": "scores"}
        of_values |= {"outcomes": "outcomes", "graded": "graded outcomes", "top": "predicted labels and their probability"}
        extra = [f", {name}" for name in ("labels", "targets", "weights", "clusters") if getattr(self.known, name) is not None]
        return f"Predictions({self.replicas} replicas x {self.examples} examples, {of_values[self._kind]}{''.join(extra)})"
