"""Losses on the labels: of each component, of the ensemble, and of a gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Need, ScheduledLoss, ends
from traintwice.losses._outputs import Average, Outputs, at_least_single, log_probs_of
from traintwice.losses._prepare import mean_over_classes, of_examples
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class CrossEntropy:
    r"""Negative log probability of the label: the mean over the batch, summed over components.

        L = Σ_j mean_b −log softmax(z_jb)[y_b]

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, >= 0; at 0.05 the label typically has probability 0.95.
    Each component is trained on its own output; no gradient passes through the average of the components.

    Source: the cross entropy of both papers. Ours: mean over the batch, sum over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.zeros(2, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> round(CrossEntropy()(out).item(), 4)  # 2 log 3
        2.1972
    """

    def __call__(self, out: Outputs) -> Tensor:
        return -out.mean(out.of_label(out.log_probs)).sum(-1)


@dataclass(frozen=True)
class OwnCrossEntropy:
    r"""Cross entropy of a component's own examples, without those that all components see: mean over them, sum over components.

        L = Σ_j mean over b not in the shared part of −log f_jb[y_jb]

    With it, the labels of the shared part are not read, so that components agree on it and learn from their own samples.

    Shapes: logits ``*M J B K``, labels ``*M J B``, ``shared`` a slice of the batch -> ``*M``. Units: nats, >= 0. Without
    a shared part it is `CrossEntropy`.
    Source: Prastalo & Jablonka 2026 (twin-bootstrap: each network learns the labels of its own bootstrap).

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [0.0, 9.0]]])
        >>> out = Outputs(logits, torch.tensor([[0, 0]]), shared=slice(1, 2))
        >>> round(OwnCrossEntropy()(out).item(), 4)  # the first example alone
        0.1269
    """

    def __call__(self, out: Outputs) -> Tensor:
        if out.shared is None:
            return CrossEntropy()(out)
        batch = out.logits.shape[-2]
        start, stop, _ = out.shared.indices(batch)
        if stop - start >= batch:
            raise BadInput(f"Outputs.shared: {out.shared} has all {batch} examples, and OwnCrossEntropy reads the others")
        rows = torch.arange(batch, device=out.logits.device)
        return CrossEntropy()(replace(out, **of_examples(out, torch.cat([rows[:start], rows[stop:]]))))


@dataclass(frozen=True)
@typed
class LabelSmoothing(ScheduledLoss):
    r"""Cross entropy with targets (1 − ε)·label + ε·uniform: mean over the batch, sum over components.

        L = Σ_j mean_b [(1 − ε)·(−log f_jb[y_b]) + ε·mean_k (−log f_jbk)]

    Args:
        smoothing: ε in [0, 1), or a schedule; 0 is the plain cross entropy.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, at least the entropy of the targets.
    Source: Szegedy et al. 2016, in the form of `torch.nn.functional.cross_entropy`: the target of the label is 1 − ε + ε/K. Ours: sum
    over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]))
        >>> round(LabelSmoothing(0.1)(out).item(), 4)
        0.2269
    """

    smoothing: Weight = 0.1

    weights: ClassVar[tuple[str, ...]] = ("smoothing",)

    def __post_init__(self) -> None:
        if not all(0 <= value < 1 for value in ends(self.smoothing)):
            raise BadSpec(f"LabelSmoothing.smoothing: got {self.smoothing}, expected a number in [0, 1)")

    def __call__(self, out: Outputs) -> Tensor:
        smoothing = self.number("smoothing")
        out.expect_classes("LabelSmoothing")
        of_label, of_all = out.of_label(out.log_probs), mean_over_classes(out, out.log_probs)
        return -out.mean((1 - smoothing) * of_label + smoothing * of_all).sum(-1)


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
