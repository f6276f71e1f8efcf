"""Any estimator as a training for `traintwice.replicate`, and networks trained together as estimators (PyTorch is imported by fit)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from traintwice.errors import BadInput, BadSpec, require
from traintwice.integrations.estimators._fits import with_random_state
from traintwice.predictions import from_arrays
from traintwice.randomness import stream
from traintwice.replication import Run

if TYPE_CHECKING:
    from traintwice.methods import Method

__all__ = ["AntiDistilledClassifier", "CoDistilledClassifier", "NetworkClassifier"]


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


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """J fully connected networks trained together with Adam by a method of this package."""

    def __init__(
        self,
        *,
        weight: Any = 1.0,
        components: int = 2,
        hidden: Sequence[int] = (100,),
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.weight = weight
        self.components = components
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train.

        Args:
            X: rows of numbers ``N D``, scaled to about unit variance.
            y: labels ``N``, of at least two classes.
        Raises:
            BadInput: one class, or a setting outside its range. MissingExtra: PyTorch is not installed.
        """
        require("torch", extra="torch", purpose=f"{type(self).__name__}.fit")
        import torch

        from traintwice.integrations.components import Components
        from traintwice.nets import MLP

        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise BadInput(
                f"{type(self).__name__}.fit: got labels of one class ({self.classes_[0]!r}), expected at least two classes"
            )
        for name in ("epochs", "batch_size"):
            if not getattr(self, name) >= 1:
                raise BadInput(f"{type(self).__name__}.{name}: got {getattr(self, name)!r}, expected at least 1")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        method = self._method().resolve(-(-len(X) // self.batch_size))
        streams = iter([stream(seed, "initialisation", component=j) for j in range(method.components)])
        network = MLP(tuple(self.hidden))
        model = Components(lambda: network.build((X.shape[1],), len(self.classes_), next(streams)), method).double()
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate)
        inputs, labels = torch.from_numpy(X), torch.from_numpy(numbers)
        for epoch in range(self.epochs):
            order = torch.from_numpy(stream(seed, "order", epoch=epoch).permutation(len(X)))
            for rows in torch.split(order, self.batch_size):
                loss = model.loss(inputs[rows], labels[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        self.model_ = model.deployed()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities ``N K`` of the kept networks."""
        check_is_fitted(self)
        import torch

        X = validate_data(self, X, dtype=np.float64, reset=False)
        with torch.no_grad():
            return np.asarray(self.model_(torch.from_numpy(X)).numpy())

    def predict(self, X: Any) -> np.ndarray:
        """Labels of the largest probability."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _method(self) -> Method:
        """What is trained."""
        raise NotImplementedError


class CoDistilledClassifier(NetworkClassifier):
    """Networks that are trained to agree with each other; the first is kept and served.

    Args:
        weight: β of the agreement loss, a number or a schedule.
        components: J >= 2 networks.
        hidden: widths of the hidden layers.
        epochs, batch_size, learning_rate: of Adam.
        random_state: seed of initial weights and of the order of mini-batches.

    Training costs J times one network, serving as much as one.

    Attributes:
        classes_: sorted labels. model_: PyTorch module from inputs to probabilities.
    Source:
        See `traintwice.methods.co_distillation`.
    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.preprocessing import scale
        >>> X, y = load_iris(return_X_y=True)
        >>> model = CoDistilledClassifier(epochs=20, hidden=(16,), learning_rate=0.01, random_state=0).fit(scale(X), y)
        >>> model.score(scale(X), y) > 0.9
        True
    """

    def _method(self) -> Method:
        from traintwice.methods import co_distillation

        return co_distillation(self.weight, components=self.components)


class AntiDistilledClassifier(NetworkClassifier):
    """An ensemble trained by anti-distillation (decorrelated ensemble); the mean of its probabilities is served.

    Args:
        weight: λ of the decorrelation loss, a number or a schedule.
        components, hidden, epochs, batch_size, learning_rate, random_state: see `CoDistilledClassifier`.

    Training and serving cost J times one network.

    Attributes:
        classes_: sorted labels. model_: PyTorch module from inputs to probabilities.
    Source:
        See `traintwice.methods.anti_distillation`. Ours: logits are centred over classes, since softmax ignores their mean.
    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.preprocessing import scale
        >>> X, y = load_iris(return_X_y=True)
        >>> model = AntiDistilledClassifier(epochs=20, hidden=(16,), learning_rate=0.01, random_state=0).fit(scale(X), y)
        >>> model.score(scale(X), y) > 0.9
        True
    """

    def __init__(
        self,
        *,
        weight: Any = 0.05,
        components: int = 2,
        hidden: Sequence[int] = (100,),
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            weight=weight, components=components, hidden=hidden, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            random_state=random_state,
        )  # fmt: skip

    def _method(self) -> Method:
        from traintwice.methods import anti_distillation

        return anti_distillation(self.components, self.weight, center="class")
