"""What is known of examples, and what follows from predictions: parts of them, labels, predicted classes, confidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from traintwice._arrays import namespace, to_numpy
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.types import Array

FEW_CLASSES, CACHED_EXAMPLES = 32, 4096
"""Up to this many classes, NumPy's argmax and partition are slower than a comparison class by class over so many examples."""

Kind = Literal["probs", "votes", "top", "scores", "outcomes", "graded"]
"""``outcomes``: answers that are right or wrong; ``graded``: answers with a score between 0 and 1. The last axis of the values of both
holds the number of the answer and its score. ``top``: the last axis holds the predicted label, its probability and that of the true
label."""


@dataclass(frozen=True)
class Examples:
    """What is known of the examples; each array has length ``N``.

    Attributes:
        labels: true classes, −1 for an example without one; None without labels.
        weights, targets, ids, clusters: as in `Predictions`.
        positions: the row of each example in the file or array that it comes from; None: not known.
        groups, shown: for each column of groups, and each column to show with a row, the value of each example.
        some_labelled: labels may be −1.
    """

    labels: Array | None = None
    weights: Array | None = None
    targets: Array | None = None
    ids: Array | None = None
    clusters: Array | None = None
    positions: Array | None = None
    groups: Mapping[str, Array] = field(default_factory=dict)
    shown: Mapping[str, Array] = field(default_factory=dict)
    some_labelled: bool = False

    def __post_init__(self) -> None:
        if self.some_labelled and (self.labels is None or bool((self.labels >= 0).all())):
            object.__setattr__(self, "some_labelled", False)

    def map(self, change: Callable[[Array], Array]) -> Examples:
        """The same with every array changed."""
        found: dict[str, Any] = {n: None if (a := getattr(self, n)) is None else change(a) for n in ARRAYS}
        of_columns = {n: {name: change(a) for name, a in getattr(self, n).items()} for n in ("groups", "shown")}
        return Examples(**found, **of_columns, some_labelled=self.some_labelled)

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """One after the other, as NumPy arrays; what a part lacks, the whole lacks."""

        def join(arrays: Sequence[Any]) -> Any:
            return None if any(a is None for a in arrays) else np.concatenate([to_numpy(a) for a in arrays])

        found = {name: join([getattr(part, name) for part in parts]) for name in ARRAYS}
        columns = {n: {c: join([getattr(p, n)[c] for p in parts]) for c in getattr(parts[0], n)} for n in ("groups", "shown")}
        return cls(**found, **columns, some_labelled=any(part.some_labelled for part in parts))


ARRAYS = ("labels", "weights", "targets", "ids", "clusters", "positions")


class Derived:
    """Parts of predictions, and arrays that follow from their values, each computed once, when it is first read."""

    def _set(self, values: Array, known: Examples, kind: Kind, class_names: Sequence[str] | None) -> Self:
        self.xp = namespace(values)
        self._values, self.known, self._kind = values, known, kind
        self._part_of: tuple[Self, int, int] | None = None
        self.replicas, self.examples = int(values.shape[0]), int(values.shape[1])
        of_classes = values.ndim == 3 and kind in ("probs", "scores")
        self.classes: int | None = int(values.shape[2]) if of_classes else None
        self.class_names = None if class_names is None else tuple(class_names)
        self.has_probs, self.has_scores = kind == "probs", kind == "scores"
        self.has_outcomes, self.has_top = kind in ("outcomes", "graded"), kind in ("probs", "top")
        self.has_labels = bool(self.labelled.all()) if self.has_outcomes else known.labels is not None and not known.some_labelled
        self.weights, self.targets, self.ids = known.weights, known.targets, known.ids
        self.clusters, self.groups = known.clusters, known.groups
        return self

    @classmethod
    def _made(cls, values: Array, known: Examples, kind: Kind, class_names: Sequence[str] | None = None) -> Self:
        """Predictions of checked arrays."""
        return cls.__new__(cls)._set(values, known, kind, class_names)

    def __repr__(self) -> str:
        of_values = {"votes": "predicted labels", "graded": "graded outcomes", "top": "predicted labels and their probability"}
        values = (of_values | {"probs": f"probabilities of {self.classes} classes"}).get(self._kind, self._kind)
        extra = [f", {name}" for name in ("labels", "targets", "weights", "clusters") if getattr(self.known, name) is not None]
        return f"Predictions({self.replicas} replicas x {self.examples} examples, {values}{''.join(extra)})"

    def slice(self, start: int, stop: int) -> Self:
        """Examples start … stop−1, unchecked."""
        part = self.where(slice(start, stop))
        part._part_of = (self, start, stop)
        return part

    def where(self, chosen: Any) -> Self:
        """The examples chosen by a mask, or in the order of indices; unchecked."""
        return self._made(self._values[:, chosen, ...], self.known.map(lambda array: array[chosen]), self._kind, self.class_names)

    def models(self, start: int, stop: int) -> Self:
        """Replicas start … stop−1 on the same examples, unchecked."""
        return self.change_replicas(lambda array: array[start:stop, ...])

    def without(self, replica: int) -> Self:
        """The same examples without one replica."""
        return self.change_replicas(lambda array: self.xp.concat([array[:replica, ...], array[replica + 1 :, ...]], axis=0))

    @cached_property
    def leave_one_out(self) -> tuple[Self, ...]:
        """The same examples without each replica in turn; kept, so for blocks and not for all examples."""
        return tuple(self.without(m) for m in range(self.replicas))

    def change_replicas(self, pick: Callable[[Array], Array]) -> Self:
        """The same examples with the replicas that a function picks from an array whose first axis is M."""
        part = self._made(pick(self._values), self.known, self._kind, self.class_names)
        part.__dict__.update({name: pick(self.__dict__[name]) for name in ("votes", "by_class") if name in self.__dict__})
        return part

    def with_known(self, **changes: Any) -> Self:
        """The same predictions with other arrays of the examples, unchecked; see `Examples`."""
        return self._made(self._values, replace(self.known, **changes), self._kind, self.class_names)

    def without_labels(self) -> Self:
        """The same predictions, no labels attached."""
        if self.has_outcomes:
            values = self._values.copy()
            values[:, :, 1] = np.nan
            return self._made(values, self.known, self._kind, self.class_names)
        return self.with_known(labels=None, targets=None)

    def without_probs(self) -> Self:
        """The predicted labels alone, for measures that read no more: slices and leave-one-out cost less."""
        return self._made(self.votes, self.known, "votes", self.class_names) if self.has_top else self

    @property
    def labelled(self) -> np.ndarray:
        """A mask of the examples with a label (outcomes: with a score of every replica), shape ``N``."""
        if self.has_outcomes:
            return np.asarray(~np.isnan(self._values[:, :, 1]).any(axis=0))
        known = self.known.labels
        return np.zeros(self.examples, dtype=bool) if known is None else np.asarray(to_numpy(known) >= 0)

    @property
    def labels(self) -> Array:
        """True labels, shape ``N``. Raises `BadInput` where an example has none."""
        if self.has_outcomes:
            raise BadInput("this measure compares with true labels, and outcomes have scores instead")
        if not self.has_labels:
            if self.known.labels is not None:
                missing = int((~self.labelled).sum())
                raise BadInput(f"this measure needs a label in every row: {missing:,} of {self.examples:,} rows have none")
            raise BadInput("this measure compares with true labels and none were given; pass labels of shape (examples,)")
        return self.known.labels

    @property
    def given(self) -> Array:
        """Probabilities, predicted labels, scores, or answers with their scores (nan as −1): equal for identical replicas."""
        return np.nan_to_num(self._values, nan=-1.0) if self.has_outcomes else self._values

    @cached_property
    def probs(self) -> Array:
        """Probabilities in float64, shape ``M N K``. Raises `BadInput` where only predicted labels are known."""
        if self.has_top and not self.has_probs:
            raise BadInput(
                "this measure reads the probabilities of all classes, and only those of the predicted class and of the true label are known"
            )
        if not self.has_probs:
            raise BadInput("this measure reads probabilities and only predicted labels were given; pass shape (M, N, K)")
        return self.xp.astype(self._values, self.xp.float64, copy=False)

    @cached_property
    def by_class(self) -> Array:
        """Probabilities in float64, shape ``M K N``: with examples last, sums and sorts over classes run over long axes."""
        values = self._values if self.has_probs else self.probs  # which raises
        if isinstance(values, np.ndarray):
            return np.array(values.transpose(0, 2, 1), dtype=np.float64, order="C")
        return self.xp.permute_dims(self.probs, (0, 2, 1))

    @cached_property
    def scores(self) -> Array:
        """Scores in float64, shape ``M N`` or ``M N K``. Raises `BadInput` where there are none."""
        if not self.has_scores:
            raise BadInput("this measure reads scores; pass Predictions.from_scores(scores) with shape (M, N) or (M, N, K)")
        return self.xp.astype(self._values, self.xp.float64, copy=False)

    @cached_property
    def votes(self) -> Array:
        """Predicted label of every replica, shape ``M N``; ties go to the lowest class. May be unsigned: do not subtract."""
        if self._kind == "votes":
            return self._values
        if self.has_outcomes or self._kind == "top":
            return np.asarray(self._values[:, :, 0], dtype=np.int64)
        if self.has_scores:
            raise BadInput("this measure reads probabilities or predicted labels and only scores were given")
        if self._part_of is not None:  # computed once for the whole, not once for every measure and block
            whole, start, stop = self._part_of
            return whole.votes[:, start:stop]
        return top_class(self.xp, self._values)

    @cached_property
    def correct(self) -> Array:
        """True where a replica predicts the true label, or its answer is right; shape ``M N``."""
        if self._kind == "graded":
            raise BadInput("this measure needs answers that are right or wrong, and these have scores between 0 and 1")
        return self.outcomes == 1 if self.has_outcomes else self.votes == self.labels[None, :]

    @cached_property
    def outcomes(self) -> Array:
        """Score of every answer, in [0, 1], nan where it has none; shape ``M N``. Raises `BadInput` where there are no outcomes."""
        if not self.has_outcomes:
            told = "this measure reads the scores of answers"
            raise BadInput(f"{told}; pass Predictions.from_outcomes(scores) or an evaluation log")
        return self._values[:, :, 1]

    @cached_property
    def mean(self) -> Array:
        """P̄, the mean over replicas, shape ``K N`` as `by_class`."""
        return self.xp.mean(self.by_class, axis=0)

    @cached_property
    def of_label(self) -> Array:
        """Probability of the true label, shape ``M N``."""
        if self._kind == "top":
            return np.asarray(self._values[:, :, 2], dtype=np.float64)
        values = self._values if self.has_probs else self.probs  # which raises
        index = self.xp.broadcast_to(self.labels[None, :, None], (self.replicas, self.examples, 1))
        known = self.xp.take_along_axis(values, index, axis=2)[:, :, 0]
        return self.xp.astype(known, self.xp.float64, copy=False)

    @cached_property
    def top(self) -> Array:
        """Probability of the predicted label, shape ``M N``."""
        if self._kind == "top":
            return np.asarray(self._values[:, :, 1], dtype=np.float64)
        return self.xp.max(self.by_class, axis=1)

    @cached_property
    def confidence(self) -> Array:
        """γ of CH (5): largest minus second largest probability, shape ``M N``, in [0, 1]."""
        if isinstance(self._values, np.ndarray):
            return np.subtract(*top_two(self.probs))
        ordered = self.xp.sort(self.probs, axis=2)
        return ordered[:, :, -1] - ordered[:, :, -2]

    def require_pairs(self, what: str) -> None:
        """Raise `TooFewReplicas` unless there are two replicas to compare."""
        if self.replicas < 2:
            raise TooFewReplicas(
                f"{what}: got 1 replica, expected at least 2. A measure between replicas is undefined for one model; "
                "train it again, or pass the predictions of a second model."
            )


def top_two(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest and the second largest value over the classes, shape ``... N K``: faster than sorting all of them.

    >>> top_two(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]))
    (array([0.7, 0.4]), array([0.2, 0.4]))
    """
    classes = values.shape[-1]
    if classes > FEW_CLASSES:
        ordered = np.partition(values, classes - 2, axis=-1)
        return ordered[..., -1], ordered[..., -2]
    first, second = np.maximum(values[..., 0], values[..., 1]), np.minimum(values[..., 0], values[..., 1])
    for k in range(2, classes):
        second = np.maximum(second, np.minimum(first, values[..., k]))
        first = np.maximum(first, values[..., k])
    return first, second


def top_class(xp: Any, probs: Array) -> Array:
    """Index of the largest of ``M N K`` probabilities, ties to the lowest class, shape ``M N``, in the smallest integers.

    >>> top_class(np, np.array([[[0.2, 0.4, 0.4], [0.5, 0.0, 0.5]]])).tolist()
    [[1, 0]]
    """
    replicas, examples, classes = probs.shape
    if not isinstance(probs, np.ndarray) or classes > FEW_CLASSES:
        return smallest(xp, xp.argmax(probs, axis=2), classes - 1)
    top = np.zeros((replicas, examples), dtype=np.uint8)
    for m in range(replicas):
        for start in range(0, examples, CACHED_EXAMPLES):
            by_class = np.ascontiguousarray(probs[m, start : start + CACHED_EXAMPLES].T)
            largest, of_largest = by_class[0].copy(), top[m, start : start + CACHED_EXAMPLES]
            for k in range(1, classes):
                larger = (by_class[k] > largest).view(np.uint8)
                larger *= np.uint8(k)
                np.maximum(of_largest, larger, out=of_largest)  # classes rise, so the last that was larger wins
                np.maximum(largest, by_class[k], out=largest)
    return top


def smallest(xp: Any, labels: Array, largest: int) -> Array:
    """Labels in one byte each where the largest of them fits, else as they are."""
    return xp.astype(labels, xp.uint8, copy=False) if largest < 256 else labels
