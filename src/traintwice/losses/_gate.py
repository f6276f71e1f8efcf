"""Training the gate of a mixture of components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs
from traintwice.losses._probabilities import at_least_single


@dataclass(frozen=True)
@typed
class GateCrossEntropy:
    r"""Cross entropy of the gated mixture of the components; it trains the gate only.

        L = mean_b −log Σ_j w_bj · stopgrad(f_jb)[y_b],   w_b = softmax(gate_b)

    Shapes: logits ``*M J B K``, gate ``*M B J`` -> ``*M``. Units: nats, >= 0. Add it with weight 1 to the components' own losses.
    Source: AD section 2 (averaging "as a mixture of experts (Shazeer et al., 2017), with some gating mechanism"). Ours: a dense softmax
    gate, a mixture of probabilities, and no gradient into the components, which train on their own losses.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]), gate=torch.tensor([[0.0, 50.0]]))
        >>> round(GateCrossEntropy()(out).item(), 4)  # the second component alone
        0.1269
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"gate"})
    reads_shared: ClassVar[bool] = True

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if out.gate is None:
            raise BadInput("Outputs.gate: got none, and GateCrossEntropy needs the logits of the gate, *M B J")
        out.expect_classes("GateCrossEntropy")
        log_weights = torch.log_softmax(at_least_single(out.gate), dim=-1).movedim(-1, -2)
        if out.soft:
            mixed = torch.logsumexp(log_weights.unsqueeze(-1) + out.log_probs.detach(), dim=-3, keepdim=True)
            return -out.mean(out.select((0,)).of_label(mixed)).squeeze(-1)
        return -out.mean(torch.logsumexp(log_weights + out.of_label(out.log_probs).detach(), dim=-2))
