"""scikit-learn estimators whose answers change less between retrainings, and scorers of such changes."""

from traintwice.errors import require

require("sklearn", extra="sklearn", purpose="traintwice.integrations.estimators")

from traintwice.integrations.estimators._fits import Coverage, SeedAverage, SelectiveEnsemble, with_random_state  # noqa: E402
from traintwice.integrations.estimators._old_model import LoggedDistillation, churn_scorer, least_churn  # noqa: E402
from traintwice.integrations.estimators._training import (  # noqa: E402
    AntiDistilledClassifier,
    CoDistilledClassifier,
    EstimatorTraining,
)

__all__ = [
    "AntiDistilledClassifier",
    "CoDistilledClassifier",
    "Coverage",
    "EstimatorTraining",
    "LoggedDistillation",
    "SeedAverage",
    "SelectiveEnsemble",
    "churn_scorer",
    "least_churn",
    "with_random_state",
]
