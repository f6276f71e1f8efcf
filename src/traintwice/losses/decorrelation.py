"""Anti-distillation: components are pushed to produce uncorrelated outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs

MATRICES = ("second-moment", "covariance", "residue")


@dataclass(frozen=True)
class Decorrelation:
    r"""Squared off-diagonal entries of a matrix of the components' outputs, one matrix for each class, summed.

        L = Σ_k ½(‖A_k‖²_F − ‖diag A_k‖²_F) = Σ_k Σ_{i<j} A_k,ij²,   A_k,ij = mean_b s_ibk s_jbk

    where s is, for ``matrix="second-moment"``, the signal itself (2); for ``"covariance"``, the signal minus its mean over the
    batch (3); for ``"residue"``, the signal minus its mean over the components of that example (4).

    Args:
        matrix: see above.
        signal: "logits" (A in the paper's tables) or "probabilities" (B).
        center: "class" first takes from each component's signal its mean over classes. Softmax is blind to that mean, and
            without this the loss on logits can be driven to 0 with no change of the probabilities.
        normalize: divide A_ij by sqrt(A_ii A_jj) (cosine for second moments, Pearson correlation for covariances). Without it
            the loss scales with the fourth power of the signal, so that shrinking the logits is rewarded.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: fourth power of the signal's, >= 0. J = 1 gives 0. The residue form is smallest where
    components are identical: with J = 2 it is Σ_k (mean_b (s_1 − s_2)² / 4)² and pulls them together.

    Source: AD eqs. (2)-(5), λ is the weight of the term. Ours: mean over the batch, sum over classes; ``center`` and ``normalize``.

    Example:
        >>> out = Outputs(torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]))
        >>> Decorrelation()(out).item()
        4.0
    """

    matrix: Literal["second-moment", "covariance", "residue"] = "second-moment"
    signal: Literal["logits", "probabilities"] = "logits"
    center: Literal["none", "class"] = "none"
    normalize: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("matrix", self.matrix, MATRICES),
            ("signal", self.signal, ("logits", "probabilities")),
            ("center", self.center, ("none", "class")),
        ):
            if value not in known:
                raise BadSpec(f"Decorrelation.{name}: got {value!r}, expected one of {', '.join(map(repr, known))}")

    def __call__(self, out: Outputs) -> Tensor:
        signal = (out.logits if self.signal == "logits" else out.probs).to(out.log_probs.dtype)
        if self.center == "class":
            signal = signal - signal.mean(-1, keepdim=True)
        if self.matrix == "covariance":
            signal = signal - signal.mean(-2, keepdim=True)
        elif self.matrix == "residue":
            signal = signal - signal.mean(-3, keepdim=True)
        per_class = signal.movedim(-1, -3)  # *M K J B
        moments = per_class @ per_class.mT / per_class.shape[-1]
        if self.normalize:
            scale = moments.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).rsqrt()
            moments = moments * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        return torch.triu(moments, diagonal=1).square().sum((-3, -2, -1))
