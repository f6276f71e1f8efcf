"""Methods that train one network, alone or from earlier models."""

from __future__ import annotations

from typing import Literal

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses import (
    Anchor,
    CrossEntropy,
    Distillation,
    Entropy,
    FocalDistillation,
    LabelSmoothing,
    LoggedDistillation,
    LogitDifference,
    LogitL2,
    NeighbourSmoothing,
    SymmetricKLToUniform,
)
from traintwice.losses._loss import ends
from traintwice.methods._method import Method, Term, blend
from traintwice.schedules import Weight


@typed
def baseline() -> Method:
    """One network with the cross entropy.

    Source: the baseline of both papers.
    """
    return Method((Term(CrossEntropy()),))


@typed
def entropy_regulariser(alpha: Weight = 0.1, *, top_k: int | None = None, renormalise: bool = True) -> Method:
    """Cross entropy blended with the entropy of the predictions, which makes predictions more confident.

        (1 − α)·CE + α·H(f)

    Args:
        alpha: α of CH eq. (6); the paper has 0.05 to 0.5.
        top_k, renormalise: read the k largest predictions only, see `Entropy`; the paper uses k = 10 on ImageNet.
    Source:
        CH eq. (6); top-k, CH section 4.
    """
    return Method(blend(alpha, CrossEntropy(), Entropy(top_k, renormalise)))


@typed
def symmetric_kl_regulariser(
    alpha: Weight = 0.1, *, cap: float | None = None, top_k: int | None = None, renormalise: bool = True
) -> Method:
    """Cross entropy blended with the distance from the uniform distribution, which makes predictions more confident.

        (1 − α)·CE − α·SKL(f, Unif)

    Args:
        alpha: α of CH eq. (7); the paper has 0.05 to 0.5.
        cap: largest SKL of an example in nats, see `SymmetricKLToUniform`; None has no bound, as in the paper.
        top_k, renormalise: read the k largest predictions only, see `Entropy`.
    Source:
        CH eq. (7); top-k, CH section 4. Ours: ``cap``.
    """
    return Method(blend(alpha, CrossEntropy(), SymmetricKLToUniform(cap, top_k, renormalise)))


@typed
def confidence_penalty(alpha: Weight = -0.1) -> Method:
    """The entropy regulariser with a negative weight, which makes predictions less confident. A control.

        (1 − α)·CE + α·H(f),  α < 0

    Args:
        alpha: α of CH eq. (6), below 0.
    Raises:
        BadSpec: a number, or the end of a ramp, that is not negative.
    Source:
        Pereyra et al. 2017, whose weight β is −α / (1 − α) here, up to the scale of the whole.
    """
    if not min(ends(alpha), default=-1.0) < 0:
        raise BadSpec(
            f"confidence_penalty: got alpha={alpha}, expected a number below 0; use entropy_regulariser for positive alpha"
        )
    return Method(blend(alpha, CrossEntropy(), Entropy()))


@typed
def label_smoothing(smoothing: Weight = 0.1) -> Method:
    """Cross entropy with smoothed labels. A control.

    Args:
        smoothing: ε, see `LabelSmoothing`.
    Source:
        Szegedy et al. 2016.
    """
    return Method((Term(LabelSmoothing(smoothing)),))


@typed
def logit_l2(weight: Weight = 0.01, *, components: int = 1) -> Method:
    """Cross entropy and a penalty on the size of the logits: the control for anti-distillation, which also rewards small logits.

        CE + weight·Σ_k z_k²

    Args:
        weight: of the penalty.
        components: J; with several, the mean of their probabilities is kept, as in `anti_distillation`.
    Source:
        Ours.
    """
    return Method((Term(CrossEntropy()), Term(LogitL2(), weight)), components, "first" if components == 1 else "mean-prob")


@typed
def ensemble_distillation(
    weight: Weight = 0.5, *, temperature: float = 2.0, average: Literal["prob", "logit"] = "prob"
) -> Method:
    """One network that learns the labels and the softened predictions of a teacher, usually an ensemble (`Recipe.teacher`).

        (1 − w)·CE + w·T²·KL(teacher at T ‖ student at T)

    Args:
        weight: w in [0, 1].
        temperature, average: see `Distillation`.
    Source:
        Hinton et al. 2015; ensemble distillation of CH Table 2. Ours: each replica has its own teacher, whose cost counts.
    """
    return Method(blend(weight, CrossEntropy(), Distillation(temperature, average)))


@typed
def elodi(weight: Weight = 0.5, *, top_k: int | None = None, margin: float = 0.0, power: float = 2.0) -> Method:
    """One network that learns the labels and the highest logits of a homogeneous ensemble (`Recipe.teacher`), against negative flips.

        (1 − w)·CE + w·Σ over the top classes of max(|z − mean logits of the ensemble| − ξ, 0)^p

    The old and the new model are both trained so, each from an ensemble of its own recipe.

    Args:
        weight: w in [0, 1].
        top_k, margin, power: see `LogitDifference`.
    Source:
        Zhao et al. 2022 (ELODI, ensemble logit difference inhibition).
    """
    return Method(blend(weight, CrossEntropy(), LogitDifference(top_k, margin, power)))


@typed
def neighbour_smoothing(smoothing: Weight = 0.2, *, uniform: float = 0.1, neighbours: int = 10) -> Method:
    """One network that learns labels smoothed towards those of near examples, by the logits of a first model (`Recipe.teacher`).

    Args:
        smoothing, uniform, neighbours: see `NeighbourSmoothing`.
    Source:
        Bahri & Jiang 2021 (locally adaptive label smoothing).
    """
    return Method((Term(NeighbourSmoothing(smoothing, uniform, neighbours)),))


@typed
def logged_distillation(share: Weight = 0.5) -> Method:
    """One network that learns from the labels mixed with the logged predictions of the model it replaces.

    Args:
        share: λ, the share of the old model in the targets, see `LoggedDistillation`.
    Source:
        Jiang et al. 2022.
    """
    return Method((Term(LoggedDistillation(share)),))


@typed
def anchor(share: Weight = 0.5, epsilon: Weight = 0.5) -> Method:
    """One network that learns from the old model where the old model is right, with less weight on the labels elsewhere.

    Args:
        share, epsilon: see `Anchor`.
    Source:
        Milani Fard et al. 2016 (anchor, RCP).
    """
    return Method((Term(Anchor(share, epsilon)),))


@typed
def focal_distillation(weight: Weight = 1.0, *, base: Weight = 1.0, boost: Weight = 5.0, temperature: float = 1.0) -> Method:
    """Cross entropy and distillation from an old model with more weight where the old model is right, against negative flips.

        CE + weight·(base + boost·[old right])·T²·KL(old at T ‖ new at T)

    Args:
        weight: of the distillation.
        base, boost, temperature: see `FocalDistillation`.
    Raises:
        BadSpec: base and boost are both 0.
    Source:
        Yan et al. 2021 (positive-congruent training).
    """
    if base == boost == 0:
        raise BadSpec("focal_distillation: got base=0 and boost=0, expected one above 0")
    return Method((Term(CrossEntropy()), Term(FocalDistillation(base, boost, temperature), weight)))
