"""The average of several fits of an estimator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags, check_random_state, column_or_1d, get_tags
from sklearn.utils._indexing import _safe_indexing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from traintwice.errors import BadInput
from traintwice.integrations.estimators._seeds import places, with_random_state

__all__ = ["Delegating", "SeedAverage", "SeveralFits"]


class Delegating(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """What estimators around another estimator share: its kind, its tags, its inputs."""

    estimator: Any

    def __sklearn_tags__(self) -> Tags:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags, tags.input_tags = inner.target_tags, inner.input_tags
        if tags.classifier_tags is not None:
            tags.target_tags.multi_output = tags.classifier_tags.multi_label = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimators_")

    @property
    def n_features_in_(self) -> int:
        """Features seen in `fit`."""
        return int(self._first("n_features_in_"))

    @property
    def feature_names_in_(self) -> Any:
        """Names of the features, where they were given as columns."""
        return self._first("feature_names_in_")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R² of a regressor."""
        measure = accuracy_score if is_classifier(self.estimator) else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    def predict(self, X: Any) -> np.ndarray:
        """Labels or numbers, ``N``."""
        raise NotImplementedError

    def _first(self, name: str) -> Any:
        """An attribute of the first fitted estimator."""
        if "estimators_" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} is not fitted and has no {name}")
        return getattr(self.estimators_[0], name)


class SeveralFits(Delegating):
    """Fits of one estimator with different seeds, on all rows or on bootstrap samples."""

    n_fits: int
    bootstrap: bool
    random_state: Any
    n_jobs: int | None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit every copy.

        Args:
            X: rows, as the estimator takes them.
            y: labels or numbers.
            sample_weight: of the rows, if the estimator takes it.
        Raises:
            BadInput: fewer than one fit, or weights that the estimator does not take.
        """
        if not isinstance(self.n_fits, int | np.integer) or self.n_fits < 1:
            raise BadInput(f"{type(self).__name__}.n_fits: got {self.n_fits!r}, expected a whole number of at least 1")
        if is_classifier(self.estimator):
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            self.classes_ = np.unique(y)
        if sample_weight is not None and not has_fit_parameter(self.estimator, "sample_weight"):
            raise BadInput(f"sample_weight: {type(self.estimator).__name__}.fit does not take it")
        if not self.bootstrap and not places(self.estimator):
            warnings.warn(
                f"{type(self).__name__}: {type(self.estimator).__name__} has no random_state, so all fits are equal; pass bootstrap=True",
                stacklevel=2,
            )
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.n_fits)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fitted)(self.estimator, X, y, sample_weight, int(seed), self.bootstrap) for seed in seeds
        )
        return self

    def probs(self, X: Any) -> np.ndarray:
        """Probabilities of every fit ``J N K``, one-hot votes where the estimator gives no probabilities."""
        check_is_fitted(self)
        found = []
        for one in self.estimators_:
            columns = np.searchsorted(self.classes_, one.classes_)
            if hasattr(one, "predict_proba"):
                values = one.predict_proba(X)
            else:
                values = np.eye(len(columns))[np.searchsorted(one.classes_, one.predict(X))]
            wide = np.zeros((len(values), len(self.classes_)))
            wide[:, columns] = values
            found.append(wide)
        return np.stack(found)


class SeedAverage(SeveralFits):
    """J fits of an estimator that differ in their seeds, or in their bootstrap samples too, and are averaged.

    Answers of the average change less between retrainings than those of one fit. It costs J times as much to train and to serve.

    Args:
        estimator: any classifier or regressor.
        n_fits: J.
        bootstrap: fit each on rows drawn with replacement (bagging), for estimators without randomness of their own.
        random_state: seed of the seeds.
        n_jobs: processes that fit, as of joblib.

    ``predict_proba`` is the mean of the probabilities, ``predict`` its largest entry; classifiers without probabilities vote, ties go to
    the first class. Regressors give the mean.

    Attributes:
        estimators_: the fits. classes_: sorted labels, of classifiers.
    Source:
        The plain ensemble of the papers (AD section 2); bagging: Breiman 1996.
    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SeedAverage(DecisionTreeClassifier(), n_fits=4, bootstrap=True, random_state=0).fit(X, y)
        >>> len(model.estimators_), model.score(X, y) > 0.9
        (4, True)
    """

    def __init__(
        self, estimator: Any, *, n_fits: int = 5, bootstrap: bool = False, random_state: Any = None, n_jobs: int | None = None
    ) -> None:
        self.estimator = estimator
        self.n_fits = n_fits
        self.bootstrap = bootstrap
        self.random_state = random_state
        self.n_jobs = n_jobs

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean probabilities ``N K``."""
        return np.asarray(self.probs(X).mean(axis=0))

    def predict(self, X: Any) -> np.ndarray:
        """Labels of the largest mean probability, or mean predictions."""
        check_is_fitted(self)
        if is_classifier(self.estimator):
            return np.asarray(self.classes_[self.probs(X).mean(axis=0).argmax(axis=1)])
        return np.asarray(np.mean([one.predict(X) for one in self.estimators_], axis=0))


def _fitted(estimator: Any, X: Any, y: Any, sample_weight: Any, seed: int, bootstrap: bool) -> Any:
    one = with_random_state(estimator, seed)
    rows: Sequence[int] | None = None
    if bootstrap:
        count = _num_samples(X)
        rows = np.random.default_rng(seed).integers(count, size=count) if count else []
    chosen = [value if rows is None or value is None else _safe_indexing(value, rows) for value in (X, y, sample_weight)]
    return one.fit(*chosen[:2]) if sample_weight is None else one.fit(*chosen[:2], sample_weight=chosen[2])
