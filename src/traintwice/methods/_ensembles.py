"""Methods that train and serve an ensemble."""

from __future__ import annotations

from typing import Literal

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses import (
    CrossEntropy,
    CrossEntropyDifference,
    Decorrelation,
    Difference,
    EnsembleCrossEntropy,
    GateCrossEntropy,
    GramSchmidt,
    Loss,
    LossWithMemory,
    RunningDecorrelation,
)
from traintwice.methods._method import Keep, Method, Term
from traintwice.schedules import Weight


@typed
def ensemble(components: int = 2, keep: Keep = "mean-prob") -> Method:
    """Independent networks, averaged at inference.

    Source: AD section 2; CH Table 7. No gradient passes through the average. With ``keep="gate"`` a gate weights the components for
    each example; its gradient stops at the components.
    """
    return _of(components, keep)


@typed
def averaged_ensemble(components: int = 2, weight: Weight = 1.0, *, average: Literal["prob", "logit"] = "prob") -> Method:
    """An ensemble with a loss on its average too; the gradient passes through the average into the components.

        Σ_j CE_j + weight·CE(average)

    Args:
        components: J >= 2.
        weight: of the loss of the average.
        average: of probabilities or of logits, in the loss and at inference.
    Raises:
        BadSpec: fewer than two components.
    Source:
        AD section 2 ("although some systems may allow such propagation").
    """
    at_least_two("averaged_ensemble", components)
    return _of(components, "mean-prob" if average == "prob" else "mean-logit", Term(EnsembleCrossEntropy(average), weight))


@typed
def anti_distillation(
    components: int = 2,
    weight: Weight = 0.05,
    *,
    matrix: Literal["second-moment", "covariance", "residue"] = "second-moment",
    signal: str = "logits",
    center: Literal["none", "class"] = "none",
    normalize: bool = False,
    rho: float | None = None,
    keep: Keep = "mean-prob",
) -> Method:
    """Anti-distillation (decorrelated ensemble): an ensemble whose components are pushed to be uncorrelated.

    Args:
        components: J >= 2.
        weight: λ of AD eq. (6); the paper has 0.02 to 1.
        matrix, signal, center, normalize: see `Decorrelation`.
        rho: estimate the matrix over several mini-batches, see `RunningDecorrelation`; None estimates it on each mini-batch.
        keep: output kept at inference.
    Raises:
        BadSpec: fewer than two components.
    Source:
        AD eqs. (2)-(6).
    """
    at_least_two("anti_distillation", components)
    coupling: Loss | LossWithMemory
    if rho is None:
        coupling = Decorrelation(matrix, signal, center, normalize)
    else:
        coupling = RunningDecorrelation(rho, matrix, signal, center, normalize)
    return _of(components, keep, Term(coupling, weight))


@typed
def anti_distillation_gram_schmidt(
    components: int = 3,
    weight: Weight = 0.05,
    *,
    signal: str = "logits",
    center: Literal["none", "class"] = "none",
    keep: Keep = "mean-prob",
) -> Method:
    """Anti-distillation for three components or more: what they have in common counts once.

    Args:
        components: J >= 2; with two it is `anti_distillation` of second moments.
        weight: λ of AD eq. (6).
        signal, center: see `GramSchmidt`.
        keep: output kept at inference.
    Raises:
        BadSpec: fewer than two components.
    Source:
        AD section 4. Ours: the formula, see `GramSchmidt`.
    """
    at_least_two("anti_distillation_gram_schmidt", components)
    return _of(components, keep, Term(GramSchmidt(signal, center), weight))


@typed
def anti_distillation_difference(
    components: int = 2,
    weight: Weight = 0.05,
    *,
    form: Literal["negative", "inverse"] = "negative",
    power: float = 2.0,
    signal: str = "probabilities",
    center: Literal["none", "class"] = "none",
    keep: Keep = "mean-prob",
) -> Method:
    """An ensemble whose components are pushed apart on every example.

    Args:
        components: J >= 2.
        weight: λ of AD eq. (6).
        form, power, signal, center: see `Difference`.
        keep: output kept at inference.
    Raises:
        BadSpec: fewer than two components.
    Source:
        AD eqs. (6) and (7). Ours: probabilities by default; on logits the loss is unbounded below.
    """
    at_least_two("anti_distillation_difference", components)
    return _of(components, keep, Term(Difference(form, power, signal, center), weight))


@typed
def anti_distillation_cross_entropy(
    components: int = 2, weight: Weight = 0.05, *, form: Literal["negative", "inverse"] = "inverse", keep: Keep = "mean-prob"
) -> Method:
    """An ensemble whose components are pushed apart by the cross entropy between them.

    Args:
        components: J >= 2.
        weight: λ of AD eq. (6).
        form: see `CrossEntropyDifference`.
        keep: output kept at inference.
    Raises:
        BadSpec: fewer than two components.
    Source:
        AD section 4, in words. Ours: the inverse form by default; the negative form is unbounded below.
    """
    at_least_two("anti_distillation_cross_entropy", components)
    return _of(components, keep, Term(CrossEntropyDifference(form), weight))


@typed
def at_least_two(name: str, components: int) -> None:
    """Raise `BadSpec` for fewer than two components."""
    if components < 2:
        raise BadSpec(f"{name}: got components={components}, expected at least 2")


def _of(components: int, keep: Keep, *coupling: Term) -> Method:
    """Cross entropy, couplings, and the loss of a gate where one is kept."""
    gate = (Term(GateCrossEntropy()),) if keep == "gate" else ()
    return Method((Term(CrossEntropy()), *coupling, *gate), components, keep)
