"""Anti-distillation by distance: components are pushed apart on every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._inputs import GAUGE, OUTPUTS, Center, check_signal, in_words, needs_of, read_signal
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs, pairs
from traintwice.losses._prepare import looked_at

Form: TypeAlias = Literal["negative", "inverse"]


@dataclass(frozen=True)
@typed
class Difference:
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

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_form("Difference", self.form, self.epsilon)
        check_signal("Difference", self.signal, self.center)
        if not self.power >= 1:
            raise BadSpec(
                f"Difference.power: got {self.power}, expected at least 1: below 1 the gradient at equal outputs is infinite"
            )

    @property
    def needs(self) -> frozenset[Need]:
        """The outputs of the named sub-network, if any."""
        return needs_of(self.signal)

    @property
    def per_batch(self) -> bool:
        """True for the inverse form: the reciprocal of a mean differs from the mean of reciprocals."""
        return self.form == "inverse"

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if self.form == "inverse" and out.masked is not None and looked_at(out.masked) and self.signal in OUTPUTS:
            raise BadInput("Difference('inverse'): got masked classes (logit -inf), whose distance is 0; take form='negative'")
        signal = read_signal(out, self.signal, self.center)
        if out.components == 1:
            return torch.zeros_like(signal[..., 0, 0, 0])
        distance = torch.zeros_like(signal[..., 0, 0, :])
        for i, j in pairs(out.components):
            apart = signal[..., i, :, :] - signal[..., j, :, :]
            distance = distance + out.mean(apart.square() if self.power == 2 else apart.abs().pow(self.power), -2)
        per_class = 2 * distance / (out.components**2 - out.components)
        return (-per_class if self.form == "negative" else 1 / (per_class + self.epsilon)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """Warnings for the user."""
        found = []
        if self.form == "negative" and self.signal != "probabilities":
            found.append(
                f"Difference on {in_words(self.signal)} is unbounded below: components may move apart until the loss is not finite; "
                "use signal='probabilities' or form='inverse'"
            )
        if self.signal == "logits" and self.center == "none":
            found.append(f"Difference: {GAUGE}")
        return tuple(found)


def check_form(loss: str, form: str, epsilon: float) -> None:
    """Raise `BadSpec` for an unknown form or an ε that is not positive."""
    if form not in ("negative", "inverse"):
        raise BadSpec(f"{loss}.form: got {form!r}, expected one of 'negative', 'inverse'")
    if not epsilon > 0:
        raise BadSpec(f"{loss}.epsilon: got {epsilon}, expected a number greater than 0")
