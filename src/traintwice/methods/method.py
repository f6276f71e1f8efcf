"""A method: a flat sum of weighted losses, how many components it trains, and what of them is kept.

A method is data. It prints as the Python that makes it, turns into TOML and back, and is called in anyone's training loop:

    method = co_distillation(weight=1.0)
    loss = method.loss(Outputs(logits, labels), step)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from torch import Tensor

from traintwice.errors import BadInput, BadSpec
from traintwice.losses import Loss, LossWithMemory, Memory, Need, Only, Outputs
from traintwice.losses.loss import at, resolved
from traintwice.methods.divergence import culprit, driver
from traintwice.schedules import Complement, Schedule, Weight, at_step, resolve

Keep = Literal["first", "mean-prob", "mean-logit", "gate"]
"""What is kept at inference: the first component, the mean of the components' probabilities (AD "Output 1"), the softmax of the mean
of their logits (AD "Output 2"), or the mixture of their probabilities with the weights of a gate."""

Memories: TypeAlias = tuple[Memory | None, ...]
"""What the terms of a method remember between steps, in their order."""


@dataclass(frozen=True)
class Term:
    """A loss and its weight, a number or a schedule (λ, α or β of the papers)."""

    loss: Loss | LossWithMemory
    weight: Weight = 1.0


@dataclass(frozen=True)
class Method:
    r"""What is minimised, by how many components, and what is kept.

        L(t) = Σ over terms of weight(t) · loss(outputs)

    Args:
        terms: the sum.
        components: J, how many networks one replica trains together, >= 1.
        keep: see `Keep`.
    Raises:
        BadSpec: no term, no component, an unknown ``keep``, a gate that is kept and not trained, or a term of a component that is not
            there.
    Example:
        >>> from traintwice.methods import ensemble
        >>> ensemble(2)
        Method(terms=(Term(loss=CrossEntropy(), weight=1.0),), components=2, keep='mean-prob')
    """

    terms: tuple[Term, ...]
    components: int = 1
    keep: Keep = "first"

    def __post_init__(self) -> None:
        if not self.terms:
            raise BadSpec("Method.terms: got none, expected at least one term, such as Term(CrossEntropy())")
        if self.components < 1:
            raise BadSpec(f"Method.components: got {self.components}, expected at least 1")
        if self.keep not in get_args(Keep):
            raise BadSpec(f"Method.keep: got {self.keep!r}, expected one of {', '.join(map(repr, get_args(Keep)))}")
        if self.keep == "gate" and "gate" not in self.needs:
            raise BadSpec("Method.keep: got 'gate' and no term that trains one; add Term(GateCrossEntropy())")
        for term in self.terms:
            _check_chosen(term.loss, self.components)

    @property
    def needs(self) -> frozenset[Need]:
        """What a trainer has to supply in `Outputs` beside logits and labels.

        "peers": logits of the components ``peer_lag`` steps ago; "teacher": logits of a trained model; "gate": logits of a gate;
        "signals": outputs of the sub-networks named in ``signals``.

        Example:
            >>> from traintwice.methods import baseline, co_distillation
            >>> sorted(co_distillation(kind="ce", lag_steps=4).needs), sorted(baseline().needs)
            (['peers'], [])
        """
        found: frozenset[Need] = frozenset()
        for term in self.terms:
            found |= getattr(term.loss, "needs", frozenset())
        return found

    @property
    def peer_lag(self) -> int:
        """How many steps old the peers are to be, 0 where no term reads old ones.

        Raises:
            BadSpec: terms ask for different ages.
        """
        ages = {lag for term in self.terms if (lag := getattr(_inner(term), "lag_steps", 0))}
        if len(ages) > 1:
            raise BadSpec(f"Method: terms ask for peers of {', '.join(map(str, sorted(ages)))} steps ago; expected one age")
        return ages.pop() if ages else 0

    @property
    def reads_shared(self) -> tuple[str, ...]:
        """Names of the losses that read examples which all components see."""
        inner = [_inner(term) for term in self.terms]
        found = (type(loss).__name__ for loss in inner if getattr(loss, "couples", False) or getattr(loss, "reads_shared", False))
        return tuple(dict.fromkeys(found))

    def not_finite(
        self, out: Outputs, step: int, memories: Memories | None = None, *, before: tuple[Outputs, int] | None = None
    ) -> str:
        """What is to blame where the sum is not finite, in words.

        A term whose weight is 0 at the step is never to blame. Of several terms that are not finite, and where it is the logits that are
        not, the one is named that pushed the outputs outwards most when all was finite still: the largest −⟨∂(weight · loss)/∂z, z⟩,
        by how much a step down its gradient lengthens them.

        Args:
            out, step, memories: of the sum, as for `advance`.
            before: outputs and step of the last sum that was finite, where there was one.
        """
        return culprit(self, out, step, memories, before)

    def enlarged(self, before: tuple[Outputs, int] | None, memories: Memories | None = None) -> str:
        """Which term drove logits away that are no longer finite when the training is over, as the end of a sentence.

        Args:
            before: outputs and step of the last sum that was finite; without it nothing can be told, and the sentence has no such end.
            memories: of the sum, as for `advance`.
        """
        return driver(self, before, memories)

    @property
    def signals(self) -> frozenset[str]:
        """Names of the sub-networks whose outputs the terms read."""
        return frozenset(_inner(term).signal for term in self.terms if "signals" in getattr(term.loss, "needs", frozenset()))

    @property
    def remembers(self) -> bool:
        """Whether a term carries something from step to step, so that `advance` takes the place of `loss`."""
        return any(isinstance(term.loss, LossWithMemory) for term in self.terms)

    @property
    def constant(self) -> bool:
        """Whether the same is computed at every step: no weight follows a schedule, and no term remembers or reads older copies."""
        own = any(hasattr(term.loss, "at") for term in self.terms)
        return not (self.remembers or self.peer_lag or own or any(isinstance(term.weight, Schedule) for term in self.terms))

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
            raise BadSpec(
                "Method.loss: a term remembers earlier steps; call loss, memories = method.advance(out, step, memories)"
            )
        return self.advance(out, step)[0]

    def advance(self, out: Outputs, step: int = 0, memories: Memories | None = None) -> tuple[Tensor, Memories]:
        """The sum at an optimiser step, and what the terms remember for the next.

        Args:
            out: what the components gave on the mini-batch.
            step: optimiser steps taken before this one.
            memories: what the step before gave back; None at the first. A term whose weight is 0 at this step learns nothing from it.
        Raises:
            BadSpec: a schedule is still in epochs; call `resolve` first. BadInput: no `Outputs`, or those of another number of components.
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
        """What this method does that its user may not expect, as sentences; printed before training starts.

        Args:
            classes: K, where it is known.
            accumulation: micro-batches whose gradients are summed before an optimiser step.
        Returns:
            Facts that follow from the formulas: a term that can be met without changing a prediction, one that is unbounded below, one
            that pulls together what it is said to push apart, one that is always 0, one that does not survive accumulation.
        Source:
            Ours.
        Example:
            >>> from traintwice.methods import anti_distillation
            >>> for sentence in anti_distillation(matrix="residue", signal="probabilities").warnings():
            ...     print(sentence)
            Decorrelation('residue') is smallest where components are identical: it pulls them together, as co-distillation does
        """
        found = []
        for term in self.terms:
            name = type(term.loss).__name__
            if getattr(term.loss, "couples", False) and self.components == 1:
                found.append(f"{name}: with one component there is nothing to couple and this term is 0")
            if hasattr(term.loss, "cautions"):
                found += term.loss.cautions(self.components, classes)
            if accumulation > 1 and getattr(term.loss, "per_batch", False):
                found.append(
                    f"{name}: with gradients accumulated over {accumulation} micro-batches its batch statistics are those of a "
                    "micro-batch, which is another loss than that of the whole batch"
                )
        return tuple(dict.fromkeys(found))

    @property
    def kept_components(self) -> int:
        """How many components must be served."""
        return 1 if self.keep == "first" else self.components


def _inner(term: Term) -> Any:
    """The loss of a term, without the choice of components around it."""
    loss: Any = term.loss
    while isinstance(loss, Only):
        loss = loss.loss
    return loss


def _check_chosen(loss: object, components: int) -> None:
    """Raise `BadSpec` where `Only` names a component that is not there."""
    if isinstance(loss, Only):
        if max(loss.components) >= components:
            raise BadSpec(
                f"Only.components: got {list(loss.components)} of {components} component{'s' * (components > 1)}, which count from 0"
            )
        _check_chosen(loss.loss, len(loss.components))


def blend(alpha: Weight, first: Loss, second: Loss) -> tuple[Term, Term]:
    """Terms of (1 − α)·first + α·second, exact while α is ramped.

    >>> from traintwice.losses import CrossEntropy, Entropy
    >>> blend(0.25, CrossEntropy(), Entropy())[0].weight
    0.75
    """
    rest: Weight = 1.0 - alpha if isinstance(alpha, float | int) else Complement(alpha)
    return Term(first, rest), Term(second, alpha)
