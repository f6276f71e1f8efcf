"""Cross entropy of the output of the ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._inputs import Average, check_average
from traintwice.losses._outputs import Outputs
from traintwice.losses._probabilities import at_least_single, log_probs_of


@dataclass(frozen=True)
@typed
class EnsembleCrossEntropy:
    r"""Cross entropy of the average of the components; the gradient flows into all components.

    ``average="prob"``:   L = mean_b −log mean_j f_jb[y_b]
    ``average="logit"``:  L = mean_b −log softmax(mean_j z_jb)[y_b]

    Args:
        average: of probabilities or of logits.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, >= 0. J = 1 gives the cross entropy.
    Source: AD section 2: gradients normally do not pass through the output of the ensemble, "although some systems may allow such
    propagation". This loss allows it; jointly trained components may depend on each other.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]))
        >>> round(EnsembleCrossEntropy()(out).item(), 4), round(EnsembleCrossEntropy("logit")(out).item(), 4)
        (0.3705, 0.3133)
    """

    average: Average = "prob"

    reads_shared: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_average("EnsembleCrossEntropy", self.average)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        out.expect_classes("EnsembleCrossEntropy")
        if out.soft or out.masked is not None:
            one = out.select((0,))
            return -out.mean(one.of_label(self._log_probs(out))).squeeze(-1)
        if self.average == "prob":
            return -out.mean(torch.logsumexp(out.of_label(out.log_probs), dim=-2) - log(out.components))
        log_probs = torch.log_softmax(at_least_single(out.logits).mean(-3, keepdim=True), dim=-1)
        return -out.mean(log_probs.gather(-1, out.label_of_component[..., :1, :, None]).squeeze(-1)).squeeze(-1)

    def _log_probs(self, out: Outputs) -> Tensor:
        """Log probabilities of the ensemble, ``*M 1 B K``, 0 for masked classes."""
        if self.average == "prob":
            values = torch.logsumexp(out.log_probs, dim=-3, keepdim=True) - log(out.components)
            return values if out.masked is None else values.masked_fill(out.masked[..., :1, :, :], 0.0)
        masked = None if out.masked is None else out.masked[..., :1, :, :]
        return log_probs_of(out.logits.mean(-3, keepdim=True), out.task, masked)
