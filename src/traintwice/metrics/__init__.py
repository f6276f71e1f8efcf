"""Measures of quality and of disagreement, each a function of predictions; see `Metric` for what they share."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.metrics._accumulator import Accumulator
from traintwice.metrics._agreement import (
    ambiguity,
    churn_matrix,
    discrepancy,
    fleiss_kappa,
    unbiased_replica_variance,
    unbiased_variance,
    vote_entropy,
)
from traintwice.metrics._calibration import ConfidenceBins, calibration_error, calibration_error_equal_mass, confidence_bins
from traintwice.metrics._churn import (
    bad_churn,
    churn,
    churn_correct,
    churn_incorrect,
    churn_to_error,
    good_churn,
    lateral_churn,
    lateral_flips,
    negative_flips,
    positive_flips,
    win_loss_ratio,
)
from traintwice.metrics._decisions import decision_flips, mean_bias, precision, recall
from traintwice.metrics._definition import Definition, Measurement
from traintwice.metrics._differences import (
    delta_1,
    delta_2,
    delta_label,
    prediction_difference,
    regression_difference,
    relative_delta_1,
    relative_delta_positive,
    relative_pairwise,
    relative_regression_difference,
    score_difference,
)
from traintwice.metrics._divergences import (
    hellinger,
    jensen_shannon,
    kl_divergence,
    squared_hellinger,
    squared_l2,
    symmetric_kl,
)
from traintwice.metrics._functions import Metric, NonStreaming, WholeResult, mean_metric, non_streaming_metric, ratio_metric
from traintwice.metrics._identical import IdenticalReplicas, identical_replicas
from traintwice.metrics._means import MeanOf, RatioOf
from traintwice.metrics._multiplicity import (
    RangeAtQuantile,
    ShareAtLevel,
    ambiguity_against,
    discrepancy_against,
    percentile_width,
    replicas_within_loss,
    self_consistency,
    self_consistency_distribution,
    viable_range,
    viable_range_distribution,
)
from traintwice.metrics._pairwise import lemma_2_bound, pairwise_l1, surrogate_churn, tight_lemma_2_bound, total_variation
from traintwice.metrics._quality import (
    accuracy,
    brier,
    error,
    log_loss,
    mean_absolute_error,
    mean_error,
    mean_score,
    prediction_entropy,
    root_mean_squared_error,
)
from traintwice.metrics._ranking import auc, kendall_tau, rank_loss, top_k_overlap
from traintwice.metrics._summaries import Summary

_QUALITY = (accuracy, error, precision, recall, log_loss, mean_score, brier, mean_bias)
_CALIBRATION = (calibration_error, calibration_error_equal_mass, prediction_entropy)
_ERRORS = (auc, rank_loss, mean_absolute_error, root_mean_squared_error, mean_error)
_CHURN = (churn, churn_to_error, churn_correct, churn_incorrect, decision_flips, self_consistency)
_AGREEMENT = (discrepancy, ambiguity, vote_entropy, fleiss_kappa)
_FLIPS = (negative_flips, positive_flips, lateral_flips, bad_churn, good_churn, lateral_churn, win_loss_ratio)
_PROBABILITIES = (surrogate_churn, pairwise_l1, total_variation, delta_1, delta_2, delta_label, prediction_difference)
_RANGES = (viable_range, percentile_width)
_RELATIVE = (relative_delta_1, relative_delta_positive, relative_pairwise)
_DIVERGENCES = (kl_divergence, symmetric_kl, jensen_shannon, hellinger, squared_hellinger, squared_l2)
_BOUNDS = (lemma_2_bound, tight_lemma_2_bound)
_ORDER = (kendall_tau, top_k_overlap)
_SCORES = (regression_difference, relative_regression_difference, score_difference)

ALL: tuple[Metric, ...] = (
    *_QUALITY,
    *_CALIBRATION,
    *_ERRORS,
    *_CHURN,
    *_AGREEMENT,
    *_FLIPS,
    *_PROBABILITIES,
    *_RANGES,
    *_RELATIVE,
    *_DIVERGENCES,
    *_BOUNDS,
    *_ORDER,
    *_SCORES,
)
"""Every metric, in the order in which tables show them; the contract tests loop over it."""

__all__ = [
    "ALL",
    "Accumulator",
    "ConfidenceBins",
    "Definition",
    "IdenticalReplicas",
    "MeanOf",
    "Measurement",
    "Metric",
    "RangeAtQuantile",
    "RatioOf",
    "ShareAtLevel",
    "Summary",
    "WholeResult",
    "NonStreaming",
    "accuracy",
    "ambiguity",
    "ambiguity_against",
    "auc",
    "bad_churn",
    "brier",
    "calibration_error",
    "calibration_error_equal_mass",
    "churn",
    "churn_correct",
    "churn_incorrect",
    "churn_matrix",
    "churn_to_error",
    "confidence_bins",
    "decision_flips",
    "delta_1",
    "delta_2",
    "delta_label",
    "discrepancy",
    "discrepancy_against",
    "error",
    "fleiss_kappa",
    "good_churn",
    "hellinger",
    "identical_replicas",
    "jensen_shannon",
    "kendall_tau",
    "kl_divergence",
    "lateral_churn",
    "lateral_flips",
    "lemma_2_bound",
    "log_loss",
    "mean_score",
    "mean_absolute_error",
    "mean_bias",
    "mean_error",
    "mean_metric",
    "negative_flips",
    "pairwise_l1",
    "percentile_width",
    "positive_flips",
    "precision",
    "prediction_difference",
    "prediction_entropy",
    "rank_loss",
    "ratio_metric",
    "recall",
    "regression_difference",
    "relative_delta_1",
    "relative_delta_positive",
    "relative_pairwise",
    "relative_regression_difference",
    "replicas_within_loss",
    "root_mean_squared_error",
    "score_difference",
    "self_consistency",
    "self_consistency_distribution",
    "squared_hellinger",
    "squared_l2",
    "surrogate_churn",
    "symmetric_kl",
    "tight_lemma_2_bound",
    "top_k_overlap",
    "total_variation",
    "unbiased_replica_variance",
    "unbiased_variance",
    "viable_range",
    "viable_range_distribution",
    "vote_entropy",
    "non_streaming_metric",
    "win_loss_ratio",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
