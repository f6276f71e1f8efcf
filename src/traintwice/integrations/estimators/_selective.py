"""An ensemble that abstains where its fits do not agree enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier

from traintwice.errors import BadInput
from traintwice.integrations.estimators._average import SeveralFits
from traintwice.statistics._significance import mcnemar

__all__ = ["Coverage", "SelectiveEnsemble"]


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
        self.estimator = estimator
        self.n_fits = n_fits
        self.alpha = alpha
        self.abstain_label = abstain_label
        self.bootstrap = bootstrap
        self.random_state = random_state
        self.n_jobs = n_jobs

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
