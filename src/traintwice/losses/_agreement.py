"""Co-distillation losses: components are pulled towards each other's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs, at_least_single, pairs, probs_of


@dataclass(frozen=True)
@typed
class Agreement:
    r"""Distance between the predictions of the components; the gradient flows into all components.

    ``kind="skl"``:  mean_b KL(f_i ‖ f_j) + KL(f_j ‖ f_i) = mean_b Σ_k (f_ik − f_jk)(log f_ik − log f_jk)
    ``kind="l1"``:   mean_b ‖f_i − f_j‖₁
    ``kind="ce"``:   mean_b H(f_i, f_j) + H(f_j, f_i),  H(p, q) = −Σ_k p_k log q_k;  this is skl plus both entropies

    Joint and independent updates are the same with "skl" and "l1": D is symmetric, so the gradient of the joint sum with respect to
    component i equals the gradient of component i's own objective with f_j constant. They differ with "ce", where component i also
    gets the gradient through the first argument of H(f_i, f_j); `PeerCrossEntropy` is the independent form.

    Args:
        kind: the distance.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats for "skl" and "ce", probability in [0, 2] for "l1". J = 1 gives 0. Of several labels
    the distances are summed. Of the numbers of a regression "skl" is Σ_k (f_ik − f_jk)², that of normal distributions with variance 1, and
    "l1" is Σ_k |f_ik − f_jk|.
    Source: CH eqs. (8) and (9), β is the weight of the term; "ce" is their appendix C with joint updates and no lag. Ours: with more than
    two components, 1/(J − 1) times the sum over unordered pairs.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([0]))
        >>> round(Agreement("l1")(out).item(), 4)
        0.4621
    """

    kind: Literal["skl", "l1", "ce"] = "skl"

    couples: ClassVar[bool] = True

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        numbers = out.task == "numbers"  # normal distributions with these means, whose logarithms have this difference
        if numbers and self.kind == "ce":
            raise BadInput("Agreement('ce'): the numbers of a regression have no cross entropy; take 'skl' (squared) or 'l1'")
        probs, log_probs = (at_least_single(out.logits),) * 2 if numbers else (out.probs, out.log_probs)
        total = torch.zeros_like(log_probs[..., 0, 0, 0])
        for i, j in pairs(out.components):
            p, q, log_p, log_q = (x[..., k, :, :] for x in (probs, log_probs) for k in (i, j))
            if self.kind == "l1":
                distance = (p - q).abs()
            elif self.kind == "skl":
                distance = (p - q) * (log_p - log_q)
            else:
                distance = -(p * log_q + q * log_p)
            total = total + out.mean(distance.sum(-1))
        return total / max(out.components - 1, 1)


@dataclass(frozen=True)
@typed
class PeerCrossEntropy:
    r"""Cross entropy of each component against the predictions of the others some steps ago.

        L = 1/(J − 1) Σ_j Σ_{i≠j} mean_b H(g_ib, f_jb),   H(p, q) = −Σ_k p_k log q_k

    where g_i are the predictions of component i with its weights of T steps ago, as constants without a gradient. The gradient equals
    that of KL(g_i ‖ f_j), (17): the two differ by H(g_i), which does not depend on the weights, (18).

    Args:
        lag_steps: T >= 0. With T = 0 the peers are the current components, detached, and all components are updated at once. With
            T > 0 the trainer keeps older copies and passes their logits as ``Outputs.peers``.

    Shapes: logits ``*M J B K``, peers ``*M J B K`` -> ``*M``. Units: nats, >= 0, at least the entropy of the peers. J = 1 gives 0.
    Source: CH eqs. (17) and (18), after Anil et al. 2018; β is the weight of the term. Ours: a lag above 8 means a copy of all components
    that is renewed every T steps and so is 1 to T steps old; with more than two components, 1/(J − 1).

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
        """Peers, where the lag is above 0."""
        return frozenset({"peers"}) if self.lag_steps else frozenset()

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if self.lag_steps:
            if out.peers is None:
                raise BadInput(
                    f"Outputs.peers: got none, and PeerCrossEntropy(lag_steps={self.lag_steps}) needs the logits of older components; pass "
                    "peers=, or lag_steps=0 for the current components"
                )
            of_peers = probs_of(at_least_single(out.peers), out.task)
        else:
            of_peers = out.probs
        of_peers = of_peers.detach()
        others = of_peers.sum(-3, keepdim=True) - of_peers
        value = -out.mean((others * out.log_probs).sum(-1)).sum(-1)
        return value / (out.components - 1) if out.components > 1 else torch.zeros_like(value)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        if self.lag_steps <= 8:
            return ()
        return (
            f"PeerCrossEntropy: with a lag above 8 steps, peers are a copy renewed every {self.lag_steps} steps: 1 to "
            f"{self.lag_steps} steps old",
        )
