"""How likely a row is to get another label when the model is trained again, known before it is."""

from __future__ import annotations

import numpy as np

from traintwice.compare.results import Review
from traintwice.errors import BadInput
from traintwice.metrics.churn import same_vote
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.types import Array

BINS = 1 << 16
"""Scores closer than 1/65,536 count as equal when the least stable rows are chosen."""

SHARES = (0.01, 0.05, 0.1)
"""Shares of rows whose review is reported."""


def instability(predictions: Predictions | Array) -> np.ndarray:
    r"""Instability of each row: how little the old recipe's models, taken together, prefer their first class to their second.

        s_n = 1 − (largest − second largest of P̄_n),   P̄ the mean over the models, of votes where only labels are known

    Args:
        predictions: probabilities ``M N K`` (one old model suffices), predicted labels ``M N`` (M >= 2), or `Predictions`. Not the
            new model's: the score says where to look before it is there.
    Returns:
        Numbers in [0, 1], shape ``N``. 0.05 reads: the first class leads by 95 points; 1 is a tie. It orders rows; it is no
        probability of a flip.
    Raises:
        BadInput: the predicted labels of one model alone, or numbers, which say nothing of stability.
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
        ordered = np.sort(to_numpy(p.mean), axis=0)
        return np.asarray(1.0 - (ordered[-1] - ordered[-2]))
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


class Reviews:
    """Rows and changed labels by instability, so that what a review would catch can be told."""

    def __init__(self) -> None:
        self._rows, self._flips = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)

    def add(self, scores: np.ndarray, changed: np.ndarray) -> None:
        """Add rows."""
        bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        self._rows += np.bincount(bins, minlength=BINS)
        self._flips += np.bincount(bins[changed], minlength=BINS)

    def result(self) -> tuple[Review, ...]:
        """What reviewing the least stable rows would catch; where scores tie, its expectation. Empty without flips."""
        total, flips = int(self._rows.sum()), int(self._flips.sum())
        if not flips:
            return ()
        rows_above, flips_above = np.cumsum(self._rows[::-1]), np.cumsum(self._flips[::-1])
        found = []
        for share in SHARES:
            wanted = max(round(share * total), 1)
            caught = np.interp(wanted, np.concatenate([[0], rows_above]), np.concatenate([[0], flips_above]))
            found.append(Review(share, wanted, float(caught / flips)))
        return tuple(found)
