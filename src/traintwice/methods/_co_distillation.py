"""Co-distillation: methods that train components with an agreement loss and keep one of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses import Agreement, CrossEntropy, Entropy, Loss, PeerCrossEntropy, SymmetricKLToUniform
from traintwice.methods._ensembles import at_least_two
from traintwice.methods._method import Keep, Method, Term
from traintwice.schedules import Ramp, Weight

CouplingKind: TypeAlias = Literal["skl", "l1", "ce", "joint-ce"]


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
    at_least_two("co_distillation", components)
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
    at_least_two(name, components)
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


def _coupling(name: str, kind: CouplingKind, lag_steps: int) -> Loss:
    """The agreement loss of a kind."""
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
