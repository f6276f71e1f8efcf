"""A method: a flat sum of weighted losses, how many components it trains, and what of them is kept.

A method is data. It prints as the Python that makes it, turns into TOML and back, and is called in anyone's training loop:

    method = co_distillation(weight=1.0)
    loss = method.loss(Outputs(logits, labels), step)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses import Agreement, CrossEntropy, Decorrelation, Entropy, Loss, Outputs
from traintwice.schedules import Complement, Ramp, Weight, at_step, resolve

Keep = Literal["first", "mean-prob", "mean-logit"]
"""What is kept at inference: the first component, the mean of the components' probabilities (AD "Output 1"), or the softmax of
the mean of their logits (AD "Output 2")."""


@dataclass(frozen=True)
class Term:
    """A loss and its weight, a number or a schedule (λ, α or β of the papers)."""

    loss: Loss
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
        BadSpec: no term, no component, or an unknown ``keep``.
    Example:
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

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Method:
        """The same method with schedules in steps."""
        terms = tuple(replace(term, weight=resolve(term.weight, steps_per_epoch, total_steps)) for term in self.terms)
        return replace(self, terms=terms)

    def loss(self, out: Outputs, step: int = 0) -> Tensor:
        """The sum at an optimiser step: one number per replica, shape ``*M``.

        Raises:
            BadSpec: a schedule is still in epochs; call `resolve` first.
        """
        total = None
        for term in self.terms:
            weight = at_step(term.weight, step)
            if weight != 0.0:
                value = term.loss(out) if weight == 1.0 else weight * term.loss(out)
                total = value if total is None else total + value
        return out.logits.sum((-3, -2, -1)) * 0.0 if total is None else total

    @property
    def kept_components(self) -> int:
        """How many components must be served."""
        return 1 if self.keep == "first" else self.components


def blend(alpha: Weight, first: Loss, second: Loss) -> tuple[Term, Term]:
    """Terms of (1 − α)·first + α·second, exact while α is ramped.

    >>> blend(0.25, CrossEntropy(), Entropy())[0].weight
    0.75
    """
    rest: Weight = 1.0 - alpha if isinstance(alpha, float | int) else Complement(alpha)
    return Term(first, rest), Term(second, alpha)


def baseline() -> Method:
    """One network, cross entropy.

    Source: the baseline of both papers.
    """
    return Method((Term(CrossEntropy()),))


def ensemble(components: int = 2, keep: Keep = "mean-prob") -> Method:
    """Networks trained side by side with no coupling, averaged at inference.

    Source: AD section 2; CH Table 7. No gradient passes through the average.
    """
    return Method((Term(CrossEntropy()),), components, keep)


def anti_distillation(
    components: int = 2,
    weight: Weight = 0.1,
    *,
    matrix: Literal["second-moment", "covariance", "residue"] = "second-moment",
    signal: Literal["logits", "probabilities"] = "logits",
    center: Literal["none", "class"] = "none",
    normalize: bool = False,
    keep: Keep = "mean-prob",
) -> Method:
    """An ensemble whose components are pushed to be uncorrelated, so that together they cover more of what a retrain could give.

    Args:
        components: J >= 2.
        weight: λ of AD eq. (6); the paper tries 0.02 to 1.
        matrix, signal, center, normalize: see `Decorrelation`.
        keep: what is kept at inference.
    Raises:
        BadSpec: fewer than two components.
    Source:
        AD eqs. (2)-(6).
    """
    _at_least_two("anti_distillation", components)
    return Method((Term(CrossEntropy()), Term(Decorrelation(matrix, signal, center, normalize), weight)), components, keep)


def co_distillation(
    weight: Weight = 1.0,
    *,
    kind: Literal["skl", "l1"] = "skl",
    ramp_epochs: float | None = None,
    components: int = 2,
    keep: Keep = "first",
) -> Method:
    """Networks that learn to agree with each other while they learn the labels; one of them is kept.

    Args:
        weight: β of CH eqs. (8) and (9).
        kind: distance, see `Agreement`.
        ramp_epochs: raise the weight linearly from 0 over so many epochs; left out, it is constant.
        components: J >= 2.
        keep: what is kept at inference; the paper keeps one network.
    Raises:
        BadSpec: fewer than two components, or a ramp of something that is a schedule already.
    Source:
        CH eqs. (8) and (9), section 3.2.
    """
    _at_least_two("co_distillation", components)
    if ramp_epochs is not None:
        if not isinstance(weight, float | int):
            raise BadSpec(f"co_distillation: got ramp_epochs={ramp_epochs} and the schedule {weight!r}; give one of them")
        weight = Ramp(weight, epochs=ramp_epochs)
    return Method((Term(CrossEntropy()), Term(Agreement(kind), weight)), components, keep)


def entropy_regulariser(alpha: Weight = 0.1) -> Method:
    """Cross entropy blended with the entropy of the predictions, which makes them more confident.

        (1 − α)·CE + α·H(f)

    Args:
        alpha: α of CH eq. (6); the paper tries 0.05 to 0.5.
    Source:
        CH eq. (6).
    """
    return Method(blend(alpha, CrossEntropy(), Entropy()))


def _at_least_two(name: str, components: int) -> None:
    if components < 2:
        raise BadSpec(f"{name}: got components={components}, expected at least 2: there is nothing to couple")


BUILDERS: dict[str, Callable[..., Method]] = {
    f.__name__: f for f in (baseline, ensemble, anti_distillation, co_distillation, entropy_regulariser)
}
"""The named methods; `traintwice list` shows them and the contract tests loop over them."""
