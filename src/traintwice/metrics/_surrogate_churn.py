"""Surrogate churn: churn as a distance between probabilities."""

from __future__ import annotations

from traintwice.errors import BadInput
from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import mean_absolute_difference, total_absolute_difference
from traintwice.predictions import Predictions
from traintwice.types import Array


def _scaled(predictions: Predictions, alpha: float) -> Array:
    """(p / max p)^α of every replica, shape ``M K N``."""
    if not alpha > 0:
        raise BadInput(f"surrogate_churn: got alpha={alpha}, expected a number greater than 0")
    xp, probs = predictions.xp, predictions.by_class
    scaled = probs / xp.max(probs, axis=1, keepdims=True)
    if alpha == 1.0:
        return scaled
    positive = scaled > 0
    power = xp.exp(alpha * xp.log(xp.where(positive, scaled, xp.ones_like(scaled))))
    return xp.where(positive, power, xp.zeros_like(scaled))


def _total(predictions: Predictions, *, alpha: float = 1.0) -> float:
    return 0.5 * total_absolute_difference(predictions.xp, _scaled(predictions, alpha))


@mean_metric("SChurn₁", "pair", limit=float("inf"), soft=True, needs_probs=True, total=_total)
def surrogate_churn(predictions: Predictions, *, alpha: float = 1.0) -> Array:
    r"""Surrogate churn: distance between the probabilities of two replicas, each divided by its largest entry.

    For replicas a, b and example n, with each distribution divided by its largest entry,

        s_n = mean over pairs of ½ · Σ_k | (p_a,k / max p_a)^α − (p_b,k / max p_b)^α |

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
        alpha: sharpness, > 0, an inverse temperature. Towards infinity the result becomes `churn`.
    Returns:
        A number in [0, K/2]; ``surrogate_churn.values(probs)`` gives the contributions ``M N``. 0.06 reads: on average two
        trainings differ by 6 hundredths of a changed label. Not comparable between methods of different confidence:
        see `traintwice.compare.at_temperature`.
    Raises:
        TooFewReplicas: one replica has nothing to disagree with. BadInput: alpha is not positive.
    Source:
        CH eq. (4). Ours: the mean over all pairs of replicas; the power is taken in logarithms, so that it does not underflow.
    Example:
        >>> surrogate_churn(np.array([[[0.9, 0.1]], [[0.6, 0.4]]]))
        0.2777777777777778
    """
    return 0.5 * mean_absolute_difference(predictions.xp, _scaled(predictions, alpha))
