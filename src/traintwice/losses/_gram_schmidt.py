"""Anti-distillation for three or more components: what they have in common counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses._inputs import GAUGE, Center, check_signal, in_words, needs_of, read_signal
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs


@dataclass(frozen=True)
@typed
class GramSchmidt:
    r"""Squared projections of each component's outputs on the residuals of the earlier components.

        e_i = z_i − Σ_{j<i} ⟨z_i, e_j⟩ / (⟨e_j, e_j⟩ + ε) · e_j,   L = Σ_k Σ_i Σ_{j<i} ((1/B) ⟨z_i, e_j⟩)²

    with ⟨a, b⟩ = Σ_b a_b b_b over the mini-batch, for each class.

    Args:
        signal: "logits", "probabilities" or the name of a sub-network's output, ``*M J B D``.
        center: see `Decorrelation`.
        epsilon: ε > 0.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: fourth power of the signal's, >= 0. J = 1 gives 0; J = 2 gives `Decorrelation` of second
    moments. With three components or more the value depends on their order.
    The loss differs from the mean of its values on parts of a batch: with gradient accumulation, moments are those of a micro-batch.

    Source: AD section 4 ("techniques like Gram-Schmidt orthogonalization"). Ours: this formula. Literally, the decorrelation loss of
    orthogonalised vectors is 0 for every network.

    Example:
        >>> out = Outputs(torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]))
        >>> GramSchmidt()(out).item()
        4.0
    """

    signal: str = "logits"
    center: Center = "none"
    epsilon: float = 1e-6

    couples: ClassVar[bool] = True
    per_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_signal("GramSchmidt", self.signal, self.center)
        if not self.epsilon > 0:
            raise BadSpec(f"GramSchmidt.epsilon: got {self.epsilon}, expected a number greater than 0")

    @property
    def needs(self) -> frozenset[Need]:
        """The outputs of the named sub-network, if any."""
        return needs_of(self.signal)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        signal = read_signal(out, self.signal, self.center)
        value = torch.zeros_like(signal[..., 0, 0, 0])
        new: list[Tensor] = []  # e_j, *M B K
        sizes: list[Tensor] = []  # <e_j, e_j> + ε, *M K
        for i in range(out.components):
            own = signal[..., i, :, :]
            rest = own
            for e, size in zip(new, sizes, strict=True):
                product = out.sum(own * e, -2)
                value = value + out.per_example(product).square().sum(-1)
                rest = rest - (product / size).unsqueeze(-2) * e
            new.append(rest)
            sizes.append(out.sum(rest.square(), -2) + self.epsilon)
        return value

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """Warnings for the user."""
        found = []
        if self.signal == "logits" and self.center == "none":
            found.append(f"GramSchmidt: {GAUGE}")
        if self.signal != "probabilities":
            found.append(f"GramSchmidt scales with the fourth power of {in_words(self.signal)}, which rewards smaller ones")
        return tuple(found)
