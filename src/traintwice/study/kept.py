"""From raw logits of all components to the probabilities that are served."""

from __future__ import annotations

import numpy as np

from traintwice.errors import BadInput
from traintwice.methods import Keep


def kept_probs(logits: np.ndarray, keep: Keep, *, components: int, gate: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of the output that a recipe keeps.

    Args:
        logits: ``M S·J N K``: all components of the first set of weights, then of the second snapshot, and so on.
        keep: "first" component, "mean-prob" (mean of the components' probabilities), "mean-logit" (softmax of the mean logits) or "gate"
            (mean of the probabilities weighted by the gate). Snapshots are averaged in the same way, "first" as
            probabilities.
        components: J.
        gate: weights of the mixture ``M S·J N``, for "gate".
    Returns:
        ``M N K`` in float64, rows summing to one.
    Raises:
        BadInput: a gate is kept and its weights are not given.
    Source:
        AD section 2, "Output 1" and "Output 2", and the gated mixture; CH keeps the first component.
    Example:
        >>> z = np.log([[[[0.9, 0.1]], [[0.5, 0.5]]]])  # one replica, two components, one example
        >>> kept_probs(z, "first", components=2).round(3).tolist(), kept_probs(z, "mean-prob", components=2).round(3).tolist()
        ([[[0.9, 0.1]]], [[[0.7, 0.3]]])
    """
    z = logits.astype(np.float64)
    if keep == "first":
        return np.asarray(_softmax(z[:, ::components]).mean(axis=1))
    if keep == "mean-logit":
        return _softmax(z.mean(axis=1))
    if keep == "gate":
        if gate is None or gate.shape != z.shape[:3]:
            came = "none" if gate is None else f"an array of shape {gate.shape}"
            raise BadInput(f"kept_probs: a gate is kept, expected its weights of shape {z.shape[:3]}, got {came}")
        weights = gate.astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray((_softmax(z) * weights[..., None]).sum(axis=1))
    return np.asarray(_softmax(z).mean(axis=1))


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
