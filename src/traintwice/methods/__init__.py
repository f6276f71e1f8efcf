"""Methods as data: the loss, the number of components and the output kept at inference; with a builder for each named method."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.methods._method import Keep, Memories, Method, Term, blend
from traintwice.methods._one_network import (
    anchor,
    baseline,
    confidence_penalty,
    elodi,
    ensemble_distillation,
    entropy_regulariser,
    focal_distillation,
    label_smoothing,
    logged_distillation,
    logit_l2,
    neighbour_smoothing,
    symmetric_kl_regulariser,
)
from traintwice.methods._several_networks import (
    anti_distillation,
    anti_distillation_cross_entropy,
    anti_distillation_difference,
    anti_distillation_gram_schmidt,
    averaged_ensemble,
    co_distillation,
    ensemble,
    regularised_co_distillation,
)

BUILDERS: dict[str, Callable[..., Method]] = {
    f.__name__: f
    for f in (
        baseline,
        ensemble,
        averaged_ensemble,
        anti_distillation,
        anti_distillation_gram_schmidt,
        anti_distillation_difference,
        anti_distillation_cross_entropy,
        co_distillation,
        regularised_co_distillation,
        entropy_regulariser,
        symmetric_kl_regulariser,
        confidence_penalty,
        label_smoothing,
        logit_l2,
        ensemble_distillation,
        elodi,
        neighbour_smoothing,
        logged_distillation,
        anchor,
        focal_distillation,
    )
}
"""The named methods; `traintwice list` shows them and the contract tests loop over them."""

__all__ = [
    "BUILDERS",
    "Keep",
    "Memories",
    "Method",
    "Term",
    "anchor",
    "anti_distillation",
    "anti_distillation_cross_entropy",
    "anti_distillation_difference",
    "anti_distillation_gram_schmidt",
    "averaged_ensemble",
    "baseline",
    "blend",
    "co_distillation",
    "confidence_penalty",
    "elodi",
    "ensemble",
    "ensemble_distillation",
    "entropy_regulariser",
    "focal_distillation",
    "label_smoothing",
    "logged_distillation",
    "logit_l2",
    "neighbour_smoothing",
    "regularised_co_distillation",
    "symmetric_kl_regulariser",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
