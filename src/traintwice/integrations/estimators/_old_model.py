"""What is made with the model that is replaced: distillation from its predictions, scorers of the change against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import column_or_1d
from sklearn.utils._indexing import _safe_indexing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted, has_fit_parameter

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.integrations.estimators._fits import Delegating

__all__ = ["LoggedDistillation", "churn_scorer", "least_churn"]


class LoggedDistillation(Delegating):
    r"""An estimator fitted to targets between the labels and an old model's predictions.

        t = λ·old + (1 − λ)·label

    A classifier sees every row once for each class k with t_k > 0, with label k and weight t_k: its log loss is then the cross entropy
    with targets t. A regressor is fitted to the numbers t.

    Args:
        estimator: any regressor, or any classifier whose ``fit`` takes ``sample_weight``. In a pipeline this is the last step.
        old: the old model, fitted and frozen (``sklearn.frozen.FrozenEstimator(model)``), so that it survives cross-validation;
            "logged": its predictions are passed to `fit`; None: there is no old model, labels alone count.
        share: λ in [0, 1].
        classes: labels of the columns of logged probabilities; None: the sorted labels of y.
    Attributes:
        estimators_: the fitted estimator, alone. classes_: its labels.
    Source:
        Jiang et al. 2022 (churn reduction via distillation). Ours: for regressors the same mixture of numbers.
    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.frozen import FrozenEstimator
        >>> from sklearn.linear_model import LogisticRegression
        >>> X, y = load_iris(return_X_y=True)
        >>> old = LogisticRegression(max_iter=1000).fit(X[::2], y[::2])
        >>> new = LoggedDistillation(LogisticRegression(max_iter=1000), FrozenEstimator(old), share=1.0).fit(X, y)
        >>> bool((new.predict(X) == old.predict(X)).mean() > 0.98)
        True
    """

    def __init__(self, estimator: Any, old: Any = "logged", *, share: float = 0.5, classes: Any = None) -> None:
        self.estimator = estimator
        self.old = old
        self.share = share
        self.classes = classes

    def fit(self, X: Any, y: Any, sample_weight: Any = None, logged: Any = None) -> Self:
        """Fit to the mixture.

        Args:
            X, y: rows and labels.
            sample_weight: of the rows.
            logged: the old model's predictions for the rows, with ``old="logged"``: probabilities ``N K`` (or ``N``, of the second of two
                classes), or numbers ``N`` for a regressor.
        Raises:
            BadInput: a share outside [0, 1], predictions that are missing or do not match, or a classifier that takes no weights.
        """
        if not 0 <= self.share <= 1:
            raise BadInput(f"LoggedDistillation.share: got {self.share}, expected a number from 0 to 1")
        if logged is None and isinstance(self.old, str):
            raise BadInput(
                "LoggedDistillation.fit: got no logged predictions, expected fit(X, y, logged=...), or an old model as old="
            )
        if logged is not None and not isinstance(self.old, str):
            raise BadInput("LoggedDistillation.fit: got logged predictions and old=, expected one of them")
        fit = self._fit_classes if is_classifier(self.estimator) else self._fit_numbers
        self.estimators_ = [fit(X, y, sample_weight, None if logged is None else np.asarray(logged, dtype=float))]
        return self

    @property
    def classes_(self) -> np.ndarray:
        """Labels of the fitted classifier, sorted."""
        return np.asarray(self._first("classes_"))

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities ``N K`` of the fitted classifier."""
        check_is_fitted(self)
        return np.asarray(self.estimators_[0].predict_proba(X))

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the fitted classifier."""
        check_is_fitted(self)
        return np.asarray(self.estimators_[0].decision_function(X))

    def predict(self, X: Any) -> np.ndarray:
        """Labels or numbers of the fitted estimator."""
        check_is_fitted(self)
        return np.asarray(self.estimators_[0].predict(X))

    def _fit_numbers(self, X: Any, y: Any, sample_weight: Any, logged: np.ndarray | None) -> Any:
        if self.old is not None:
            old = logged if logged is not None else np.asarray(self.old.predict(X), dtype=float)
            y = np.asarray(y, dtype=float)
            if old.shape != y.shape:
                raise BadInput(f"LoggedDistillation.fit: got old predictions of shape {old.shape}, expected {y.shape}")
            y = self.share * old + (1 - self.share) * y
        return _fit(self.estimator, X, y, sample_weight)

    def _fit_classes(self, X: Any, y: Any, sample_weight: Any, logged: np.ndarray | None) -> Any:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if self.old is None or self.share == 0:
            return _fit(self.estimator, X, y, sample_weight)
        if not has_fit_parameter(self.estimator, "sample_weight"):
            raise BadInput(
                f"LoggedDistillation.estimator: {type(self.estimator).__name__}.fit takes no sample_weight, which the mixed targets need; "
                "in a pipeline make LoggedDistillation its last step"
            )
        count = _num_samples(X)
        old = logged if logged is not None else np.asarray(self.old.predict_proba(X), dtype=float)
        columns = np.asarray(self.classes) if self.classes is not None else np.unique(y)
        if logged is None:
            columns = np.asarray(self.old.classes_)
        elif old.ndim == 1:
            old = np.stack([1 - old, old], axis=1)
        if old.shape != (count, len(columns)):
            raise BadInput(
                f"LoggedDistillation.fit: got old probabilities of shape {old.shape}, expected {(count, len(columns))}, a column for each "
                f"of {', '.join(map(str, columns[:10]))}; pass classes= for other columns"
            )
        if not (np.isfinite(old).all() and (old >= 0).all() and np.allclose(old.sum(axis=1), 1, atol=1e-4)):
            raise BadInput("LoggedDistillation.fit: got old probabilities that are negative or do not sum to 1 in each row")
        labels = np.union1d(columns, y)
        targets = np.zeros((count, len(labels)))
        targets[:, np.searchsorted(labels, columns)] = self.share * old
        targets[np.arange(count), np.searchsorted(labels, y)] += 1 - self.share
        targets *= _check_sample_weight(sample_weight, X)[:, None]
        rows, classes = np.nonzero(targets)
        return _fit(self.estimator, _safe_indexing(X, rows), labels[classes], targets[rows, classes])


def _fit(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    one = clone(estimator)
    return one.fit(X, y) if sample_weight is None else one.fit(X, y, sample_weight=sample_weight)


def churn_scorer(old: Any) -> Callable[..., float]:
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
