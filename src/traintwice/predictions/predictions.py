"""The one container that every measure reads: M replicas, N examples, K classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import array_api_compat
import numpy as np

from traintwice.errors import BadInput, TooFewReplicas
from traintwice.predictions.checks import (
    check_labels,
    check_lengths,
    check_probabilities,
    check_scores,
    check_targets,
    check_votes,
    check_weights,
)
from traintwice.predictions.top_class import top_class
from traintwice.types import Array

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from summing to one: float16 files are off by a few 1e-4."""

BLOCK_ELEMENTS = 1 << 17
"""Elements of a block, of 8 bytes: fixed, so that sums are formed in the same order on every machine, and few, so that it stays
in cache."""


class Predictions:
    """What M replicas predict for N examples, with the labels and weights of the examples where they are known.

    Args:
        probs: probabilities, shape ``M N K``, each row summing to one; or predicted labels, integers of shape ``M N``.
        labels: true labels, integers 0 … K−1, shape ``N``; None where they are not known.
        weights: weight of each example, shape ``N``, not negative; None weighs all alike.
        ids: what identifies each example, length ``N``.
        groups: for each group column the value of each example, length ``N``.
        time: when each example was seen, length ``N``.
        class_names: names of the K classes.

    Raises:
        BadInput: wrong shape or type, NaN or infinity, negative entries, rows that do not sum to one, labels out of
            range. The message counts the offending rows and names the first.

    Example:
        >>> p = Predictions(np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]]]), labels=np.array([0, 1]))
        >>> p.replicas, p.examples, p.votes.tolist()
        (2, 2, [[0, 1], [0, 0]])
    """

    clusters: Array | None = None

    def __init__(
        self,
        probs: Array,
        labels: Array | None = None,
        weights: Array | None = None,
        *,
        ids: Array | None = None,
        groups: Mapping[str, Array] | None = None,
        time: Array | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        if not array_api_compat.is_array_api_obj(probs):
            raise BadInput(
                f"predictions: got {type(probs).__name__}, expected an array of shape (replicas, examples, classes) "
                "with probabilities or (replicas, examples) with predicted labels"
            )
        xp = array_api_compat.array_namespace(probs)
        if probs.ndim == 3:
            check_probabilities(xp, probs, tolerance=SUM_TOLERANCE)
        else:
            probs = check_votes(xp, probs)
        if labels is not None:
            labels = check_labels(xp, labels, probs, classes=int(probs.shape[2]) if probs.ndim == 3 else None)
        if weights is not None:
            weights = check_weights(xp, weights, probs)
        check_lengths({"ids": ids, "time": time, **(groups or {})}, int(probs.shape[1]))
        self._set(xp, probs if probs.ndim == 3 else None, probs if probs.ndim == 2 else None, labels, weights)
        self._describe(ids, groups, time, class_names)
        if self.class_names is not None and self.classes is not None and len(self.class_names) != self.classes:
            raise BadInput(f"class_names: got {len(self.class_names)}, expected {self.classes}, one for each class")

    def _set(
        self,
        xp: Any,
        probs: Array | None,
        votes: Array | None,
        labels: Array | None,
        weights: Array | None,
        scores: Array | None = None,
        targets: Array | None = None,
    ) -> None:
        self.xp = xp
        self._probs = probs
        self._votes = votes
        self._scores = scores
        self._labels = labels
        self._targets = targets
        self.weights = weights
        self._part_of: tuple[Predictions, int, int] | None = None
        known: Any = next(array for array in (probs, votes, scores) if array is not None)
        self.replicas, self.examples = int(known.shape[0]), int(known.shape[1])
        self.classes: int | None = None if known.ndim == 2 else int(known.shape[2])
        self._describe(None, None, None, None)

    def _describe(
        self, ids: Array | None, groups: Mapping[str, Array] | None, time: Array | None, class_names: Sequence[str] | None
    ) -> None:
        self.ids = ids
        self.groups = dict(groups or {})
        self.time = time
        self.class_names = None if class_names is None else tuple(class_names)

    @classmethod
    def trusted(
        cls,
        probs: Array,
        labels: Array | None = None,
        weights: Array | None = None,
        *,
        ids: Array | None = None,
        groups: Mapping[str, Array] | None = None,
        time: Array | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Predictions:
        """The same without checks, for rows that were checked where they came from (a file, another `Predictions`)."""
        made = object.__new__(cls)
        probabilities = probs.ndim == 3
        xp = array_api_compat.array_namespace(probs)
        made._set(xp, probs if probabilities else None, None if probabilities else probs, labels, weights)
        made._describe(ids, groups, time, class_names)
        return made

    @classmethod
    def from_scores(
        cls, scores: Array, labels: Array | None = None, weights: Array | None = None, *, targets: Array | None = None
    ) -> Predictions:
        """Predictions that are numbers and not probabilities: a regression, a ranking score, logits.

        Args:
            scores: finite floating point numbers, shape ``M N`` or ``M N K``.
            labels: true classes, integers, shape ``N``; for ``M N`` scores 0 and 1.
            weights: weight of each example, shape ``N``.
            targets: true values of a regression, shape ``N``; nan where an example has none.
        Returns:
            `Predictions` with ``scores`` only: measures that read probabilities or predicted labels refuse them.
        Raises:
            BadInput: wrong shape or type, NaN or infinity.
        Example:
            >>> Predictions.from_scores(np.array([[1.5, -2.0], [1.0, -2.5]]))
            Predictions(2 replicas x 2 examples, scores)
        """
        if not array_api_compat.is_array_api_obj(scores):
            raise BadInput(f"scores: got {type(scores).__name__}, expected an array of shape (replicas, examples)")
        xp = array_api_compat.array_namespace(scores)
        check_scores(xp, scores)
        if labels is not None:
            labels = check_labels(xp, labels, scores, classes=int(scores.shape[2]) if scores.ndim == 3 else 2)
        if weights is not None:
            weights = check_weights(xp, weights, scores)
        if targets is not None:
            targets = check_targets(xp, targets, scores)
        return cls._derive(xp, None, None, labels, weights, scores, targets)

    @classmethod
    def of(cls, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None) -> Predictions:
        """``predictions`` itself where it is one already (then labels and weights must not be given again)."""
        if isinstance(predictions, Predictions):
            if labels is not None or weights is not None:
                raise BadInput("labels and weights belong to the Predictions given; do not pass them again")
            return predictions
        return cls(predictions, labels, weights)

    @classmethod
    def _derive(cls, *parts: Any) -> Predictions:
        part = object.__new__(cls)
        part._set(*parts)
        return part

    def slice(self, start: int, stop: int) -> Predictions:
        """Examples start … stop−1, unchecked (they were checked when they came in)."""

        def cut(array: Array | None, axis: int) -> Array | None:
            if array is None:
                return None
            return array[start:stop] if axis == 0 else array[:, start:stop, ...]

        probs, votes, scores = (cut(array, 1) for array in (self._probs, self._votes, self._scores))
        labels, weights, targets = (cut(array, 0) for array in (self._labels, self.weights, self._targets))
        part = self._derive(self.xp, probs, votes, labels, weights, scores, targets)
        part._part_of = (self, start, stop)
        groups = {name: cut(values, 0) for name, values in self.groups.items()}
        part._describe(cut(self.ids, 0), groups, cut(self.time, 0), self.class_names)
        return part

    def described(
        self,
        *,
        ids: Array | None = None,
        groups: Mapping[str, Array] | None = None,
        time: Array | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Predictions:
        """The same predictions with these descriptions of their rows, unchecked."""
        same = self.slice(0, self.examples)
        same._describe(ids, groups, time, class_names)
        return same

    def where(self, chosen: np.ndarray) -> Predictions:
        """The examples chosen by a mask, or in the order of indices; unchecked."""

        def pick(array: Array | None, axis: int) -> Array | None:
            if array is None:
                return None
            return array[chosen] if axis == 0 else array[:, chosen, ...]

        probs, votes, scores = (pick(array, 1) for array in (self._probs, self._votes, self._scores))
        labels, weights, targets = (pick(array, 0) for array in (self._labels, self.weights, self._targets))
        part = self._derive(self.xp, probs, votes, labels, weights, scores, targets)
        groups = {name: pick(values, 0) for name, values in self.groups.items()}
        part._describe(pick(self.ids, 0), groups, pick(self.time, 0), self.class_names)
        return part

    def models(self, start: int, stop: int) -> Predictions:
        """Replicas start … stop−1 on the same examples, unchecked."""

        def cut(array: Array | None) -> Array | None:
            return None if array is None else array[start:stop, ...]

        known = cut(self._probs), cut(self._votes), self._labels, self.weights, cut(self._scores), self._targets
        part = self._derive(self.xp, *known)
        if "votes" in self.__dict__:
            part.__dict__["votes"] = cut(self.votes)
        if "by_class" in self.__dict__:
            part.__dict__["by_class"] = cut(self.by_class)
        part._describe(self.ids, self.groups, self.time, self.class_names)
        return part

    def without(self, replica: int) -> Predictions:
        """The same examples with one replica left out."""

        def drop(array: Array | None) -> Array | None:
            return None if array is None else self.xp.concat([array[:replica, ...], array[replica + 1 :, ...]], axis=0)

        votes = drop(self.__dict__.get("votes", self._votes))
        known = drop(self._probs), votes, self._labels, self.weights, drop(self._scores), self._targets
        rest = self._derive(self.xp, *known)
        rest._describe(self.ids, self.groups, self.time, self.class_names)
        if "by_class" in self.__dict__:
            rest.__dict__["by_class"] = drop(self.by_class)
        return rest

    def without_probs(self) -> Predictions:
        """The predicted labels alone, for measures that read no more: cheaper to cut and to leave replicas out of."""
        if self._probs is None:
            return self
        part = self._derive(self.xp, None, self.votes, self._labels, self.weights)
        part._describe(self.ids, self.groups, self.time, self.class_names)
        return part

    def blocks(self, of_probs: bool = True) -> Iterator[tuple[int, int, Predictions]]:
        """(start, stop, part) over the examples, in blocks of a fixed number of elements.

        Args:
            of_probs: whether probabilities are read, M·K numbers an example; else M labels, of a byte each.
        """
        whole = self if of_probs else self.without_probs()
        elements = BLOCK_ELEMENTS // (self.classes or 1) if of_probs else BLOCK_ELEMENTS * 8
        rows = max(1, elements // self.replicas)
        for start in range(0, self.examples, rows):
            stop = min(start + rows, self.examples)
            yield start, stop, whole if stop - start == self.examples else whole.slice(start, stop)

    @property
    def has_probs(self) -> bool:
        """False where only predicted labels are known."""
        return self._probs is not None

    @property
    def has_scores(self) -> bool:
        """True where they were made by `from_scores`."""
        return self._scores is not None

    @property
    def has_labels(self) -> bool:
        """False where the true labels are not known."""
        return self._labels is not None

    @property
    def labels(self) -> Array:
        """True labels, shape ``N``. Raises `BadInput` where none were given."""
        if self._labels is None:
            raise BadInput("this measure compares with true labels and none were given; pass labels of shape (examples,)")
        return self._labels

    @property
    def has_targets(self) -> bool:
        """False where the true values of a regression are not known."""
        return self._targets is not None

    @property
    def targets(self) -> Array:
        """True values of a regression in float64, shape ``N``; nan where an example has none. Raises `BadInput` without them."""
        if self._targets is None:
            raise BadInput(
                "this measure compares with true values; pass Predictions.from_scores(scores, targets=…) of shape (N,)"
            )
        return self._targets

    @cached_property
    def probs(self) -> Array:
        """Probabilities in float64, shape ``M N K``. Raises `BadInput` where only predicted labels are known."""
        return self.xp.astype(self._known_probs, self.xp.float64, copy=False)

    @property
    def _known_probs(self) -> Array:
        if self._probs is None:
            raise BadInput("this measure reads probabilities and only predicted labels were given; pass shape (M, N, K)")
        return self._probs

    @cached_property
    def by_class(self) -> Array:
        """Probabilities in float64, shape ``M K N``: with examples last, sums and sorts over classes run over long axes."""
        if isinstance(self._known_probs, np.ndarray):
            return np.array(self._known_probs.transpose(0, 2, 1), dtype=np.float64, order="C")
        return self.xp.permute_dims(self.probs, (0, 2, 1))

    @cached_property
    def scores(self) -> Array:
        """Scores in float64, shape ``M N`` or ``M N K``. Raises `BadInput` where there are none."""
        if self._scores is None:
            raise BadInput("this measure reads scores; pass Predictions.from_scores(scores) with shape (M, N) or (M, N, K)")
        return self.xp.astype(self._scores, self.xp.float64, copy=False)

    @cached_property
    def votes(self) -> Array:
        """Predicted label of every replica, shape ``M N``; ties go to the lowest class. May be unsigned: do not subtract."""
        if self._votes is not None:
            return self._votes
        if self._probs is None:
            raise BadInput("this measure reads probabilities or predicted labels and only scores were given")
        if self._part_of is not None:  # computed once for the whole, not once for every measure and block
            whole, start, stop = self._part_of
            return whole.votes[:, start:stop]
        return top_class(self.xp, self._probs)

    @cached_property
    def correct(self) -> Array:
        """True where a replica predicts the true label; shape ``M N``."""
        return self.votes == self.labels[None, :]

    @cached_property
    def mean(self) -> Array:
        """P̄, the mean over replicas, shape ``K N`` as `by_class`."""
        return self.xp.mean(self.by_class, axis=0)

    @cached_property
    def of_label(self) -> Array:
        """Probability given to the true label, shape ``M N``."""
        index = self.xp.broadcast_to(self.labels[None, :, None], (self.replicas, self.examples, 1))
        known = self.xp.take_along_axis(self._known_probs, index, axis=2)[:, :, 0]
        return self.xp.astype(known, self.xp.float64, copy=False)

    @cached_property
    def confidence(self) -> Array:
        """γ of CH (5): largest minus second largest probability, shape ``M N``, in [0, 1]."""
        ordered = self.xp.sort(self.probs, axis=2)
        return ordered[:, :, -1] - ordered[:, :, -2]

    def require_pairs(self, what: str) -> None:
        """Raise `TooFewReplicas` unless there are two replicas to compare."""
        if self.replicas < 2:
            raise TooFewReplicas(
                f"{what}: got 1 replica, expected at least 2. A measure between replicas is undefined for one model; "
                "train it again, or pass the predictions of a second model."
            )

    def __repr__(self) -> str:
        kind = (
            "scores" if self.has_scores else f"probabilities of {self.classes} classes" if self.has_probs else "predicted labels"
        )
        extra = f"{', labels' if self.has_labels else ''}{', weights' if self.weights is not None else ''}"
        return f"Predictions({self.replicas} replicas x {self.examples} examples, {kind}{extra})"
