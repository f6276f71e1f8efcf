"""Several fits of an estimator with seeds of their own: their average, and an ensemble that abstains where they do not agree enough."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags, check_random_state, column_or_1d, get_tags
from sklearn.utils._indexing import _safe_indexing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.randomness import stream
from traintwice.statistics._inference import mcnemar

__all__ = ["Coverage", "Delegating", "SeedAverage", "SelectiveEnsemble", "SeveralFits", "with_random_state"]

SEED_NAMES = ("random_state", "random_seed")
"""Parameters that hold a seed; CatBoost has the second."""


@typed
def with_random_state(estimator: Any, seed: int) -> Any:
    """An unfitted copy of an estimator with a seed set wherever it takes one.

    Args:
        estimator: any scikit-learn estimator. Seeds are found in pipelines, searches, column transformers and other meta-estimators, and
            in splitters of cross-validation that are parameters.
        seed: the same seed gives the same copy. Each place gets a number of its own, drawn from the seed.
    Example:
        >>> from sklearn.ensemble import BaggingClassifier
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> one = with_random_state(BaggingClassifier(DecisionTreeClassifier()), 0)
        >>> one.random_state == one.estimator.random_state, one.random_state is None
        (False, False)
    """
    copied = clone(estimator)
    rng = stream(seed, "initialisation")
    for owner, name in places_of_seeds(copied):
        value = int(rng.integers(2**31 - 1))
        if hasattr(owner, "set_params"):
            owner.set_params(**{name: value})
        else:
            setattr(owner, name, value)
    return copied


def places_of_seeds(estimator: Any) -> list[tuple[Any, str]]:
    """Every owner and name of a seed inside an estimator, in the order of their paths."""
    found: dict[str, tuple[Any, str]] = {}
    parameters = estimator.get_params(deep=True)
    for path, value in {"": estimator, **parameters}.items():
        if isinstance(value, type):
            continue
        own = value.get_params(deep=False) if hasattr(value, "get_params") else getattr(value, "__dict__", {})
        if not any(name in own for name in SEED_NAMES) and hasattr(value, "get_params"):
            own = inspect.signature(type(value)).parameters  # CatBoost lists only the parameters that were given
        named = [name for name in SEED_NAMES if name in own]
        for name in named[:1]:  # the two are one parameter to CatBoost
            found[f"{path}__{name}"] = (value, name)
    return [found[path] for path in sorted(found)]


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

    def __init__(
        self, estimator: Any, *, n_fits: int = 5, bootstrap: bool = False, random_state: Any = None, n_jobs: int | None = None
    ) -> None:
        self.estimator = estimator
        self.n_fits = n_fits
        self.bootstrap = bootstrap
        self.random_state = random_state
        self.n_jobs = n_jobs

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
        if not self.bootstrap and not places_of_seeds(self.estimator):
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


@dataclass(frozen=True)
class Coverage:
    """How a selective ensemble does on labelled rows.

    Attributes:
        coverage: share of the rows that get an answer, in [0, 1].
        accuracy: share of the answers that are right; NaN if there are none.
        wrong: share of all rows with a wrong answer.
    """

    coverage: float
    accuracy: float
    wrong: float


class SelectiveEnsemble(SeveralFits):
    r"""J fits that vote, and abstain where a binomial test does not separate the first class from the second.

        abstain where p > alpha,   p = 2 · P(X <= n_b), X ~ Binomial(n_a + n_b, 1/2), at most 1

    where n_a and n_b are the votes of the two most frequent classes. With probability at least 1 − alpha an answer is the one that most
    fits of the estimator would give, so two selective ensembles rarely give different answers.

    Args:
        estimator: any classifier.
        n_fits: J; large enough for a unanimous vote to pass the test, 6 at alpha 0.05.
        alpha: level of the test, in (0, 1).
        abstain_label: what `predict` returns where the ensemble abstains, of the type of the labels; None returns the most frequent class.
        bootstrap, random_state, n_jobs: see `SeedAverage`.
    Source:
        Black et al. 2022 (selective ensembles for consistent predictions).
    Example:
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> model = SelectiveEnsemble(DecisionTreeClassifier(), bootstrap=True, random_state=0).fit(X[:900], y[:900])
        >>> result = model.coverage(X[900:], y[900:])
        >>> 0.2 < result.coverage < 0.9, result.accuracy > model.score(X[900:], y[900:])
        (True, True)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        n_fits: int = 10,
        alpha: float = 0.05,
        abstain_label: Any = None,
        bootstrap: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(estimator, n_fits=n_fits, bootstrap=bootstrap, random_state=random_state, n_jobs=n_jobs)
        self.alpha = alpha
        self.abstain_label = abstain_label

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit every copy; see `SeedAverage`.

        Raises:
            BadInput: not a classifier, a level outside (0, 1), or so few fits that all rows would be abstained on.
        """
        if not is_classifier(self.estimator):
            raise BadInput(f"SelectiveEnsemble.estimator: got {type(self.estimator).__name__}, expected a classifier")
        if not 0 < self.alpha < 1:
            raise BadInput(f"SelectiveEnsemble.alpha: got {self.alpha}, expected a number between 0 and 1")
        if 2 * 0.5**self.n_fits > self.alpha:
            least = int(np.ceil(np.log2(2 / self.alpha)))
            raise BadInput(
                f"SelectiveEnsemble.n_fits: got {self.n_fits}; a unanimous vote has p = {2 * 0.5**self.n_fits:.3g}, above alpha = "
                f"{self.alpha}, so no row would get an answer. Pass at least {least}"
            )
        return super().fit(X, y, sample_weight)

    def votes(self, X: Any) -> np.ndarray:
        """How many fits vote for each class, ``N K`` whole numbers."""
        labels = self.probs(X).argmax(axis=2)
        return np.asarray((labels[:, :, None] == np.arange(len(self.classes_))).sum(axis=0))

    def abstains(self, X: Any) -> np.ndarray:
        """Whether the ensemble abstains, ``N`` booleans."""
        return self._abstains(self.votes(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Shares of the votes, ``N K``."""
        votes = self.votes(X)
        return np.asarray(votes / len(self.estimators_))

    def predict(self, X: Any) -> np.ndarray:
        """The most frequent class, ties to the first; ``abstain_label`` where the ensemble abstains, if there is one."""
        votes = self.votes(X)
        labels = np.asarray(self.classes_[votes.argmax(axis=1)])
        if self.abstain_label is None:
            return labels
        return np.where(self._abstains(votes), np.asarray(self.abstain_label), labels)

    def coverage(self, X: Any, y: Any) -> Coverage:
        """Share of rows with an answer, and how often the answers are right."""
        votes = self.votes(X)
        answered = ~self._abstains(votes)
        right = self.classes_[votes.argmax(axis=1)] == np.asarray(y)
        accuracy = float(right[answered].mean()) if answered.any() else float("nan")
        return Coverage(float(answered.mean()), accuracy, float((answered & ~right).mean()))

    def _abstains(self, votes: np.ndarray) -> np.ndarray:
        if votes.shape[1] == 1:
            return np.zeros(len(votes), dtype=bool)
        second, first = np.sort(votes, axis=1)[:, -2:].T
        pairs, of_row = np.unique(np.stack([second, first], axis=1), axis=0, return_inverse=True)
        p = np.array([mcnemar(int(b), int(a)) for b, a in pairs])
        return np.asarray(p[of_row.ravel()] > self.alpha)


def _fitted(estimator: Any, X: Any, y: Any, sample_weight: Any, seed: int, bootstrap: bool) -> Any:
    one = with_random_state(estimator, seed)
    rows: Sequence[int] | None = None
    if bootstrap:
        count = _num_samples(X)
        rows = np.random.default_rng(seed).integers(count, size=count) if count else []
    chosen = [value if rows is None or value is None else _safe_indexing(value, rows) for value in (X, y, sample_weight)]
    return one.fit(*chosen[:2]) if sample_weight is None else one.fit(*chosen[:2], sample_weight=chosen[2])
