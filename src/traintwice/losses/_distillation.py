"""Losses that learn from other networks: the peers of co-distillation, or a teacher (its probabilities, logits or nearest labels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._labels import check_below_classes, top_k_cautions
from traintwice.losses._loss import Need, ScheduledLoss, ends
from traintwice.losses._outputs import Average, Outputs, at_least_single, pairs, probs_of
from traintwice.losses._prepare import mean_over_classes, of_all_components
from traintwice.schedules import Weight


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
        if out.weights is not None:
            of_all_components(out.weights)  # an example that a peer leaves out has no predictions of it
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


class TeacherLoss:
    """Base of losses that learn from another model, on the examples that all components see."""

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    def _teachers(self, out: Outputs) -> Tensor:
        """Logits of all teachers, or their numbers, ``*M T B K``; constants."""
        if out.teacher is None:
            raise BadInput(
                f"Outputs.teacher: got none, and {type(self).__name__} needs the logits of a teacher, *M B K; pass probabilities as "
                "teacher_probs="
            )
        logits = at_least_single(out.teacher.detach())
        return logits.unsqueeze(-3) if logits.ndim < out.logits.ndim else logits

    def _teacher_probs(self, out: Outputs, temperature: float = 1.0, average: Average = "prob") -> Tensor:
        """Mean probabilities of the teachers at a temperature, ``*M 1 B K``; constants."""
        logits = self._teachers(out) / temperature
        if average == "logit":
            return probs_of(logits.mean(-3, keepdim=True), out.task)
        return probs_of(logits, out.task).mean(-3, keepdim=True)


@dataclass(frozen=True)
@typed
class Distillation(TeacherLoss):
    r"""KL divergence from the student to the teacher at a temperature: mean over the batch, sum over components.

        L = Σ_j mean_b T² · KL(g_b ‖ softmax(z_jb / T)),   g = teacher at temperature T

    Args:
        temperature: T > 0.
        average: how several teachers are averaged: mean of their probabilities at T ("prob") or of their logits ("logit").

    Shapes: logits ``*M J B K``, teacher ``*M B K`` or ``*M T B K`` -> ``*M``. Units: nats times T², >= 0; 0 where student and
    teacher agree.
    Source: Hinton et al. 2015; w of (1 − w)·CE + w·T²·KL blends it with the cross entropy. Ours: the mean over the batch, sum over
    components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]]]), torch.tensor([0]), teacher=torch.tensor([[2.0, 0.0]]))
        >>> round(Distillation(temperature=2.0)(out).item(), 4)
        0.4438
    """

    temperature: float = 2.0
    average: Average = "prob"

    def __post_init__(self) -> None:
        check_temperature(self)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if out.task == "numbers":
            apart = at_least_single(out.logits) - self._teachers(out).mean(-3, keepdim=True)
            return out.mean(apart.square().sum(-1) / 2).sum(-1)
        student = out.log_probs_at(self.temperature)
        teacher = self._teacher_probs(out, self.temperature, self.average)
        return self.temperature**2 * out.mean(kl_from(teacher, student, out)).sum(-1)


@dataclass(frozen=True)
@typed
class LogitDifference(TeacherLoss):
    r"""Difference between the logits of a network and of a reference, for the reference's highest classes: mean over the batch, sum over
    components.

        L = Σ_j mean_b Σ_{k in top(r_b)} max(|z_jbk − r_bk| − ξ, 0)^p,   r = mean of the teachers' logits

    Args:
        top_k: number of classes with the highest logits of the reference; None is all classes.
        margin: ξ >= 0, difference that costs nothing.
        power: p >= 1.
    Raises:
        BadSpec: a setting outside its range, or a ``top_k`` that is not below the number of classes. BadInput: no teacher.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` or ``*M T B K`` -> ``*M``. Units: logits to the power p, >= 0; 0 where all differences
    are within the margin. Logits are compared as they are: a number added to all logits of an example counts, although softmax ignores it.
    Source: Zhao et al. 2022 (ELODI), logit difference inhibition; the reference is the mean of the logits of a homogeneous ensemble. Ours:
    p = 2, no margin, all classes by default; the mean over the batch, sum over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[3.0, 0.0, 0.0]]]), torch.tensor([0]), teacher=torch.tensor([[2.0, 1.0, -1.0]]))
        >>> LogitDifference()(out).item(), LogitDifference(top_k=1)(out).item()
        (3.0, 1.0)
    """

    top_k: int | None = None
    margin: float = 0.0
    power: float = 2.0

    def __post_init__(self) -> None:
        if self.top_k is not None and self.top_k < 1:
            raise BadSpec(f"LogitDifference.top_k: got {self.top_k}, expected at least 1, or None for all classes")
        if not self.margin >= 0:
            raise BadSpec(f"LogitDifference.margin: got {self.margin}, expected a number of at least 0")
        if not self.power >= 1:
            raise BadSpec(f"LogitDifference.power: got {self.power}, expected a number of at least 1")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        reference, logits = self._teachers(out).mean(-3, keepdim=True), at_least_single(out.logits)
        if self.top_k is not None:
            check_below_classes("LogitDifference", self.top_k, out)
        if out.masked is not None:
            reference = torch.where(out.masked, logits.detach(), reference)
        beyond = ((logits - reference).abs() - self.margin).clamp(min=0) ** self.power
        if self.top_k is not None:
            possible = reference if out.masked is None else reference.masked_fill(out.masked, -torch.inf)
            highest = possible.topk(self.top_k, dim=-1).indices
            beyond = beyond.gather(-1, highest.expand(*beyond.shape[:-1], self.top_k))
        return out.mean(beyond.sum(-1)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        return top_k_cautions(self, classes)


@dataclass(frozen=True)
@typed
class NeighbourSmoothing(TeacherLoss, ScheduledLoss):
    r"""Cross entropy with locally adaptive label smoothing: mean over the batch, sum over components.

        L = Σ_j mean_b −Σ_k t_bk log f_jbk,   t = (1 − a)·label + a·[(1 − u)·η + u/K]

    η_bk is the share of class k among the labels of the example's nearest training examples, by the Euclidean distance of the teacher's
    logits. The trainer computes it once and passes log η in the place of the teacher's logits.

    Args:
        smoothing: a in [0, 1], or a schedule; 0 is the plain cross entropy.
        uniform: u in [0, 1], the uniform part of the smoothing; 1 is label smoothing.
        neighbours: number of nearest examples, at least 1; the example itself is one of them.
    Raises:
        BadSpec: a setting outside its range.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` (log η, -inf where η is 0) -> ``*M``. Units: nats, at least the entropy of t.
    Source: Bahri & Jiang 2021 (locally adaptive label smoothing); their a and b are a and u here. Ours: the mean over the batch, sum over
    components.

    Example:
        >>> import torch
        >>> shares = torch.tensor([[0.5, 0.5]])
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]), teacher=shares.log())
        >>> round(NeighbourSmoothing(0.2, uniform=0.0)(out).item(), 4)
        0.3269
    """

    smoothing: Weight = 0.2
    uniform: float = 0.1
    neighbours: int = 10

    weights: ClassVar[tuple[str, ...]] = ("smoothing",)

    def __post_init__(self) -> None:
        check_fraction("NeighbourSmoothing.smoothing", self.smoothing)
        check_fraction("NeighbourSmoothing.uniform", self.uniform)
        if self.neighbours < 1:
            raise BadSpec(f"NeighbourSmoothing.neighbours: got {self.neighbours}, expected at least 1")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        smoothing = self.number("smoothing")
        near = (self._teacher_probs(out) * out.log_probs).sum(-1)
        smooth = (1 - self.uniform) * near + self.uniform * mean_over_classes(out, out.log_probs)
        return -out.mean((1 - smoothing) * out.of_label(out.log_probs) + smoothing * smooth).sum(-1)


def check_fraction(name: str, weight: Weight) -> None:
    """Raise `BadSpec` for a weight outside [0, 1]."""
    if not all(0 <= value <= 1 for value in ends(weight)):
        raise BadSpec(f"{name}: got {weight}, expected a number from 0 to 1, or a schedule within that range")


def check_temperature(loss: Any) -> None:
    if not loss.temperature > 0:
        raise BadSpec(f"{type(loss).__name__}.temperature: got {loss.temperature}, expected a number greater than 0")


def kl_from(teacher: Tensor, log_student: Tensor, out: Outputs) -> Tensor:
    """KL(teacher ‖ student) of each example; classes with teacher probability 0 add 0, masked ones without it are infinite."""
    entropies: Tensor = torch.special.entr(teacher)
    if out.masked is not None:
        log_student = log_student.masked_fill(out.masked & (teacher > 0), -torch.inf)
    return -(entropies + teacher * log_student).sum(-1)
