"""Anti-distillation: the signal by which components are pushed apart, and losses by which their signals become uncorrelated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Memory, Need
from traintwice.losses._outputs import Outputs, at_least_single
from traintwice.losses._prepare import looked_at, mean_over_classes

Matrix: TypeAlias = Literal["second-moment", "covariance", "residue"]

Center: TypeAlias = Literal["none", "class"]
"""Whether to subtract from each component's signal its mean over classes, which softmax ignores."""

OUTPUTS = ("logits", "probabilities")
"""Signals of every network. Other names are those of sub-networks."""


class SignalLoss:
    """Base of losses that push components apart by a signal: their logits, probabilities, or outputs of a sub-network."""

    signal: str
    center: Center

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.signal:
            raise BadSpec(f"{name}.signal: got '', expected 'logits', 'probabilities' or the name of a sub-network's output")
        if self.center == "class" and self.signal not in OUTPUTS:
            raise BadSpec(f"{name}.center: got 'class' for the signal {self.signal!r}, whose entries are not classes; set 'none'")

    @property
    def needs(self) -> frozenset[Need]:
        """The outputs of the named sub-network, if any."""
        return frozenset() if self.signal in OUTPUTS else frozenset({"signals"})

    def signal_of(self, out: Outputs) -> Tensor:
        """The signal that the loss reads, ``*M J B D``, in at least float32.

        Raises:
            BadInput: the signal is missing.
        """
        if self.signal == "logits":
            values = at_least_single(out.logits)
        elif self.signal == "probabilities":
            values = out.probs if out.task == "classes" else out.probs.chunk(2, dim=-1)[1]
        elif out.signals is not None and self.signal in out.signals:
            values = at_least_single(out.signals[self.signal])
        else:
            present = ", ".join(map(repr, out.signals or ())) or "none"
            raise BadInput(
                f"Outputs.signals: a loss reads {self.signal!r}, got {present}; pass signals={{{self.signal!r}: tensor of *M J B D}}"
            )
        if self.center != "class":
            return values
        centred = values - mean_over_classes(out, values).unsqueeze(-1)
        return centred if out.masked is None else centred.masked_fill(out.masked, 0.0)

    @property
    def _signal_in_words(self) -> str:
        """The signal for a message."""
        return f"the {self.signal}" if self.signal in OUTPUTS else f"the outputs of {self.signal!r}"

    def _gauge_cautions(self) -> tuple[str, ...]:
        """The warning about what softmax ignores of logits, where it applies."""
        if self.signal != "logits" or self.center != "none":
            return ()
        return (
            f"{type(self).__name__}: softmax ignores a number added to all logits of a component, so this term on logits can fall with no "
            "change of any probability; center='class' prevents this (a network of a single logit needs no centering)",
        )


@dataclass(frozen=True)
@typed
class Decorrelation(SignalLoss):
    r"""Sum of the squared off-diagonal entries of a matrix of the components' outputs, one matrix for each class.

        L = Σ_k ½(‖A_k‖²_F − ‖diag A_k‖²_F) = Σ_k Σ_{i<j} A_k,ij²,   A_k,ij = mean_b s_ibk s_jbk

    where s is, for ``matrix="second-moment"``, the signal itself (2); for ``"covariance"``, the signal minus its mean over the
    batch (3); for ``"residue"``, the signal minus its mean over the components of that example (4).

    Args:
        matrix: which matrix.
        signal: "logits" (A in the paper's tables), "probabilities" (B), or the name of a sub-network's output, ``*M J B D``, whose
            D entries replace the classes.
        center: "class" first subtracts from each component's signal its mean over classes. Softmax ignores that mean, so without
            centering the loss on logits can become 0 with no change of the probabilities.
        normalize: divide A_ij by sqrt(A_ii A_jj) (cosine for second moments, Pearson correlation for covariances). Without
            normalising, the loss scales with the fourth power of the signal, which rewards smaller logits.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: fourth power of the signal's, >= 0. J = 1 gives 0. The residue form is smallest for
    identical components: with J = 2 it is Σ_k (mean_b (s_1 − s_2)² / 4)² and pulls the components together.
    The loss differs from the mean of its values on parts of a batch: with gradient accumulation, moments are those of a micro-batch.

    Source: AD eqs. (2)-(5), λ is the weight of the term; named sub-networks, AD section 4. Ours: mean over the batch, sum over
    classes; ``center`` and ``normalize``.

    Example:
        >>> out = Outputs(torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]))
        >>> Decorrelation()(out).item()
        4.0
    """

    matrix: Matrix = "second-moment"
    signal: str = "logits"
    center: Center = "none"
    normalize: bool = False

    per_batch: ClassVar[bool] = True

    def __call__(self, out: Outputs) -> Tensor:
        return self.of_moments(self.moments(out))

    def moments(self, out: Outputs) -> Tensor:
        """The matrix A of (2), (3) or (4), ``*M K J J``."""
        out = out.coupled
        signal = self.signal_of(out)
        if self.matrix == "covariance":
            signal = signal - out.mean(signal, -2).unsqueeze(-2)
            if out.masked is not None and self.signal in OUTPUTS:
                left_out = False if out.weights is None else (out.weights == 0).unsqueeze(-1)
                if looked_at(out.masked) and bool((out.masked.any(-2) & ~(out.masked | left_out).all(-2)).any()):
                    raise BadInput(
                        "Decorrelation('covariance'): got other masked classes in other examples, expected the same; take "
                        "matrix='second-moment'"
                    )
                signal = signal.masked_fill(out.masked, 0.0)
        elif self.matrix == "residue":
            signal = signal - signal.mean(-3, keepdim=True)
        return second_moments(out, signal)

    def of_moments(self, moments: Tensor) -> Tensor:
        """The loss (5) of a matrix ``*M K J J``."""
        if self.normalize:
            scale = moments.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).rsqrt()
            moments = moments * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        return torch.triu(moments, diagonal=1).square().sum((-3, -2, -1))

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        found = []
        if self.matrix == "residue":
            found.append(
                "Decorrelation('residue') is smallest for identical components: it pulls them together, like co-distillation"
            )
            if self.normalize and components == 2:
                found.append(
                    "Decorrelation('residue', normalize=True) of two components is constant: the residue of one component is minus "
                    "that of the other"
                )
        found += self._gauge_cautions()
        if self.signal != "probabilities" and not self.normalize:
            found.append(
                f"Decorrelation scales with the fourth power of {self._signal_in_words}, which rewards smaller ones; normalize=True "
                f"removes this effect{', and logit_l2 is the control with this effect alone' if self.signal == 'logits' else ''}"
            )
        return tuple(found)


def second_moments(out: Outputs, signal: Tensor) -> Tensor:
    """mean_b s_ib s_jb for each class, ``*M J B K`` -> ``*M K J J``, in the precision of the signal even under autocast."""
    per_class = signal.movedim(-1, -3)
    weighted = out.weighted(signal, -2).movedim(-1, -3)
    with torch.autocast(signal.device.type, enabled=False):
        products = weighted @ per_class.mT
    return out.per_example(out.total(products))


@dataclass(frozen=True)
@typed
class RunningDecorrelation(SignalLoss):
    r"""`Decorrelation` of a running estimate of its matrix, for small mini-batches.

        S_t = ρ S_{t−1} + (1 − ρ) C_t,   C̄_t = S_t / (1 − ρ^t),   L = ½(‖A‖²_F − ‖diag A‖²_F),   A = C_t + stopgrad(C̄_t − C_t)

    The value is the loss of C̄_t. The gradient flows through C_t at full size, so a weight has the same meaning for every ρ.

    Args:
        rho: ρ in [0, 1), the share of the old estimate at each step; 0 is `Decorrelation`.
        matrix, signal, center, normalize: see `Decorrelation`.

    The caller keeps the memory: ``memory = loss.init(signal.shape)``, then ``value, memory = loss(out, memory)``.

    Shapes: logits ``*M J B K`` -> ``*M``; memory: moments ``*M K J J``, steps ``*M``. J = 1 gives 0. With gradient accumulation the memory
    advances at every micro-batch.

    Source: AD section 4, in words ("updated continuously over the batches"). Ours: the exponential mean, its bias correction, the stopped
    gradient.

    Example:
        >>> out = Outputs(torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]))
        >>> loss = RunningDecorrelation(0.5)
        >>> first, memory = loss(out, loss.init(out.logits.shape))
        >>> second, memory = loss(Outputs(2 * out.logits, out.labels), memory)
        >>> first.item(), round(second.item(), 4)  # moments 2, then (1·2 + 2·8)/3
        (4.0, 36.0)
    """

    rho: float = 0.9
    matrix: Matrix = "second-moment"
    signal: str = "logits"
    center: Center = "none"
    normalize: bool = False

    per_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rho < 1:
            raise BadSpec(f"RunningDecorrelation.rho: got {self.rho}, expected a number in [0, 1)")

    @property
    def plain(self) -> Decorrelation:
        """The same loss without memory."""
        return Decorrelation(self.matrix, self.signal, self.center, self.normalize)

    def init(self, shape: tuple[int, ...]) -> Memory:
        """The memory before the first step, for a signal of shape ``*M J B D``."""
        *leading, components, _, entries = shape
        return {"moments": torch.zeros(*leading, entries, components, components), "steps": torch.zeros(leading)}

    def __call__(self, out: Outputs, memory: Memory) -> tuple[Tensor, Memory]:
        now = self.plain.moments(out)
        kept = memory["moments"].to(now)
        running = self.rho * kept + (1 - self.rho) * now.detach()
        steps = memory["steps"].to(now) + 1
        estimate = running / (1 - self.rho**steps)[..., None, None, None]
        value = self.plain.of_moments(now + (estimate - now.detach()))
        return value, {"moments": running, "steps": steps}

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        return self.plain.cautions(components, classes)


@dataclass(frozen=True)
@typed
class GramSchmidt(SignalLoss):
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

    per_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epsilon > 0:
            raise BadSpec(f"GramSchmidt.epsilon: got {self.epsilon}, expected a number greater than 0")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        signal = self.signal_of(out)
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
        if self.signal == "probabilities":
            return ()
        scales = f"GramSchmidt scales with the fourth power of {self._signal_in_words}, which rewards smaller ones"
        return (*self._gauge_cautions(), scales)
