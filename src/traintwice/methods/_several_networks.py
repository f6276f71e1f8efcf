"""Methods that train several networks together: ensembles, and co-distillation, which keeps one of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses import (
    Agreement,
    CrossEntropy,
    CrossEntropyDifference,
    Decorrelation,
    Difference,
    EnsembleCrossEntropy,
    Entropy,
    GateCrossEntropy,
    GramSchmidt,
    Loss,
    LossWithMemory,
    PeerCrossEntropy,
    RunningDecorrelation,
    SymmetricKLToUniform,
)
from traintwice.methods._method import Keep, Method, Term
from traintwice.schedules import Ramp, Weight

CouplingKind: TypeAlias = Literal["skl", "l1", "ce", "joint-ce"]


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
    _at_least_two("averaged_ensemble", components)
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
    _at_least_two("anti_distillation", components)
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
    _at_least_two("anti_distillation_gram_schmidt", components)
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
    _at_least_two("anti_distillation_difference", components)
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
    _at_least_two("anti_distillation_cross_entropy", components)
    return _of(components, keep, Term(CrossEntropyDifference(form), weight))


@typed
def co_distillation(
    weight: Weight = 1.0,
    *,
    kind: CouplingKind = "skl",
    lag_steps: int = 0,
    ramp_epochs: float | None = None,
    components: int = 2,
    keep: Keep = "first",
) -> Method:
    """Trains J networks with an agreement loss and keeps the first.

    "skl" and "l1" are symmetric, so joint and independent updates are the same. The cross entropy is not: "ce" learns from constant
    peers (independent updates); with "joint-ce" the gradient flows into both arguments.

    Args:
        weight: β of CH eqs. (8), (9), (17); the paper has 0.01 to 0.08, which is small for a mean over examples.
        kind: "skl" and "l1", see `Agreement`; "ce", see `PeerCrossEntropy`; "joint-ce", the cross entropy of `Agreement`.
        lag_steps: T, with "ce": age of the peers in steps; 0 is the current components.
        ramp_epochs: raise the weight linearly from 0 over so many epochs; None uses ``weight`` unchanged.
        components: J >= 2.
        keep: output kept at inference; the paper keeps one network.
    Raises:
        BadSpec: fewer than two components, a ramp of a schedule, or a lag that has no effect.
    Source:
        CH eqs. (8) and (9), section 3.2; (17) and (18), appendix C, after Anil et al. 2018.
    """
    _at_least_two("co_distillation", components)
    coupling = Term(_coupling("co_distillation", kind, lag_steps), _ramped("co_distillation", weight, ramp_epochs))
    return Method((Term(CrossEntropy()), coupling), components, keep)


@typed
def regularised_co_distillation(
    weight: Weight = 1.0,
    alpha: Weight = 0.1,
    *,
    regulariser: Literal["entropy", "symmetric-kl"] = "entropy",
    kind: CouplingKind = "skl",
    lag_steps: int = 0,
    cap: float | None = None,
    top_k: int | None = None,
    renormalise: bool = True,
    ramp_epochs: float | None = None,
    components: int = 2,
    keep: Keep = "first",
) -> Method:
    """Co-distillation with a regulariser that makes predictions more confident.

        Σ_j CE_j + β·D + α·Σ_j H(f_j),   or with −SKL(f_j, Unif) instead of H

    Args:
        weight: β, as in `co_distillation`.
        alpha: α of CH eq. (19). The cross entropy has no factor (1 − α).
        regulariser: H ("entropy") or −SKL ("symmetric-kl").
        kind, lag_steps, components, keep: as in `co_distillation`.
        cap: with "symmetric-kl", see `SymmetricKLToUniform`.
        top_k, renormalise: see `Entropy`.
        ramp_epochs: raise both weights linearly from 0 over so many epochs.
    Raises:
        BadSpec: as in `co_distillation`; a cap with "entropy", which is bounded.
    Source:
        CH eq. (19), appendix D.
    """
    name = "regularised_co_distillation"
    _at_least_two(name, components)
    if regulariser not in ("entropy", "symmetric-kl"):
        raise BadSpec(f"{name}: got regulariser={regulariser!r}, expected one of 'entropy', 'symmetric-kl'")
    if regulariser == "entropy" and cap is not None:
        raise BadSpec(f"{name}: got cap={cap} with regulariser='entropy', which is bounded; leave cap out")
    entropy = regulariser == "entropy"
    confident: Loss = Entropy(top_k, renormalise) if entropy else SymmetricKLToUniform(cap, top_k, renormalise)
    terms = (
        Term(CrossEntropy()),
        Term(_coupling(name, kind, lag_steps), _ramped(name, weight, ramp_epochs)),
        Term(confident, _ramped(name, alpha, ramp_epochs)),
    )
    return Method(terms, components, keep)


def _at_least_two(name: str, components: int) -> None:
    if components < 2:
        raise BadSpec(f"{name}: got components={components}, expected at least 2")


def _of(components: int, keep: Keep, *coupling: Term) -> Method:
    """Cross entropy, couplings, and the loss of a gate where one is kept."""
    gate = (Term(GateCrossEntropy()),) if keep == "gate" else ()
    return Method((Term(CrossEntropy()), *coupling, *gate), components, keep)


def _coupling(name: str, kind: CouplingKind, lag_steps: int) -> Loss:
    if kind == "ce":
        return PeerCrossEntropy(lag_steps)
    if lag_steps:
        raise BadSpec(f"{name}: got lag_steps={lag_steps} with kind={kind!r}; only kind='ce' learns from older predictions")
    return Agreement("ce" if kind == "joint-ce" else kind)


def _ramped(name: str, weight: Weight, ramp_epochs: float | None) -> Weight:
    """The weight, ramped where ``ramp_epochs`` is set."""
    if ramp_epochs is None:
        return weight
    if not isinstance(weight, float | int):
        raise BadSpec(f"{name}: got ramp_epochs={ramp_epochs} and the schedule {weight!r}; expected one of the two")
    return Ramp(weight, epochs=ramp_epochs)
