"""Learning from an old model where it is right, and only a little where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs
from traintwice.losses.protocol import Need
from traintwice.losses.teacher import check_share, teacher_probs


@dataclass(frozen=True)
class Anchor:
    r"""Cross entropy with anchored targets: the mean over the batch, summed over components.

        L = Σ_j mean_b −Σ_k t_bk log f_jbk,   t = λ·old + (1 − λ)·label where the old model is right, ε·label where it is wrong

    The new model is held to the old one's right answers and pressed less to correct its wrong ones.

    Args:
        share: λ in [0, 1], the old model's share where it is right.
        epsilon: ε in (0, 1], the weight of the label where the old model is wrong.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` -> ``*M``. Units: nats, >= 0.
    Source: the anchor (RCP) of Milani Fard et al. 2016. Ours: "right" is by the old model's largest probability, ties to the lowest class;
    the mean over the batch, sum over components.

    Example:
        >>> old = torch.tensor([[0.0, 1.0]])  # wrong
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]), teacher=old)
        >>> round(Anchor(epsilon=0.5)(out).item(), 4)
        0.0635
    """

    share: float = 0.5
    epsilon: float = 0.5

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_share("Anchor", self.share)
        if not 0 < self.epsilon <= 1:
            raise BadSpec(f"Anchor.epsilon: got {self.epsilon}, expected a number greater than 0 and at most 1")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        old = teacher_probs("Anchor", out)
        of_old, of_label = (old * out.log_probs).sum(-1), out.of_label(out.log_probs)
        right = old.argmax(-1) == out.label_of_component
        return -out.mean(torch.where(right, self.share * of_old + (1 - self.share) * of_label, self.epsilon * of_label)).sum(-1)
