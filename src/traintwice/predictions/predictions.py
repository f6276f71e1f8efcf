"""The one container that every measure reads: M replicas, N examples, K classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import array_api_compat

from traintwice.errors import BadInput, TooFewReplicas
from traintwice.predictions.checks import (
    check_labels,
    check_lengths,
    check_probabilities,
    check_votes,
    check_weights,
)
from traintwice.types import Array

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from summing to one: float16 files are off by a few 1e-4."""

BLOCK_ELEMENTS = 1 << 21
"""Elements of a block of probabilities: fixed, so that sums are formed in the same order on every machine."""


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
            check_votes(xp, probs)
        examples = int(probs.shape[1])
        if labels is not None:
            labels = check_labels(xp, labels, examples, classes=int(probs.shape[2]) if probs.ndim == 3 else None)
        if weights is not None:
            weights = check_weights(xp, weights, examples)
        check_lengths({"ids": ids, "time": time, **(groups or {})}, examples)
        self._set(xp, probs if probs.ndim == 3 else None, probs if probs.ndim == 2 else None, labels, weights)
        self._describe(ids, groups, time, class_names)
        if self.class_names is not None and self.classes is not None and len(self.class_names) != self.classes:
            raise BadInput(f"class_names: got {len(self.class_names)}, expected {self.classes}, one for each class")

    def _set(self, xp: Any, probs: Array | None, votes: Array | None, labels: Array | None, weights: Array | None) -> None:
        self.xp = xp
        self._probs = probs
        self._votes = votes
        self._labels = labels
        self.weights = weights
        known: Any = votes if probs is None else probs
        self.replicas, self.examples = int(known.shape[0]), int(known.shape[1])
        self.classes: int | None = None if probs is None else int(probs.shape[2])
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
    def of(cls, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None) -> Predictions:
        """``predictions`` itself where it is one already (then labels and weights must not be given again)."""
        if isinstance(predictions, Predictions):
            if labels is not None or weights is not None:
                raise BadInput("labels and weights belong to the Predictions given; do not pass them again")
            return predictions
        return cls(predictions, labels, weights)

    def _derive(self, probs: Array | None, votes: Array | None, labels: Array | None, weights: Array | None) -> Predictions:
        part = object.__new__(Predictions)
        part._set(self.xp, probs, votes, labels, weights)
        return part

    def slice(self, start: int, stop: int) -> Predictions:
        """Examples start … stop−1, unchecked (they were checked when they came in)."""

        def cut(array: Array | None, axis: int) -> Array | None:
            if array is None:
                return None
            return array[start:stop] if axis == 0 else array[:, start:stop, ...]

        votes = self._votes if self._votes is not None else self.__dict__.get("votes")
        part = self._derive(cut(self._probs, 1), cut(votes, 1), cut(self._labels, 0), cut(self.weights, 0))
        groups = {name: cut(values, 0) for name, values in self.groups.items()}
        part._describe(cut(self.ids, 0), groups, cut(self.time, 0), self.class_names)
        return part

    def without(self, replica: int) -> Predictions:
        """The same examples with one replica left out."""

        def drop(array: Array | None) -> Array | None:
            return None if array is None else self.xp.concat([array[:replica, ...], array[replica + 1 :, ...]], axis=0)

        part = self._derive(drop(self._probs), drop(self._votes), self._labels, self.weights)
        part._describe(self.ids, self.groups, self.time, self.class_names)
        return part

    def blocks(self) -> Iterator[tuple[int, int, Predictions]]:
        """(start, stop, part) over the examples, in blocks of a fixed number of elements."""
        rows = max(1, BLOCK_ELEMENTS // (self.replicas * (self.classes or 1)))
        for start in range(0, self.examples, rows):
            stop = min(start + rows, self.examples)
            yield start, stop, self if stop - start == self.examples else self.slice(start, stop)

    @property
    def has_probs(self) -> bool:
        """False where only predicted labels are known."""
        return self._probs is not None

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

    @cached_property
    def probs(self) -> Array:
        """Probabilities in float64, shape ``M N K``. Raises `BadInput` where only predicted labels are known."""
        if self._probs is None:
            raise BadInput("this measure reads probabilities and only predicted labels were given; pass shape (M, N, K)")
        return self.xp.astype(self._probs, self.xp.float64, copy=False)

    @cached_property
    def votes(self) -> Array:
        """Predicted label of every replica, shape ``M N``; ties go to the lowest class."""
        return self._votes if self._votes is not None else self.xp.argmax(self._probs, axis=2)

    @cached_property
    def correct(self) -> Array:
        """1.0 where a replica predicts the true label, else 0.0; shape ``M N``."""
        return self.xp.astype(self.votes == self.labels[None, :], self.xp.float64)

    @cached_property
    def mean(self) -> Array:
        """P̄, the mean over replicas, shape ``N K``."""
        return self.xp.mean(self.probs, axis=0)

    @cached_property
    def of_label(self) -> Array:
        """Probability given to the true label, shape ``M N``."""
        index = self.xp.broadcast_to(self.labels[None, :, None], (self.replicas, self.examples, 1))
        return self.xp.take_along_axis(self.probs, index, axis=2)[:, :, 0]

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
        kind = f"probabilities of {self.classes} classes" if self.has_probs else "predicted labels"
        extra = f"{', labels' if self.has_labels else ''}{', weights' if self.weights is not None else ''}"
        return f"Predictions({self.replicas} replicas x {self.examples} examples, {kind}{extra})"
