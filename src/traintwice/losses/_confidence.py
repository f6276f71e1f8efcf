"""Losses on the size of predictions: their entropy, their distance from the uniform distribution, the length of the logits."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._outputs import Outputs, at_least_single
from traintwice.losses._prepare import allowed_classes, looked_at


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
            classes = classes.unsqueeze(-1)
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
