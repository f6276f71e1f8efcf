"""Methods that train one network without a teacher."""

from __future__ import annotations

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses import CrossEntropy, Entropy, LabelSmoothing, LogitL2, SymmetricKLToUniform
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
