"""Answers to serve: selective ensembles, which answer where retrains agree, and updates that keep old answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Unpack

import numpy as np

from traintwice._typed import typed
from traintwice.compare._inputs import in_memory, open_replicas
from traintwice.compare._shown import SCHEMA_VERSION, Shown, fields_of, plain
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions, Reading, open_rows
from traintwice.statistics._inference import mcnemar, wilson
from traintwice.types import Array, Estimate

ABSTAIN = -1
"""Answer of a row without a significant majority."""


@dataclass(frozen=True, eq=False, repr=False)
class SelectiveEnsemble(Shown):
    """Answers of a selective ensemble, and how good they are.

    Attributes:
        answers: class of each row, or `ABSTAIN`, shape ``N``.
        alpha: level of the test.
        replicas: M, the models that vote.
        coverage: share of rows with an answer.
        accuracy: share of answered rows whose answer is right; None without labels or answers.
        majority_accuracy: accuracy of the majority vote on all rows; None without labels.
        ids: of the rows of files with ids; None otherwise.
        class_names: of the classes; None where unknown.
    """

    answers: np.ndarray
    alpha: float
    replicas: int
    coverage: Estimate
    accuracy: Estimate | None
    majority_accuracy: Estimate | None
    ids: Array | None = None
    class_names: tuple[str, ...] | None = None

    @property
    def disagreement_bound(self) -> float:
        """Largest probability, for each row, that this ensemble and one of other retrains both answer and differ: 2·alpha."""
        return min(2 * self.alpha, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the answers of the rows."""
        names = ("replicas", "alpha", "disagreement_bound", "coverage", "accuracy", "majority_accuracy")
        shown = {name: plain(getattr(self, name)) for name in names}
        return {"schema": SCHEMA_VERSION, "rows": len(self.answers), **shown}


@dataclass(frozen=True)
class SelectiveAgreement:
    """Two selective ensembles on the same rows.

    Attributes:
        both_answer: share of rows that both answer.
        disagreement: share of all rows that both answer, and differently.
        bound: largest expected disagreement where both are retrains of one recipe.
    """

    both_answer: Estimate
    disagreement: Estimate
    bound: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return fields_of(self)


@typed
def selective_ensemble(
    predictions: Any, label: Any = None, /, *, alpha: float = 0.05, level: float = 0.95, **reading: Unpack[Reading]
) -> SelectiveEnsemble:
    r"""Majority vote of M retrains of one recipe where a binomial test finds it significant; other rows are not answered.

        answer = A if 2·P(X <= n_B) <= alpha, X ~ Binomial(n_A + n_B, 1/2), else none

    with n_A >= n_B the votes for the two most frequent classes. For each row, the probability over retrains that the answer is not
    the class that most retrains would give is at most alpha, so two selective ensembles both answer and differ with probability at
    most 2·alpha. The bound is for retrains, not for errors: a class that all retrains get wrong is answered.

    Args:
        predictions: probabilities ``M N K`` or predicted labels ``M N`` of M retrains, or files or tables, one for each retrain.
        label: true labels ``N`` of arrays, or the name of their column in files; also by its name, ``label=``.
        alpha: level of the test, in (0, 1). Six retrains can reach 0.05, eight 0.01.
        level: nominal coverage of the intervals, for new rows and these models.
        reading: columns of files, see `open_predictions`.
    Returns:
        `SelectiveEnsemble`. A coverage of 0.95 reads: 5 of 100 rows get no answer.
    Raises:
        BadInput: alpha outside (0, 1), or numbers instead of classes; see `open_predictions`. TooFewReplicas: no row could be answered.
    Source:
        Black, Leino and Fredrikson 2022, "Selective Ensembles for Consistent Predictions". Two ensembles that both answer and differ cannot
        both have the class that most retrains give, so their bounds add up. Ours: ties go to the lowest class and are never significant.
    Example:
        >>> votes = np.array([[0, 1, 2]] * 5 + [[0, 1, 0], [0, 2, 0], [0, 0, 1]])
        >>> found = selective_ensemble(votes, np.array([0, 1, 2]), alpha=0.05)
        >>> found.answers, round(found.coverage.value, 4)
        (array([ 0, -1, -1]), 0.3333)
    """
    if not 0 < alpha < 1:
        raise BadInput(f"selective_ensemble: got alpha={alpha}, expected a number between 0 and 1")
    with open_replicas(predictions, label, reading) as rows:
        whole = in_memory(rows, "selective_ensemble reads")
    if whole.has_scores or whole.has_outcomes:
        raise BadInput("selective_ensemble: got numbers or outcomes, expected probabilities or predicted labels")
    least = math.ceil(1 - math.log2(alpha) - 1e-12)
    if whole.replicas < least:
        raise TooFewReplicas(
            f"selective_ensemble: {whole.replicas} replicas cannot reach p <= {alpha:g} even where all agree; expected at least {least}, "
            f"or alpha of at least {2.0 ** (1 - whole.replicas):g}"
        )
    majority, answered = _vote(to_numpy(whole.votes), alpha)
    answers = np.where(answered, majority, ABSTAIN)
    share = partial(share_of, models=whole.replicas, level=level)
    right = to_numpy(whole.labels) == majority if whole.has_labels else None
    return SelectiveEnsemble(
        answers,
        alpha,
        whole.replicas,
        coverage=share(answered),
        accuracy=share(right[answered]) if right is not None and answered.any() else None,
        majority_accuracy=share(right) if right is not None else None,
        ids=whole.ids,
        class_names=None if whole.class_names is None else tuple(whole.class_names),
    )


@typed
def selective_agreement(first: SelectiveEnsemble, second: SelectiveEnsemble, *, level: float = 0.95) -> SelectiveAgreement:
    """How often two selective ensembles answer the same rows, and differently.

    Args:
        first, second: of the same rows in the same order.
        level: nominal coverage of the intervals, for new rows and these models.
    Returns:
        `SelectiveAgreement`. A disagreement above the bound means that the two are not retrains of one recipe.
    Raises:
        BadInput: they have different rows.
    Source:
        Black, Leino and Fredrikson 2022; the bound is the sum of both levels.
    Example:
        >>> votes = np.array([[0, 1, 2]] * 6)
        >>> one, other = selective_ensemble(votes), selective_ensemble(votes[:, [0, 1, 1]])
        >>> round(selective_agreement(one, other).disagreement.value, 4)
        0.3333
    """
    same_ids = first.ids is None or second.ids is None or np.array_equal(to_numpy(first.ids), to_numpy(second.ids))
    if len(first.answers) != len(second.answers) or not same_ids:
        raise BadInput("selective_agreement: got ensembles of different rows, expected the same rows in the same order")
    both = (first.answers != ABSTAIN) & (second.answers != ABSTAIN)
    models = first.replicas + second.replicas
    differ = share_of(both & (first.answers != second.answers), models, level)
    return SelectiveAgreement(share_of(both, models, level), differ, min(first.alpha + second.alpha, 1.0))


def share_of(mask: np.ndarray, models: int, level: float) -> Estimate:
    """A share of independent rows with Wilson's interval."""
    value, n = float(np.mean(mask)), len(mask)
    low, high = wilson(value, n, level)
    error = math.sqrt(value * (1 - value) / n)
    return Estimate(value, low, high, error, replicas=models, examples=n, level=level, target="examples")


def _vote(votes: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent class of each row, and whether it is significantly more frequent than the second."""
    counts = np.stack([(votes == k).sum(0) for k in range(max(int(votes.max()) + 1, 2))])
    pairs, place = np.unique(np.sort(counts, axis=0)[-2:], axis=1, return_inverse=True)
    passed = np.array([mcnemar(int(second), int(first)) <= alpha for second, first in pairs.T])
    return counts.argmax(0), passed[place.reshape(-1)]


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
        hidden = ("answers", "taken", "ids", "class_names")
        estimates = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in hidden}
        return {"schema": SCHEMA_VERSION, "rows": len(self.answers), "taken": int(self.taken.sum()), **estimates}


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

    share = partial(share_of, models=2, level=level)

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
