"""Backward-compatible updates: which rows take the new model's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from traintwice._typed import typed
from traintwice.compare._replicas import in_memory
from traintwice.compare._selective import share_of
from traintwice.compare._shown import SCHEMA_VERSION, Shown, plain
from traintwice.errors import BadInput
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions, Reading, open_rows
from traintwice.types import Array, Estimate


@dataclass(frozen=True, eq=False, repr=False)
class PredictionUpdate(Shown):
    """Answers to serve, and what the decision changed.

    Attributes:
        answers: class to serve for each row, shape ``N``.
        taken: True where the new answer is served and differs from the old one, shape ``N``.
        churn_new, churn_served: share of rows whose answer would change with the new model, and changes here.
        accuracy_old, accuracy_new, accuracy_served: None without labels.
        negative_flips_new, negative_flips_served: share of rows that the old model has right and the new model, or the served answer,
            has wrong; None without labels.
        ids: of the rows of files with ids; None otherwise.
        class_names: of the classes; None where unknown.
    """

    answers: np.ndarray
    taken: np.ndarray
    churn_new: Estimate
    churn_served: Estimate
    accuracy_old: Estimate | None
    accuracy_new: Estimate | None
    accuracy_served: Estimate | None
    negative_flips_new: Estimate | None
    negative_flips_served: Estimate | None
    ids: Array | None = None
    class_names: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the answers of the rows."""
        estimates = [f"{name}_{which}" for name in ("churn", "accuracy", "negative_flips") for which in ("old", "new", "served")]
        return {
            "schema": SCHEMA_VERSION,
            "rows": len(self.answers),
            "taken": int(self.taken.sum()),
            **{name: plain(getattr(self, name)) for name in estimates if hasattr(self, name)},
        }


@typed
def update_predictions(
    old: Any,
    new: Any,
    label: Any = None,
    /,
    *,
    flip_cost: float = 2.0,
    calibration: tuple[Any, Any] | None = None,
    calibration_label: Array | None = None,
    level: float = 0.95,
    **reading: Unpack[Reading],
) -> PredictionUpdate:
    r"""For each row, serve the new model's answer or keep the old one, so that negative flips count more than errors fixed.

        take the new answer b over the old answer a where belief(b) > flip_cost · belief(a)

    Without ``calibration`` the belief in a class is the mean of both models' probabilities. With it,
    belief(k) ∝ π_k · P(old answers a | k) · P(new answers b | k), from counts of labelled rows: it needs predicted labels only, and takes
    the errors of the two models as independent within a class.

    Args:
        old, new: probabilities ``N K`` or predicted labels ``N`` of the same rows, or two files or tables, matched by id.
        label: true labels ``N`` of arrays, or the name of their column in files, for the report only; also by its name, ``label=``.
        flip_cost: cost of a negative flip over the gain of a fixed error, > 0. 1 serves the likelier answer; larger keeps more old answers.
        calibration: old and new predictions of other rows, with labels.
        calibration_label: true labels of calibration arrays.
        level: nominal coverage of the intervals, for new rows and these two models.
        reading: columns of all files, see `open_predictions`.
    Returns:
        `PredictionUpdate`. ``negative_flips_served`` of 0.01 next to ``negative_flips_new`` of 0.03 reads: two of three negative flips are
        avoided.
    Raises:
        BadInput: a cost that is not positive, predicted labels without ``calibration``, calibration rows without labels; see
            `open_predictions`.
    Source:
        Träuble et al. 2021, "Backward-Compatible Prediction Updates": posterior and cost-ratio rule. Ours: the mean of
        probabilities where there are no labelled rows, class shares with one added to each count as π.
    Example:
        >>> old = np.array([[0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])
        >>> new = np.array([[0.1, 0.9], [0.45, 0.55], [0.1, 0.9]])
        >>> update_predictions(old, new, flip_cost=1.5).answers
        array([1, 0, 1])
    """
    if not flip_cost > 0:
        raise BadInput(f"update_predictions: got flip_cost={flip_cost}, expected a number above 0")
    pair = _pair(old, new, label, reading)
    a, b = to_numpy(pair.votes).astype(np.int64)
    if calibration is not None:
        belief = _posterior(_pair(*calibration, calibration_label, reading), a, b)
    elif pair.has_probs:
        belief = to_numpy(pair.probs).mean(0)
    else:
        raise BadInput("update_predictions: got predicted labels; pass calibration=(old, new) of labelled rows, or probabilities")
    rows = np.arange(len(a))
    taken = (a != b) & (belief[rows, b] > flip_cost * belief[rows, a])
    answers = np.where(taken, b, a)
    y = to_numpy(pair.labels) if pair.has_labels else None

    def share(mask: np.ndarray) -> Estimate:
        return share_of(mask, 2, level)

    def against(answered: np.ndarray) -> tuple[Estimate | None, Estimate | None]:
        """Accuracy, and negative flips against the old model."""
        return (None, None) if y is None else (share(answered == y), share((a == y) & (answered != y)))

    accuracy_new, flips_new = against(b)
    accuracy_served, flips_served = against(answers)
    return PredictionUpdate(
        answers,
        taken,
        churn_new=share(a != b),
        churn_served=share(taken),
        accuracy_old=against(a)[0],
        accuracy_new=accuracy_new,
        accuracy_served=accuracy_served,
        negative_flips_new=flips_new,
        negative_flips_served=flips_served,
        ids=pair.ids,
        class_names=None if pair.class_names is None else tuple(pair.class_names),
    )


def _pair(old: Any, new: Any, label: Any, reading: Reading) -> Predictions:
    """Both models as two replicas on the rows that they share."""
    options: Reading = {**reading, **({} if label is None else {"label": label})}
    with open_rows([old, new], ["old", "new"], **options) as rows:
        pair = in_memory(rows, "update_predictions reads")
    if pair.has_scores or pair.has_outcomes:
        raise BadInput("update_predictions: got numbers or outcomes, expected probabilities or predicted labels")
    return pair


def _posterior(known: Predictions, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Belief in each class of rows answered a by the old and b by the new model, up to a factor, ``N K``."""
    if not known.has_labels:
        raise BadInput("update_predictions: calibration rows have no labels; pass calibration_label=, or label= for files")
    y, votes = to_numpy(known.labels).astype(np.int64), to_numpy(known.votes).astype(np.int64)
    classes = int(max(y.max(), votes.max(), a.max(), b.max())) + 1
    share = (np.bincount(y, minlength=classes) + 1) / (len(y) + classes)
    belief = np.broadcast_to(share, (len(a), classes)).copy()
    for model, answered in zip(votes, (a, b), strict=True):
        counts = np.bincount(y * classes + model, minlength=classes**2).reshape(classes, classes) + 1
        belief *= (counts / counts.sum(1, keepdims=True)).T[answered]
    return belief
