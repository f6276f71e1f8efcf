"""Any estimator as a training for `traintwice.replicate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.base import clone, is_classifier

from traintwice.errors import BadInput, BadSpec
from traintwice.integrations.estimators._fits import with_random_state
from traintwice.predictions import from_arrays
from traintwice.replication import Run

DATA = "data"


@dataclass(frozen=True)
class EstimatorTraining:
    """A training of an estimator for `traintwice.replicate`: the seeds at every depth come from the source "seed", the rows from "data".

    Works with estimators of scikit-learn, XGBoost, LightGBM and CatBoost, in pipelines and searches too. Settings of a recipe are
    parameters of the estimator, such as ``{"max_depth": 3}`` or ``{"clf__max_depth": 3}``.

    Args:
        estimator: unfitted; a copy is fitted.
        X, y: all training rows.
        X_test: test rows.
        y_test: labels of the test rows of a classifier; None where they are not known. Of a regressor pass them to `replicate`:
            ``labels=y_test, regression=True``.
        rows: "all"; "bootstrap": as many rows as there are, drawn with replacement for each replica; or a share in (0, 1], drawn without.

    A replica gives probabilities ``N K`` of the classes in ``y``, predicted labels where the estimator has no probabilities, or
    numbers of a regressor.

    Raises:
        BadSpec: ``rows`` is not valid, or replicas are to vary by "data" and all have the same rows. BadInput: a label of the test rows
        that no training row has.
    Source:
        Ours.
    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> train = EstimatorTraining(DecisionTreeClassifier(), X[::2], y[::2], X[1::2], y[1::2], rows="bootstrap")
        >>> train(Run("base", 0)).classes
        3
    """

    estimator: Any
    X: Any
    y: Any
    X_test: Any
    y_test: Any = None
    rows: Literal["all", "bootstrap"] | float = "all"

    def __post_init__(self) -> None:
        if self.rows not in ("all", "bootstrap") and not (isinstance(self.rows, int | float) and 0 < self.rows <= 1):
            raise BadSpec(f"EstimatorTraining.rows: got {self.rows!r}, expected 'all', 'bootstrap' or a share in (0, 1]")

    def __call__(self, run: Run, **settings: Any) -> Any:
        """Predictions of the test rows by one replica."""
        model = with_random_state(clone(self.estimator).set_params(**settings), run.seed)
        X, y = self._rows(run)
        model.fit(X, y)
        if not is_classifier(model):
            return model.predict(self.X_test)
        classes = np.unique(np.asarray(self.y))
        if hasattr(model, "predict_proba"):
            found: np.ndarray = np.zeros(
                (len(self.X_test), len(classes))
            )  # a class that a sample of the rows lacks keeps probability 0
            found[:, np.searchsorted(classes, np.asarray(model.classes_))] = model.predict_proba(self.X_test)
        else:
            found = np.searchsorted(classes, np.asarray(model.predict(self.X_test)).ravel())
        return from_arrays([found], label=self._labels(classes), classes=[str(name) for name in classes])

    def _rows(self, run: Run) -> tuple[Any, Any]:
        """The training rows of a replica."""
        if self.rows == "all":
            if run.vary is not None and DATA in run.vary:
                raise BadSpec('vary: "data" has no effect with EstimatorTraining(rows="all"); pass rows="bootstrap" or a share')
            return self.X, self.y
        drawn = run.sample(len(self.y), share=None if self.rows == "bootstrap" else float(self.rows))
        return tuple(part.iloc[drawn] if hasattr(part, "iloc") else part[drawn] for part in (self.X, self.y))

    def _labels(self, classes: np.ndarray) -> np.ndarray | None:
        """Numbers of the classes of the test rows."""
        if self.y_test is None:
            return None
        labels = np.asarray(self.y_test)
        strange = np.setdiff1d(labels, classes)
        if len(strange):
            raise BadInput(
                f"EstimatorTraining.y_test: no training row has the label {strange.tolist()[0]!r}; the labels are {classes.tolist()}"
            )
        return np.searchsorted(classes, labels)
