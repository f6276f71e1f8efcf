"""A method: a flat sum of weighted losses, the number of components, and the output kept at inference.

A method is data. It prints as the Python that makes it, converts to TOML and back, and can be called in any training loop:

    method = co_distillation(weight=1.0)
    loss = method.loss(Outputs(logits, labels), step)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from traintwice._typed import check_types, typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses import Loss, LossWithMemory, Memory, Need, Only, Outputs
from traintwice.losses._loss import at, resolved
from traintwice.schedules import Complement, Schedule, Weight, at_step, resolve

MOST_COMPONENTS = 10_000
"""Largest J."""

Keep = Literal["first", "mean-prob", "mean-logit", "gate"]
"""The output kept at inference: the first component, the mean of the components' probabilities (AD "Output 1"), the softmax of the mean
of their logits (AD "Output 2"), or the mixture of their probabilities with the weights of a gate."""

Memories: TypeAlias = tuple[Memory | None, ...]
"""Memories of the terms of a method between steps, in the order of the terms."""


@dataclass(frozen=True)
class Term:
    """A loss and its weight, a number or a schedule (λ, α or β of the papers)."""

    loss: Loss | LossWithMemory
    weight: Weight = 1.0

    def __post_init__(self) -> None:
        check_types(self)


class _Reading:
    """What the terms of a method read."""

    terms: tuple[Term, ...]

    @property
    def needs(self) -> frozenset[Need]:
        """Fields of `Outputs` that a trainer has to supply in addition to logits and labels.

        "peers": logits of the components ``peer_lag`` steps ago; "teacher": logits of a trained model; "gate": logits of a gate;
        "signals": outputs of the sub-networks named in ``signals``.

        Example:
            >>> from traintwice.methods import baseline, co_distillation
            >>> sorted(co_distillation(kind="ce", lag_steps=4).needs), sorted(baseline().needs)
            (['peers'], [])
        """
        return frozenset().union(*(getattr(term.loss, "needs", ()) for term in self.terms))

    @property
    def _losses(self) -> list[Any]:
        """The losses of the terms, without `Only`."""
        found: list[Any] = [term.loss for term in self.terms]
        while any(isinstance(loss, Only) for loss in found):
            found = [loss.loss if isinstance(loss, Only) else loss for loss in found]
        return found

    @property
    def peer_lag(self) -> int:
        """Age of the peers in steps; 0 where no term reads older components.

        Raises:
            BadSpec: terms need different ages.
        """
        ages = {lag for loss in self._losses if (lag := getattr(loss, "lag_steps", 0))}
        if len(ages) > 1:
            raise BadSpec(f"Method: got terms with peers of {', '.join(map(str, sorted(ages)))} steps ago, expected one age")
        return max(ages, default=0)

    @property
    def neighbours(self) -> int:
        """Nearest examples whose labels a term reads in the place of the teacher's predictions; 0 where no term does.

        Raises:
            BadSpec: terms read different numbers of them, or others read the teacher's predictions.
        """
        counts = {getattr(loss, "neighbours", 0) for loss in self._losses if "teacher" in getattr(loss, "needs", ())}
        if len(counts) > 1:
            raise BadSpec(
                "Method: got terms that read the predictions of a teacher and terms that read labels of near examples, expected one kind"
            )
        return max(counts, default=0)

    @property
    def reads_shared(self) -> tuple[str, ...]:
        """Names of the losses that read the examples that all components see."""
        found = (x for x in self._losses if getattr(x, "couples", False) or getattr(x, "reads_shared", False))
        return tuple(dict.fromkeys(type(loss).__name__ for loss in found))

    @property
    def signals(self) -> frozenset[str]:
        """Names of the sub-networks whose outputs the terms read."""
        return frozenset(loss.signal for loss in self._losses if "signals" in getattr(loss, "needs", ()))

    @property
    def remembers(self) -> bool:
        """Whether a term has a memory; call `advance` instead of `loss` then."""
        return any(isinstance(term.loss, LossWithMemory) for term in self.terms)

    @property
    def constant(self) -> bool:
        """Whether every step computes the same: no schedule, no memory and no older peers."""
        own = any(hasattr(term.loss, "at") for term in self.terms)
        return not (self.remembers or self.peer_lag or own or any(isinstance(term.weight, Schedule) for term in self.terms))


@dataclass(frozen=True)
class Method(_Reading):
    r"""A weighted sum of losses, the number of components that train with it, and the output kept at inference.

        L(t) = Σ over terms of weight(t) · loss(outputs)

    Args:
        terms: of the sum.
        components: J, networks that one replica trains together, >= 1.
        keep: see `Keep`.
    Raises:
        BadSpec: no term, no component, an unknown ``keep``, a kept gate that no term trains, or a term that reads an unknown component.
    Example:
        >>> from traintwice.methods import ensemble
        >>> ensemble(2)
        Method(terms=(Term(loss=CrossEntropy(), weight=1.0),), components=2, keep='mean-prob')
    """

    terms: tuple[Term, ...]
    components: int = 1
    keep: Keep = "first"

    def __post_init__(self) -> None:
        check_types(self)
        if not self.terms:
            raise BadSpec("Method.terms: got none, expected at least one term, such as Term(CrossEntropy())")
        if not 1 <= self.components <= MOST_COMPONENTS:
            raise BadSpec(f"Method.components: got {self.components}, expected at least 1 and at most {MOST_COMPONENTS:,}")
        if self.keep == "gate" and "gate" not in self.needs:
            raise BadSpec("Method.keep: got 'gate', and no term trains a gate; add Term(GateCrossEntropy())")
        for term in self.terms:
            _check_chosen(term.loss, self.components)

    def not_finite(
        self, out: Outputs, step: int, memories: Memories | None = None, *, before: tuple[Outputs, int] | None = None
    ) -> str:
        """Why the sum is not finite, in words.

        The cause is a term that is not finite. Where several terms or the logits are not finite, it is the term that enlarged the outputs
        most at the last finite step: the largest −⟨∂(weight · loss)/∂z, z⟩.

        Args:
            out, step, memories: of the sum, as for `advance`.
            before: outputs and step of the last finite sum; None where there is none.
        """
        pushes = {} if before is None else _pushes(self, *before, memories)
        for j in range(out.components):
            if not bool(out.logits[..., j, :, :].isfinite().all()):
                return f"the logits of component {j} are not finite{_reason(self, {i: push[j] for i, push in pushes.items()})}"
        values = {i: _alone(self, i, out, step, memories) for i in _active(self, step)}
        weights = {i: at_step(self.terms[i].weight, step) for i in values}
        non_finite = [i for i in values if not bool((weights[i] * values[i]).isfinite().all())]
        if not non_finite:
            parts = " and ".join(f"{(weights[i] * value).sum().item():.3g}" for i, value in values.items())
            return f"the sum of {parts}, the weighted terms, is not finite"
        i = max(non_finite, key=lambda i: sum(pushes.get(i, ())))
        loss, value = self.terms[i].loss, values[i].sum().item()
        if not bool(values[i].isfinite().all()):
            return f"the term {loss!r} is {value}"
        return f"the term {loss!r} is {value:.3g}, and not finite times its weight {weights[i]:g}"

    def enlarged(self, before: tuple[Outputs, int] | None, memories: Memories | None = None) -> str:
        """The term that enlarged logits that are not finite at the end of a training, as the end of a sentence.

        Args:
            before: outputs and step of the last finite sum; with None the result is empty.
            memories: of the sum, as for `advance`.
        """
        pushes = {} if before is None else _pushes(self, *before, memories)
        return _reason(self, {i: max(push) for i, push in pushes.items()})

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Method:
        """The same method with schedules in steps."""
        length = (steps_per_epoch, total_steps)
        terms = tuple(Term(resolved(term.loss, *length), resolve(term.weight, *length)) for term in self.terms)
        return replace(self, terms=terms)

    def loss(self, out: Outputs, step: int = 0) -> Tensor:
        """The sum at an optimiser step: one number per replica, shape ``*M``.

        Raises:
            BadSpec: a schedule is still in epochs (call `resolve` first), or a term has a memory (call `advance`). BadInput: as for
                `advance`.
        """
        if self.remembers:
            raise BadSpec("Method.loss: a term has a memory; call loss, memories = method.advance(out, step, memories)")
        return self.advance(out, step)[0]

    def advance(self, out: Outputs, step: int = 0, memories: Memories | None = None) -> tuple[Tensor, Memories]:
        """The sum at an optimiser step, and the memories for the next step.

        Args:
            out: outputs of the components on the mini-batch.
            step: optimiser steps taken before this one.
            memories: as returned by the previous step; None at the first. A term with weight 0 at this step keeps its memory.
        Raises:
            BadSpec: a schedule is still in epochs; call `resolve` first. BadInput: ``out`` is not `Outputs`, or has another number of
            components.
        """
        if not isinstance(out, Outputs):
            raise BadInput(f"Method: got a {type(out).__name__}, expected Outputs(logits, labels)")
        if out.components != self.components:
            raise BadInput(
                f"Method: got logits of {out.components} component{'s' * (out.components > 1)}, expected {self.components}: stack the "
                "logits of all components to (..., components, batch, classes)"
            )
        total: Tensor | None = None
        kept: list[Memory | None] = list(memories) if memories is not None else [None] * len(self.terms)
        for i, term in enumerate(self.terms):
            weight = at_step(term.weight, step)
            if weight == 0.0:
                continue
            if isinstance(term.loss, LossWithMemory):
                memory = kept[i]
                if memory is None:
                    fresh = term.loss.init(tuple(term.loss.signal_of(out).shape))
                    memory = {name: value.to(out.logits.device) for name, value in fresh.items()}
                value, kept[i] = term.loss(out, memory)
            else:
                value = at(term.loss, step)(out)
            value = value if weight == 1.0 else weight * value
            total = value if total is None else total + value
        return out.logits.sum((-3, -2, -1)) * 0.0 if total is None else total, tuple(kept)

    def warnings(self, *, classes: int | None = None, accumulation: int = 1) -> tuple[str, ...]:
        """Warnings about this method, as sentences; printed before training starts.

        Args:
            classes: K, or None where it is unknown.
            accumulation: micro-batches whose gradients are summed before an optimiser step.
        Returns:
            Consequences of the formulas: a term that can fall without a change of any prediction, is unbounded below, pulls components
            together, is always 0, or changes with gradient accumulation.
        Source:
            Ours.
        Example:
            >>> from traintwice.methods import anti_distillation
            >>> for sentence in anti_distillation(matrix="residue", signal="probabilities").warnings():
            ...     print(sentence)
            Decorrelation('residue') is smallest for identical components: it pulls them together, like co-distillation
        """
        found = []
        for term in self.terms:
            name = type(term.loss).__name__
            if getattr(term.loss, "couples", False) and self.components == 1:
                found.append(f"{name}: with one component this term is 0")
            if hasattr(term.loss, "cautions"):
                found += term.loss.cautions(self.components, classes)
            if accumulation > 1 and getattr(term.loss, "per_batch", False):
                found.append(
                    f"{name}: with gradients accumulated over {accumulation} micro-batches, the loss is that of a micro-batch and "
                    "differs from the loss of the whole batch"
                )
        return tuple(dict.fromkeys(found))

    @property
    def kept_components(self) -> int:
        """Number of components to serve."""
        return 1 if self.keep == "first" else self.components


def _check_chosen(loss: object, components: int) -> None:
    """Raise `BadSpec` where `Only` names an unknown component."""
    if isinstance(loss, Only):
        if max(loss.components) >= components:
            raise BadSpec(
                f"Only.components: got {list(loss.components)} of {components} component{'s' * (components > 1)}, counted from 0"
            )
        _check_chosen(loss.loss, len(loss.components))


@typed
def blend(alpha: Weight, first: Loss, second: Loss) -> tuple[Term, Term]:
    """Terms of (1 − α)·first + α·second, where α may follow a schedule.

    >>> from traintwice.losses import CrossEntropy, Entropy
    >>> blend(0.25, CrossEntropy(), Entropy())[0].weight
    0.75
    """
    rest: Weight = 1.0 - alpha if isinstance(alpha, float | int) else Complement(alpha)
    return Term(first, rest), Term(second, alpha)


def _active(method: Method, step: int) -> list[int]:
    """Numbers of the terms with a weight at a step."""
    return [i for i, term in enumerate(method.terms) if at_step(term.weight, step) != 0.0]


def _alone(method: Method, i: int, out: Outputs, step: int, memories: Memories | None) -> Tensor:
    """The value of a term without its weight."""
    alone = replace(method, terms=(replace(method.terms[i], weight=1.0),), keep="first")
    return alone.advance(out, step, None if memories is None else (memories[i],))[0]


@torch.enable_grad()
def _pushes(method: Method, out: Outputs, step: int, memories: Memories | None) -> dict[int, list[float]]:
    """How much a gradient step of each weighted term enlarges the outputs of each component: −⟨∂(weight · loss)/∂z_j, z_j⟩."""
    pushes = {}
    for i in _active(method, step):
        logits = out.logits.detach().requires_grad_()
        signals = {name: values.detach().requires_grad_() for name, values in (out.signals or {}).items()}
        leaves = (logits, *signals.values())
        freed = replace(out, logits=logits, signals=signals)
        value = at_step(method.terms[i].weight, step) * _alone(method, i, freed, step, memories).sum()
        gradients = torch.autograd.grad(value + 0.0 * logits.sum(), leaves, allow_unused=True)
        products = [-g * z.detach() for g, z in zip(gradients, leaves, strict=True) if g is not None]
        of_components = torch.stack([product.movedim(-3, 0).flatten(1).sum(1) for product in products]).sum(0)
        pushes[i] = of_components.nan_to_num(nan=torch.inf).tolist()
    return pushes


def _reason(method: Method, pushes: dict[int, float]) -> str:
    """The cause for the logits of a component, as the end of a sentence; empty where it is unknown."""
    if not pushes:
        return ""
    i = max(pushes, key=lambda i: pushes[i])
    if len(pushes) == 1 or not pushes[i] > 0:
        return "; the steps may be too large: lower the learning rate, or clip the gradients"
    return f"; at the last finite step {method.terms[i].loss!r} enlarged them most: lower its weight or the learning rate"
