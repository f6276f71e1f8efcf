"""Replicas that are copies of one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from traintwice._formatting import listed
from traintwice.errors import BadInput
from traintwice.predictions import Predictions
from traintwice.types import Array

MOST_GROUPS = 3
"""Groups of identical models that a sentence names."""

FIRST = 64
"""Examples compared before all others: replicas that differ nearly always differ here."""


def identical_replicas(predictions: Predictions | Array) -> list[list[int]]:
    """Groups of replicas whose predictions are equal in every number.

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions` (of scores too); M >= 1.
    Returns:
        Groups of two or more replicas, each in ascending order, sorted by their first replica; empty where all replicas differ. Equal
        replicas usually mean that no source of randomness was free in training, or that one file was passed twice.
    Source:
        Ours: probabilities, scores or predicted labels are compared, whichever is known; weights and labels are not.
    Example:
        >>> identical_replicas(np.array([[0, 1, 2], [0, 1, 1], [0, 1, 2]]))
        [[0, 2]]
    """
    return IdenticalReplicas().add(predictions).result()


def are_identical(names: Sequence[str]) -> str:
    """The clause about one group of identical models.

    >>> are_identical(["a.csv", "b.csv"])
    'the predictions of a.csv, b.csv are identical, bit for bit'
    """
    return f"the predictions of {listed(names)} are identical, bit for bit"


def identical_in_words(groups: Sequence[Sequence[str]]) -> list[str]:
    """Clauses about groups of identical models, by the names of their files; the first few groups.

    >>> identical_in_words([["a.csv", "b.csv"]])
    ['the predictions of a.csv, b.csv are identical, bit for bit (copies, or a seed without effect)']
    """
    more = len(groups) - MOST_GROUPS
    found = [f"{are_identical(group)} (copies, or a seed without effect)" for group in groups[:MOST_GROUPS]]
    return [*found, *([f"{more:,} more groups of models are identical, bit for bit"] if more > 0 else [])]


class IdenticalReplicas:
    """`identical_replicas` over examples that come in parts.

    Replicas that differ in one part are not compared again, so parts cost nothing once all replicas differ.

    Example:
        >>> first, second = IdenticalReplicas(), IdenticalReplicas()
        >>> first.add(np.array([[0, 1], [0, 1], [0, 1]])).merge(second.add(np.array([[2, 2], [1, 2], [2, 2]])))
        >>> first.result()
        [[0, 2]]
    """

    def __init__(self) -> None:
        self._replicas = 0
        self._groups: list[list[int]] = []

    def add(self, predictions: Predictions | Array) -> IdenticalReplicas:
        """Add examples of the same replicas. Returns itself.

        Raises:
            BadInput: see `Predictions`; or another number of replicas than before.
        """
        predictions = Predictions.of(predictions)
        self._expect(predictions.replicas)
        for _, _, block in predictions.blocks():
            if not self._groups:
                break
            numbers = block.given
            self._groups = [part for group in self._groups for part in _split(block.xp, numbers, group)]
        return self

    def merge(self, other: IdenticalReplicas) -> None:
        """Add what another has seen of the same replicas.

        Raises:
            BadInput: another number of replicas.
        """
        if other._replicas:
            self._expect(other._replicas)
            common = ([m for m in ours if m in theirs] for ours in self._groups for theirs in other._groups)
            self._groups = _of_two_or_more(common)

    def result(self) -> list[list[int]]:
        """Groups of two or more replicas that are equal in all examples so far, see `identical_replicas`.

        Raises:
            BadInput: no examples have been added.
        """
        if not self._replicas:
            raise BadInput("identical replicas: no examples have been added yet")
        return sorted(self._groups)

    def _expect(self, replicas: int) -> None:
        if not self._replicas:
            self._replicas, self._groups = replicas, _of_two_or_more([list(range(replicas))])
        if replicas != self._replicas:
            raise BadInput(f"identical replicas: got {replicas} replicas, expected {self._replicas} as before")


def _split(xp: Any, numbers: Array, group: list[int]) -> list[list[int]]:
    """The parts of a group of replicas that are equal in an array ``M N`` or ``M N K``."""
    parts: list[list[int]] = []
    for m in group:
        equal_to = next((part for part in parts if _equal(xp, numbers[part[0], ...], numbers[m, ...])), None)
        if equal_to is None:
            parts.append([m])
        else:
            equal_to.append(m)
    return _of_two_or_more(parts)


def _equal(xp: Any, a: Array, b: Array) -> bool:
    first = min(FIRST, int(a.shape[0]))
    return all(bool(xp.all(a[rows, ...] == b[rows, ...])) for rows in (slice(first), slice(first, None)))


def _of_two_or_more(groups: Iterable[list[int]]) -> list[list[int]]:
    return [group for group in groups if len(group) > 1]
