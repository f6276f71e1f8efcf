"""Losses that other networks have no part in: on the labels, of each component, the ensemble or a gate; and on the confidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import Any, ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Need, ScheduledLoss, ends
from traintwice.losses._outputs import Average, Outputs, at_least_single, log_probs_of
from traintwice.losses._prepare import allowed_classes, looked_at, mean_over_classes, of_examples
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
            return -out.mean(one.of_label(self._log_probs(out)).squeeze(-2))
        if self.average == "prob":
            return -out.mean(torch.logsumexp(out.of_label(out.log_probs), dim=-2) - log(out.components))
        log_probs = torch.log_softmax(at_least_single(out.logits).mean(-3, keepdim=True), dim=-1)
        return -out.mean(log_probs.gather(-1, out.label_of_component[..., :1, :, None]).squeeze((-3, -1)))

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
            return -out.mean(out.select((0,)).of_label(mixed).squeeze(-2))
        return -out.mean(torch.logsumexp(log_weights + out.of_label(out.log_probs).detach(), dim=-2))


@dataclass(frozen=True)
@typed
class Entropy:
    r"""Entropy of the predictions: the mean over the batch, summed over components.

        H = Σ_j mean_b −Σ_k f_jbk log f_jbk

    Args:
        top_k: sum over the k largest predictions of each example only, 1 < k < K; None sums over all.
        renormalise: divide those k by their sum first; False is the literal partial sum.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, in [0, J log K]; at 0.05 one class has nearly all the probability. A positive
    weight makes predictions more confident (minimum entropy); a negative weight is the confidence penalty.

    Source: CH eq. (6), whose α blends it with the cross entropy: ``blend(alpha, CrossEntropy(), Entropy())``; top-k, CH section 4.
    Ours: sum over components; renormalised by default, so that the value is an entropy; k >= K raises an error when called.

    Example:
        >>> import torch
        >>> out = Outputs(torch.zeros(1, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> round(Entropy()(out).item(), 4), round(Entropy(top_k=2)(out).item(), 4)  # log 3, log 2
        (1.0986, 0.6931)
    """

    top_k: int | None = None
    renormalise: bool = True

    def __post_init__(self) -> None:
        _check_top_k(self)

    def __call__(self, out: Outputs) -> Tensor:
        log_probs, _ = _largest(self, out)
        probs = out.probs if self.top_k is None else log_probs.exp()
        return -out.mean((probs * log_probs).sum(-1)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        return top_k_cautions(self, classes)


@dataclass(frozen=True)
@typed
class SymmetricKLToUniform:
    r"""Minus the symmetric KL divergence between predictions and the uniform distribution: mean over the batch, sum over components.

        L = −Σ_j mean_b SKL(f_jb, U),   SKL(f, U) = Σ_k (f_k − 1/K) log(K f_k)

    The loss includes the minus sign, so it takes a positive weight, like `Entropy`.

    Args:
        cap: largest SKL of an example, > 0; above the cap the example has no gradient. None sets no cap.
        top_k, renormalise: as in `Entropy`; if renormalised, U is uniform over the k classes.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, in (−inf, 0], at least −J·cap with a cap. At −0.05 predictions are nearly uniform.
    Without a cap the loss is unbounded below: it falls as the logits grow.

    Source: CH eq. (7), whose α blends it with the cross entropy: ``blend(alpha, CrossEntropy(), SymmetricKLToUniform())``; top-k, CH
    section 4. Ours: ``cap``; sum over components; renormalised by default; k >= K raises an error when called.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]))
        >>> round(SymmetricKLToUniform()(out).item(), 4), SymmetricKLToUniform(cap=0.5)(out).item()
        (-0.7616, -0.5)
    """

    cap: float | None = None
    top_k: int | None = None
    renormalise: bool = True

    def __post_init__(self) -> None:
        _check_top_k(self)
        if self.cap is not None and not self.cap > 0:
            raise BadSpec(f"SymmetricKLToUniform.cap: got {self.cap}, expected a number of nats greater than 0")

    def __call__(self, out: Outputs) -> Tensor:
        out.expect_classes("SymmetricKLToUniform")
        log_probs, classes = _largest(self, out)
        if isinstance(classes, Tensor):
            classes = classes.unsqueeze(-1).to(log_probs)
        of_uniform = classes.log() if isinstance(classes, Tensor) else log(classes)
        parts = (log_probs.exp() - 1 / classes) * (log_probs + of_uniform)
        distance = (parts if out.masked is None or self.top_k is not None else parts.masked_fill(out.masked, 0.0)).sum(-1)
        return -out.mean(distance if self.cap is None else distance.clamp(max=self.cap)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        unbounded = (
            "SymmetricKLToUniform is unbounded below: logits may grow until the loss is not finite; set a cap (in nats), "
            "or use Entropy"
        )
        return (*top_k_cautions(self, classes), *((unbounded,) if self.cap is None else ()))


@dataclass(frozen=True)
@typed
class LogitL2:
    r"""Squared length of the logits: mean over the batch, sum over components.

        L = Σ_j mean_b Σ_k z_jbk²

    Shapes: logits ``*M J B K`` -> ``*M``. Units: squared logits, >= 0.
    Source: ours, as a control. Decorrelation of logits scales with their fourth power and so rewards small logits; this loss rewards small
    logits only. Sum over components and classes.

    Example:
        >>> import torch
        >>> LogitL2()(Outputs(torch.tensor([[[3.0, 4.0]]]), torch.tensor([0]))).item()
        25.0
    """

    def __call__(self, out: Outputs) -> Tensor:
        return out.mean(at_least_single(out.logits).square().sum(-1)).sum(-1)


def _check_top_k(loss: Entropy | SymmetricKLToUniform) -> None:
    """Raise `BadSpec` where settings of a loss contradict each other."""
    name, least = type(loss).__name__, 1 + loss.renormalise
    if loss.top_k is None and not loss.renormalise:
        raise BadSpec(f"{name}: got renormalise=False without top_k; all K predictions already sum to one")
    if loss.top_k is not None and loss.top_k < least:
        raise BadSpec(f"{name}.top_k: got {loss.top_k}, expected at least {least}: a single renormalised prediction is always 1")


def _largest(loss: Entropy | SymmetricKLToUniform, out: Outputs) -> tuple[Tensor, int | Tensor]:
    """Logarithms of the k largest predictions, ``*M J B k``, and the number of classes that can be."""
    name, top_k = type(loss).__name__, loss.top_k
    if top_k is None:
        return out.log_probs, allowed_classes(out)
    out.expect_classes(f"{name}(top_k={top_k})")
    check_below_classes(name, top_k, out)
    log_probs = out.log_probs
    if out.masked is not None:
        if looked_at(out.masked) and bool(((~out.masked).sum(-1) < top_k).any()):
            raise BadInput(f"{name}.top_k: got {top_k}, expected at most the number of classes that are not masked (logit -inf)")
        log_probs = log_probs.masked_fill(out.masked, -torch.inf)
    top = log_probs.topk(top_k, dim=-1).values
    return (top.log_softmax(-1), top_k) if loss.renormalise else (top, allowed_classes(out))


def check_below_classes(loss: str, top_k: int, out: Outputs) -> None:
    """Raise `BadSpec` where ``top_k`` has no effect, because it is not below the number of classes."""
    if top_k >= (classes := out.logits.shape[-1]):
        raise BadSpec(f"{loss}.top_k: got {top_k} for {classes} classes, expected fewer; leave top_k out to read all classes")


def top_k_cautions(loss: Any, classes: int | None) -> tuple[str, ...]:
    """Warnings for the user about the ``top_k`` of a loss."""
    if loss.top_k is None or classes is None or loss.top_k < classes:
        return ()
    return (
        f"{type(loss).__name__}: top_k={loss.top_k} with {classes} classes raises an error at the first step; top_k must be below the "
        "number of classes",
    )
