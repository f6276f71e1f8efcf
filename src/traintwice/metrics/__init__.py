"""Measures of quality and of disagreement, each a function of predictions; see `Metric` for what they share."""

from traintwice.metrics.agreement import ambiguity, churn_matrix, discrepancy, fleiss_kappa, vote_entropy
from traintwice.metrics.calibration import calibration_error, calibration_error_equal_mass
from traintwice.metrics.churn import churn, churn_correct, churn_incorrect, churn_to_error
from traintwice.metrics.confidence import ConfidenceBins, confidence_bins
from traintwice.metrics.decisions import decision_flips, mean_bias, precision, recall
from traintwice.metrics.definition import Definition, Measurement
from traintwice.metrics.divergences import jensen_shannon, kl_divergence, symmetric_kl
from traintwice.metrics.flips import (
    bad_churn,
    good_churn,
    lateral_churn,
    lateral_flips,
    negative_flips,
    positive_flips,
    win_loss_ratio,
)
from traintwice.metrics.functions import Metric, mean_metric, ratio_metric, whole_metric
from traintwice.metrics.lemma_bounds import lemma_2_bound, tight_lemma_2_bound
from traintwice.metrics.means import MeanOf, RatioOf
from traintwice.metrics.pairwise import pairwise_l1, total_variation
from traintwice.metrics.prediction_difference import delta_1, delta_2, delta_label, prediction_difference
from traintwice.metrics.quality import accuracy, brier, error, log_loss, prediction_entropy
from traintwice.metrics.ranking import auc, kendall_tau, rank_loss, top_k_overlap
from traintwice.metrics.regression_errors import mean_absolute_error, mean_error, root_mean_squared_error
from traintwice.metrics.relative_difference import relative_delta_1, relative_delta_positive, relative_pairwise
from traintwice.metrics.score_difference import regression_difference, relative_regression_difference, score_difference
from traintwice.metrics.squared_distances import hellinger, squared_hellinger, squared_l2
from traintwice.metrics.streaming import Accumulator, Summary
from traintwice.metrics.surrogate_churn import surrogate_churn
from traintwice.metrics.whole import Whole, WholeOf

ALL: tuple[Metric, ...] = (
    accuracy,
    error,
    precision,
    recall,
    log_loss,
    brier,
    mean_bias,
    calibration_error,
    calibration_error_equal_mass,
    prediction_entropy,
    auc,
    rank_loss,
    mean_absolute_error,
    root_mean_squared_error,
    mean_error,
    churn,
    churn_to_error,
    churn_correct,
    churn_incorrect,
    decision_flips,
    discrepancy,
    ambiguity,
    vote_entropy,
    fleiss_kappa,
    negative_flips,
    positive_flips,
    lateral_flips,
    bad_churn,
    good_churn,
    lateral_churn,
    win_loss_ratio,
    surrogate_churn,
    pairwise_l1,
    total_variation,
    delta_1,
    delta_2,
    delta_label,
    prediction_difference,
    relative_delta_1,
    relative_delta_positive,
    relative_pairwise,
    kl_divergence,
    symmetric_kl,
    jensen_shannon,
    hellinger,
    squared_hellinger,
    squared_l2,
    lemma_2_bound,
    tight_lemma_2_bound,
    kendall_tau,
    top_k_overlap,
    regression_difference,
    relative_regression_difference,
    score_difference,
)
"""Every metric, in the order in which tables show them; the contract tests loop over it."""

__all__ = [
    "ALL",
    "Accumulator",
    "ConfidenceBins",
    "Definition",
    "MeanOf",
    "Measurement",
    "Metric",
    "RatioOf",
    "Summary",
    "Whole",
    "WholeOf",
    "accuracy",
    "ambiguity",
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
    "error",
    "fleiss_kappa",
    "good_churn",
    "hellinger",
    "jensen_shannon",
    "kendall_tau",
    "kl_divergence",
    "lateral_churn",
    "lateral_flips",
    "lemma_2_bound",
    "log_loss",
    "mean_absolute_error",
    "mean_bias",
    "mean_error",
    "mean_metric",
    "negative_flips",
    "pairwise_l1",
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
    "root_mean_squared_error",
    "score_difference",
    "squared_hellinger",
    "squared_l2",
    "surrogate_churn",
    "symmetric_kl",
    "tight_lemma_2_bound",
    "top_k_overlap",
    "total_variation",
    "vote_entropy",
    "whole_metric",
    "win_loss_ratio",
]
