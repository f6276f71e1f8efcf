"""Differences of numbers that are not probabilities: regressions, ranking scores, logits."""

from __future__ import annotations

from traintwice.errors import BadInput
from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import mean_absolute_difference, sum_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array


def one_score(predictions: Predictions) -> Array:
    """Scores ``M N``; `BadInput` where an example has several."""
    scores = predictions.scores
    if scores.ndim != 2:
        raise BadInput(f"regression: got scores of shape {tuple(scores.shape)}, expected (replicas, examples)")
    return scores


@mean_metric("score difference", "deviation", unit="number", soft=True, needs_scores=True)
def score_difference(predictions: Predictions, *, p: float = 1.0) -> Array:
    r"""Distance of a replica's scores or logits from the mean over replicas, in the L_p norm.

        Δ_p = mean over m and n of ‖Z_mn − Z̄_n‖_p

    Args:
        predictions: scores ``M N`` or logits ``M N K``, or `Predictions.from_scores`; M >= 2.
        labels: not used.
        p: order of the norm over K, >= 1.
    Returns:
        A number >= 0 in units of the scores; ``values`` gives the contributions ``M N``. Logits that differ by a constant give
        the same probabilities and still count here. Do not compare between different M, nor between recipes of different scale.
    Raises:
        TooFewReplicas: one replica is its own mean. BadInput: p < 1.
    Source:
        AD section 3: eq. (1) on scores instead of probabilities.
    Example:
        >>> score_difference(np.array([[1.0, 2.0], [3.0, 2.0]]))
        0.5
    """
    if not p >= 1:
        raise BadInput(f"score_difference: got p={p}, expected a number of at least 1")
    xp, scores = predictions.xp, predictions.scores
    distance = xp.abs(scores - xp.mean(scores, axis=0)[None, ...])
    if scores.ndim == 2:
        return distance
    return xp.sum(distance, axis=2) if p == 1 else xp.sum(distance**p, axis=2) ** (1.0 / p)


@mean_metric("regression difference", "pair", unit="number", needs_scores=True)
def regression_difference(predictions: Predictions) -> Array:
    r"""Absolute difference of two replicas' regressions, mean over pairs and examples.

        mean over pairs a < b and n of |f_an − f_bn|

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores`; M >= 2.
        labels: not used.
    Returns:
        A number >= 0 in units of the target; ``values`` gives the contributions ``M N``. 0.05 reads: two trainings differ by 0.05
        on average.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: more than one number for each example.
    Source:
        AD section 3, with two models. Ours: the mean over all pairs, whose expectation does not depend on M.
    Example:
        >>> regression_difference(np.array([[1.0, 2.0], [3.0, 2.0]]))
        1.0
    """
    return mean_absolute_difference(predictions.xp, one_score(predictions)[:, None, :])


@mean_metric("relative regression difference", "pair", unit="number", needs_scores=True)
def relative_regression_difference(predictions: Predictions) -> Array:
    r"""Absolute difference of two replicas' regressions relative to their mean size, mean over pairs and examples.

        mean over pairs a < b and n of |f_an − f_bn| / ((|f_an| + |f_bn|) / 2),   0/0 = 0

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 2]; ``values`` gives the contributions ``M N``. 0.05 reads: two trainings differ by 5 % of what they
        predict.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: more than one number for each example.
    Source:
        Ours, after AD's Δ^{r1} with two models: divided by the mean size of the two, so that signs cannot make it infinite.
    Example:
        >>> relative_regression_difference(np.array([[1.0, 2.0], [3.0, 2.0]]))
        0.5
    """
    xp, scores = predictions.xp, one_score(predictions)

    def between(a: int, b: int) -> Array:
        size = (xp.abs(scores[a, :]) + xp.abs(scores[b, :])) / 2
        return xp.abs(scores[a, :] - scores[b, :]) / xp.where(size > 0, size, xp.ones_like(size))

    return sum_over_others(xp, predictions.replicas, between) / (predictions.replicas - 1)
