"""Anti-distillation by distance: components are pushed apart on every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._decorrelation import OUTPUTS, Center, SignalLoss
from traintwice.losses._outputs import Outputs, pairs
from traintwice.losses._prepare import looked_at

Form: TypeAlias = Literal["negative", "inverse"]


@dataclass(frozen=True)
@typed
class Difference(SignalLoss):
    r"""Minus the mean distance between components, summed over classes.

    ``form="negative"``:  L = Σ_k L_k,   L_k = −1/(J² − J) Σ_i Σ_{j≠i} mean_b |s_ibk − s_jbk|^p
    ``form="inverse"``:   L = Σ_k 1/(|L_k| + ε), whose gradient is large where components are close

    Args:
        form: the negative distance, or its reciprocal.
        power: p >= 1; the paper has 2.
        signal: "logits", "probabilities" or the name of a sub-network's output, ``*M J B D``.
        center: "class" first subtracts from each component's signal its mean over classes, which softmax ignores.
        epsilon: ε > 0 of the inverse form.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: those of the signal to the power p, <= 0; for the inverse form the reciprocal, in (0,
    K/ε]. J = 1 gives 0. The negative form on logits is unbounded below; on probabilities it is at least −2.
    The inverse form differs from the mean of its values on parts of a batch: with gradient accumulation, L_k is that of a micro-batch.

    Source: AD eq. (7), its inverse and "norms other than L2" (section 4), λ is the weight of the term. Ours: one loss for each class,
    summed, as in (5) of the paper; the p-th power of the p-norm; the default ε.

    Example:
        >>> out = Outputs(torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]]), torch.tensor([0]))
        >>> Difference()(out).item(), Difference(power=1.0)(out).item()
        (-4.0, -2.0)
    """

    form: Form = "negative"
    power: float = 2.0
    signal: str = "logits"
    center: Center = "none"
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_epsilon(self)
        if not self.power >= 1:
            raise BadSpec(
                f"Difference.power: got {self.power}, expected at least 1: below 1 the gradient at equal outputs is infinite"
            )

    @property
    def per_batch(self) -> bool:
        """True for the inverse form: the reciprocal of a mean differs from the mean of reciprocals."""
        return self.form == "inverse"

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if self.form == "inverse" and out.masked is not None and looked_at(out.masked) and self.signal in OUTPUTS:
            raise BadInput("Difference('inverse'): got masked classes (logit -inf), whose distance is 0; take form='negative'")
        signal = self.signal_of(out)
        if out.components == 1:
            return torch.zeros_like(signal[..., 0, 0, 0])
        distance = torch.zeros_like(signal[..., 0, 0, :])
        for i, j in pairs(out.components):
            apart = signal[..., i, :, :] - signal[..., j, :, :]
            distance = distance + out.mean(apart.square() if self.power == 2 else apart.abs().pow(self.power), -2)
        per_class = 2 * distance / (out.components**2 - out.components)
        return (-per_class if self.form == "negative" else 1 / (per_class + self.epsilon)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        if self.form == "inverse" or self.signal == "probabilities":
            return self._gauge_cautions()
        unbounded = (
            f"Difference on {self._signal_in_words} is unbounded below: components may move apart until the loss is not finite; use "
            "signal='probabilities' or form='inverse'"
        )
        return (unbounded, *self._gauge_cautions())


@dataclass(frozen=True)
@typed
class CrossEntropyDifference:
    r"""Minus the mean cross entropy between components, or its reciprocal.

        D = 1/(J² − J) Σ_i Σ_{j≠i} mean_b H(f_ib, f_jb),   H(p, q) = −Σ_k p_k log q_k

    ``form="negative"``:  L = −D
    ``form="inverse"``:   L = 1/(D + ε)

    Args:
        form: the negative mean, or its reciprocal.
        epsilon: ε > 0 of the inverse form.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, <= 0, unbounded below; or one over nats. J = 1 gives 0. H also grows with
    the entropies of the components: the loss pushes components apart and flattens their predictions.
    The inverse form differs from the mean of its values on parts of a batch: with gradient accumulation, D is that of a micro-batch.

    Source: AD section 4, in words ("as well as cross entropy losses"). Ours: this formula, with the factor of eq. (7); gradient into both.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([0]))
        >>> round(CrossEntropyDifference()(out).item(), 4)
        -0.7532
    """

    form: Form = "negative"
    epsilon: float = 1e-3

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_epsilon(self)

    @property
    def per_batch(self) -> bool:
        """True for the inverse form: the reciprocal of a mean differs from the mean of reciprocals."""
        return self.form == "inverse"

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        value = torch.zeros_like(out.log_probs[..., 0, 0, 0])
        if out.components == 1:
            return value
        for i, j in pairs(out.components):
            p, q, log_p, log_q = (x[..., k, :, :] for x in (out.probs, out.log_probs) for k in (i, j))
            value = value - out.mean((p * log_q + q * log_p).sum(-1))
        value = value / (out.components**2 - out.components)
        return -value if self.form == "negative" else 1 / (value + self.epsilon)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        if self.form == "inverse":
            return ()
        return (
            "CrossEntropyDifference is unbounded below: components may move apart until the loss is not finite; use form='inverse'",
        )


def _check_epsilon(loss: Difference | CrossEntropyDifference) -> None:
    if not loss.epsilon > 0:
        raise BadSpec(f"{type(loss).__name__}.epsilon: got {loss.epsilon}, expected a number greater than 0")
