"""From raw logits of all components to the probabilities that are served."""

from __future__ import annotations

import numpy as np

from traintwice.methods import Keep


def kept_probs(logits: np.ndarray, keep: Keep) -> np.ndarray:
    """Probabilities of the output that a recipe keeps.

    Args:
        logits: ``M J N K``.
        keep: "first" component, "mean-prob" (mean of the components' probabilities) or "mean-logit" (softmax of the mean logits).
    Returns:
        ``M N K`` in float64, rows summing to one.
    Source:
        AD section 2, "Output 1" and "Output 2"; CH keeps the first component.
    Example:
        >>> z = np.log([[[[0.9, 0.1]], [[0.5, 0.5]]]])  # one replica, two components, one example
        >>> kept_probs(z, "first").round(3).tolist(), kept_probs(z, "mean-prob").round(3).tolist()
        ([[[0.9, 0.1]]], [[[0.7, 0.3]]])
    """
    z = logits.astype(np.float64)
    if keep == "first":
        return _softmax(z[:, 0])
    if keep == "mean-logit":
        return _softmax(z.mean(axis=1))
    return np.asarray(_softmax(z).mean(axis=1))


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
