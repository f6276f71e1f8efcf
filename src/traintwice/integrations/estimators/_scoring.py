"""Scorers of the change against an old model, and a choice of the candidate that changes least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from traintwice._typed import typed
from traintwice.errors import BadInput

__all__ = ["Scorer", "churn_scorer", "least_churn"]

Scorer = Callable[..., float]


def churn_scorer(old: Any) -> Scorer:
    """A scorer: minus the share of rows whose predicted label differs from an old model's, in [-1, 0].

    Higher is better, as scikit-learn expects. 0: all answers stay; -0.05: 5 answers in 100 change.

    Args:
        old: a fitted classifier that predicts the labels of the new one.
    Returns:
        ``score(model, X, y=None)``, for ``scoring=`` of cross-validation and searches.
    Raises:
        sklearn.exceptions.NotFittedError: the old model is not fitted.
    Example:
        >>> from sklearn.dummy import DummyClassifier
        >>> X, y = np.zeros((4, 1)), [0, 0, 0, 1]
        >>> old = DummyClassifier(strategy="constant", constant=1).fit(X, y)
        >>> churn_scorer(old)(DummyClassifier().fit(X, y), X)
        -1.0
    """
    check_is_fitted(old)

    def score(model: Any, X: Any, y: Any = None) -> float:
        return -float(np.mean(np.asarray(model.predict(X)) != np.asarray(old.predict(X))))

    return score


@typed
def least_churn(
    max_drop: float = 0.005, *, accuracy: str = "accuracy", churn: str = "churn"
) -> Callable[[Mapping[str, Any]], int]:
    """A rule for ``refit=`` of a search: the candidate with the least churn whose accuracy is close to the best.

    Args:
        max_drop: largest loss of mean accuracy against the best candidate that is accepted; 0.005 is half a percentage point.
        accuracy, churn: names of the two scores in ``scoring=``.
    Returns:
        A function from ``cv_results_`` to the index of the candidate.
    Raises:
        BadInput: when called, scores that the search does not have.
    Example:
        >>> results = {"mean_test_accuracy": [0.90, 0.91, 0.80], "mean_test_churn": [-0.02, -0.05, -0.01]}
        >>> least_churn(0.01)(results), least_churn(0.0)(results)
        (0, 1)
    """

    def choose(results: Mapping[str, Any]) -> int:
        for name in (accuracy, churn):
            if f"mean_test_{name}" not in results:
                raise BadInput(
                    f"least_churn: the search has no score named {name!r}; pass scoring={{{accuracy!r}: ..., {churn!r}: ...}}"
                )
        right, change = (np.asarray(results[f"mean_test_{name}"], dtype=float) for name in (accuracy, churn))
        close = right >= np.nanmax(right) - max_drop - 1e-12
        return int(np.flatnonzero(close)[np.argmax(change[close])])

    return choose
