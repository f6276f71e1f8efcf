"""Targets and coupling losses as plain functions of arrays: JAX, NumPy, PyTorch, anything of the Python array API.

For training loops outside PyTorch. The functions can be differentiated (``jax.grad``) and compiled (``jax.jit``), and need no PyTorch.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal

from array_api_compat import array_namespace

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec

__all__ = ["agreement", "cross_entropy", "decorrelation", "logged_targets"]

KINDS = ("skl", "l1", "ce")
MATRICES = ("second-moment", "covariance", "residue")
CENTERS = ("none", "class")
SMALLEST = 1e-12


def logged_targets(labels: Any, logged: Any, share: Any = 0.5) -> Any:
    """Targets between the labels and the logged predictions of the model in service: t = λ·old + (1 − λ)·label.

    Args:
        labels: class numbers ``*B``, or target probabilities ``*B K``.
        logged: probabilities of the old model, ``*B K``; constants of the training.
        share: λ in [0, 1], a number or an array that is broadcast against ``*B 1``.
    Returns:
        Probabilities ``*B K`` for `cross_entropy`. An entry of 0.7 reads: the class gets 70 % of the target.
    Raises:
        BadInput: labels of another shape. BadSpec: a number share outside [0, 1].
    Source:
        Jiang et al. 2022 (churn reduction via distillation); equal to `traintwice.losses.LoggedDistillation` with `cross_entropy`.
    Example:
        >>> import numpy as np
        >>> logged_targets(np.array([0]), np.array([[0.4, 0.6]]), 0.5).tolist()
        [[0.7, 0.3]]
    """
    xp = array_namespace(logged)
    if isinstance(share, int | float) and not 0 <= share <= 1:
        raise BadSpec(f"logged_targets.share: got {share}, expected a number in [0, 1]")
    if labels.shape == logged.shape:
        target = xp.astype(labels, logged.dtype)
    elif labels.shape == logged.shape[:-1]:
        target = xp.astype(labels[..., None] == xp.arange(logged.shape[-1]), logged.dtype)
    else:
        raise BadInput(
            f"logged_targets: got labels of shape {tuple(labels.shape)} and logged predictions of shape {tuple(logged.shape)}, expected "
            "labels (rows) or (rows, classes) and logged (rows, classes)"
        )
    return share * logged + (1 - share) * target


def cross_entropy(logits: Any, targets: Any) -> Any:
    """Mean cross entropy of target probabilities: mean_b −Σ_k t_bk log softmax(z_b)_k.

    Args:
        logits: ``*B K``.
        targets: probabilities, of the same shape or broadcast against it.
    Returns:
        One number in nats, at least the mean entropy of the targets; with a leading axis of components ``J B K``, ``J`` numbers.
    Source:
        Ours: mean over the batch.
    Example:
        >>> import numpy as np
        >>> round(float(cross_entropy(np.zeros((1, 2)), np.array([[0.7, 0.3]]))), 4)
        0.6931
    """
    xp = array_namespace(logits)
    return -xp.mean(xp.sum(targets * _log_probs(xp, logits), axis=-1), axis=-1)


@typed
def agreement(logits: Any, kind: Literal["skl", "l1", "ce"] = "skl") -> Any:
    """Distance between the predictions of J networks, which co-distillation makes small.

    ``kind="skl"``:  mean_b Σ_k (f_ik − f_jk)(log f_ik − log f_jk);  ``"l1"``: mean_b ‖f_i − f_j‖₁;
    ``"ce"``: mean_b H(f_i, f_j) + H(f_j, f_i)

    Args:
        logits: ``J B K``.
        kind: the distance.
    Returns:
        One number >= 0 (nats, or probability in [0, 2] for "l1"); 0 for J = 1.
    Raises:
        BadSpec: an unknown kind. BadInput: another number of axes.
    Source:
        CH eqs. (8) and (9), as `traintwice.losses.Agreement`: 1/(J − 1) times the sum over unordered pairs.
    Example:
        >>> import numpy as np
        >>> round(float(agreement(np.array([[[0.0, 0.0]], [[1.0, 0.0]]]), "l1")), 4)
        0.4621
    """
    if kind not in KINDS:
        raise BadSpec(f"agreement.kind: got {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
    xp = _namespace("agreement", logits)
    log_probs = _log_probs(xp, logits)
    probs = xp.exp(log_probs)
    total = 0.0 * logits[0, 0, 0]
    for i, j in combinations(range(logits.shape[0]), 2):
        p, q, log_p, log_q = probs[i, :, :], probs[j, :, :], log_probs[i, :, :], log_probs[j, :, :]
        distance = xp.abs(p - q) if kind == "l1" else (p - q) * (log_p - log_q) if kind == "skl" else -(p * log_q + q * log_p)
        total = total + xp.mean(xp.sum(distance, axis=-1))
    return total / max(logits.shape[0] - 1, 1)


@typed
def decorrelation(
    signal: Any,
    matrix: Literal["second-moment", "covariance", "residue"] = "second-moment",
    *,
    center: Literal["none", "class"] = "none",
    normalize: bool = False,
) -> Any:
    """Sum of squared off-diagonal entries of a matrix of J networks' outputs, for anti-distillation (decorrelated ensemble).

        L = Σ_k Σ_{i<j} A_k,ij²,   A_k,ij = mean_b s_ibk s_jbk

    Args:
        signal: logits or probabilities, ``J B K``.
        matrix: of the signal itself, of the signal minus its mean over the batch ("covariance"), or of the signal minus its mean over the
            networks ("residue").
        center: "class" first subtracts from each signal its mean over classes, which softmax ignores.
        normalize: divide A_ij by sqrt(A_ii A_jj).
    Returns:
        One number >= 0, in the fourth power of the signal's unit; 0 for J = 1.
    Raises:
        BadSpec: an unknown matrix or center. BadInput: another number of axes.
    Source:
        AD eqs. (2)-(5), as `traintwice.losses.Decorrelation`.
    Example:
        >>> import numpy as np
        >>> float(decorrelation(np.array([[[1.0, 0.0]], [[2.0, 0.0]]])))
        4.0
    """
    for name, value, known in (("matrix", matrix, MATRICES), ("center", center, CENTERS)):
        if value not in known:
            raise BadSpec(f"decorrelation.{name}: got {value!r}, expected one of {', '.join(map(repr, known))}")
    xp = _namespace("decorrelation", signal)
    if center == "class":
        signal = signal - xp.mean(signal, axis=-1, keepdims=True)
    if matrix != "second-moment":
        signal = signal - xp.mean(signal, axis=-2 if matrix == "covariance" else -3, keepdims=True)
    networks, examples, _ = signal.shape
    total = 0.0 * signal[0, 0, 0]
    for i, j in combinations(range(networks), 2):
        a, b = signal[i, :, :], signal[j, :, :]
        moment = xp.sum(a * b, axis=-2) / examples
        if normalize:
            squares = [xp.sum(s * s, axis=-2) / examples for s in (a, b)]
            floored = [xp.where(square > SMALLEST, square, xp.full_like(square, SMALLEST)) for square in squares]
            moment = moment / xp.sqrt(floored[0] * floored[1])
        total = total + xp.sum(moment * moment)
    return total


def _log_probs(xp: Any, logits: Any) -> Any:
    """Log of the softmax over the last axis."""
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def _namespace(name: str, stacked: Any) -> Any:
    """The array library of a stack of networks' outputs."""
    if stacked.ndim != 3:
        raise BadInput(f"{name}: got shape {tuple(stacked.shape)}, expected (networks, rows, classes)")
    return array_namespace(stacked)
