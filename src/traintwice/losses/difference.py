"""Anti-distillation by distance: components are pushed apart on every single example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.inputs import GAUGE, Center, check_signal, in_words, needs_of, read_signal
from traintwice.losses.loss import Need
from traintwice.losses.outputs import Outputs, pairs

Form: TypeAlias = Literal["negative", "inverse"]


@dataclass(frozen=True)
class Difference:
    r"""Minus the mean distance between components, for each class, summed over classes.

    ``form="negative"``:  L = Σ_k L_k,   L_k = −1/(J² − J) Σ_i Σ_{j≠i} mean_b |s_ibk − s_jbk|^p
    ``form="inverse"``:   L = Σ_k 1/(|L_k| + ε), whose gradient is large where components are close

    Args:
        form: see above.
        power: p >= 1; 2 is the paper's.
        signal: "logits", "probabilities" or the name of a sub-network's output, ``*M J B D``.
        center: "class" first takes from each component's signal its mean over classes, which softmax does not see.
        epsilon: ε > 0 of the inverse form.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: the signal's to the power p, <= 0; its inverse, in (0, K/ε], for the inverse form. J = 1
    gives 0. The negative form on logits is unbounded below; on probabilities it is at least −2.
    The inverse form is not the mean of its values on parts of a batch: with gradient accumulation the mean is the micro-batch's.

    Source: AD eq. (7), its inverse and "norms other than L2" (section 4), λ is the weight of the term. Ours: one loss for each class,
    summed, as the paper does with (5); the p-th power of the p-norm; the default ε.

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
                f"Difference.power: got {self.power}, expected at least 1: below, the gradient at equal outputs is infinite"
            )

    @property
    def needs(self) -> frozenset[Need]:
        """A sub-network's output, where it is named."""
        return needs_of(self.signal)

    @property
    def per_batch(self) -> bool:
        """A reciprocal of a mean is not a mean of reciprocals."""
        return self.form == "inverse"

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
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
        """What its user may not expect."""
        found = []
        if self.form == "negative" and self.signal != "probabilities":
            found.append(
                f"Difference on {in_words(self.signal)} is unbounded below: components may run apart until a replica stops with a loss "
                "that is not finite; use signal='probabilities' or form='inverse'"
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
