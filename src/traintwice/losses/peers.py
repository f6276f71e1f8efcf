"""Co-distillation with independent updates: each component learns from constant predictions of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice.errors import BadInput, BadSpec
from traintwice.losses.outputs import Outputs, at_least_single
from traintwice.losses.protocol import Need


@dataclass(frozen=True)
class PeerCrossEntropy:
    r"""Cross entropy of each component against what the others predicted some steps ago.

        L = 1/(J − 1) Σ_j Σ_{i≠j} mean_b H(g_ib, f_jb),   H(p, q) = −Σ_k p_k log q_k

    where g_i are the predictions of component i as it was T steps ago: constants, through which no gradient flows. Its gradient is that
    of KL(g_i ‖ f_j), (17), whose other part, −H(g_i), does not depend on the weights, (18).

    Args:
        lag_steps: T >= 0. With T = 0 the others are the live components, detached, and all are updated at once. With T > 0 the
            trainer gives their logits as ``Outputs.peers``. It says how old they should be; keeping them is the trainer's part.

    Shapes: logits ``*M J B K``, peers ``*M J B K`` -> ``*M``. Units: nats, >= 0, at least the entropy of the peers. J = 1 gives 0.
    Source: CH eqs. (17) and (18), after Anil et al. 2018; β is the weight of the term. Ours: a lag above 8 means a copy of all components
    renewed every T steps, so that it is 1 to T steps old; with more than two components, 1/(J − 1).

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([0]))
        >>> round(PeerCrossEntropy()(out).item(), 4)
        1.5064
    """

    lag_steps: int = 0

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.lag_steps < 0:
            raise BadSpec(f"PeerCrossEntropy.lag_steps: got {self.lag_steps}, expected 0 or more")

    @property
    def needs(self) -> frozenset[Need]:
        """Old predictions, unless the live ones do."""
        return frozenset({"peers"}) if self.lag_steps else frozenset()

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if self.lag_steps:
            if out.peers is None:
                raise BadInput(
                    f"Outputs.peers: none given, and PeerCrossEntropy(lag_steps={self.lag_steps}) needs the logits of the components as "
                    "they were; pass peers=, or lag_steps=0 for the live ones"
                )
            of_peers = torch.softmax(at_least_single(out.peers), dim=-1)
        else:
            of_peers = out.probs
        # For component j, the sum over all others.
        of_peers = of_peers.detach()
        others = of_peers.sum(-3, keepdim=True) - of_peers
        value = -out.mean((others * out.log_probs).sum(-1)).sum(-1)
        return value / (out.components - 1) if out.components > 1 else torch.zeros_like(value)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """What its user may not expect."""
        if self.lag_steps <= 8:
            return ()
        return (
            f"PeerCrossEntropy: a lag above 8 steps is that of a copy renewed every {self.lag_steps} steps: 1 to {self.lag_steps} steps",
        )
