"""The rows of a study: what their replicas predict, and the notes and warnings that belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from traintwice._typed import typed
from traintwice.compare import at_temperature, fit_temperature
from traintwice.data import Dataset
from traintwice.errors import BadInput
from traintwice.methods import Keep, Method
from traintwice.predictions import Predictions
from traintwice.recipes import Cost, Recipe
from traintwice.study._experiment import Experiment
from traintwice.study._replicas import Record
from traintwice.types import TARGET_IN_WORDS

DivergedReplicas = Mapping[str, Mapping[int, str]]
"""Row name to the replicas that diverged, each with the reason."""


@dataclass(frozen=True)
class RowResult:
    """One row: its recipe, what its replicas predict, and their records.

    Attributes:
        name, recipe, cost: of the row.
        numbers: of the replicas that did not diverge, in order; all arrays below hold these replicas.
        logits: split name to raw logits ``M J N K``.
        validation, test: predictions of the kept output with labels; ``test`` with the group columns of the data.
        warm_up: the first predictions of a progressive training, left out of every measure; None otherwise.
        records: one for each replica (seed, numerics, versions, seconds ...).
    """

    name: str
    recipe: Recipe
    cost: Cost
    numbers: tuple[int, ...]
    logits: dict[str, np.ndarray]
    validation: Predictions
    test: Predictions
    records: tuple[Record, ...]
    warm_up: Predictions | None = None

    @cached_property
    def temperature(self) -> float:
        """The temperature that minimises log loss on the validation split, pooled over the replicas."""
        return fit_temperature(self.validation)

    @property
    def losses(self) -> dict[int, list[float | None]]:
        """Training loss by replica, means over equal parts of the training; replicas that an earlier version trained have none."""
        return {number: record["loss"] for number, record in zip(self.numbers, self.records, strict=True) if "loss" in record}

    @property
    def distinct(self) -> int:
        """How many replicas are distinct models, by the bits of their predictions."""
        return len({z.tobytes() for z in self.logits["test"]})

    @cached_property
    def matched(self) -> Predictions:
        """Test predictions at that temperature."""
        return at_temperature(self.test, self.temperature)


def row_result(
    row: str, experiment: Experiment, data: Dataset, replicas: Mapping[int, tuple[Record, dict[str, np.ndarray]]]
) -> RowResult:
    """A row from its stored replicas, by number."""
    recipe = experiment.rows[row]
    records, loaded = zip(*replicas.values(), strict=True)
    outputs = {name: np.stack([arrays[name] for arrays in loaded]) for name in loaded[0]}
    method = recipe.method
    probs = {
        split: served_probs(outputs[split], method.keep, components=method.components, gate=outputs.get(f"{split}.gate"))
        for split in ("validation", "test", "warm_up")
        if split in outputs
    }
    test = Predictions(probs["test"], data.test.labels, groups=data.groups)
    validation = Predictions(probs["validation"], data.validation.labels)
    warm_up = Predictions(probs["warm_up"]) if "warm_up" in probs else None
    cost = recipe.cost(experiment.rows[experiment.baseline], data.shape, data.classes)
    logits = {split: outputs[split] for split in ("validation", "test")}
    return RowResult(row, recipe, cost, tuple(replicas), logits, validation, test, records, warm_up)


def identical_rows(rows: Mapping[str, RowResult]) -> list[tuple[str, str]]:
    """Pairs of rows whose predictions are bit-identical."""
    return [(a, b) for a, b in combinations(rows, 2) if np.array_equal(rows[a].test.probs, rows[b].test.probs)]


def notes_on(experiment: Experiment, rows: Mapping[str, RowResult], diverged: DivergedReplicas, level: float) -> tuple[str, ...]:
    """Notes that belong under any table of these rows."""
    replicas = experiment.replicas
    notes = [f"Intervals are {level * 100:g} %, for {TARGET_IN_WORDS['both']} (M = {replicas})."]
    if replicas < 3:
        notes.append(
            f"With {replicas} replicas the intervals of measures between replicas are for {TARGET_IN_WORDS['examples']}."
        )
    drawn = [name for name, row in rows.items() if "data" in row.recipe.free()]
    if drawn:
        which = "every row" if len(drawn) == len(rows) else ", ".join(drawn)
        notes.append(f"Each replica draws its own training sample in {which}: this churn includes that of other training data.")
    notes += [
        f"{a} and {b} predict bit for bit the same: check whether a setting has no effect." for a, b in identical_rows(rows)
    ]
    notes += [note for name, row in rows.items() for note in _identical_replicas(name, row)]
    for name, lost in diverged.items():
        first, reason = next(iter(lost.items()))
        left = replicas - len(lost)
        rest = f"its numbers are those of the other {left}" if name in rows else "too few are left to measure"
        notes.append(f"{name}: {len(lost)} of {replicas} replicas diverged (replica {first}: {reason}); {rest}.")
    mixed = [name for name, row in rows.items() if len({str(r["numerics"]) for r in row.records}) > 1]
    if mixed:
        notes.append(f"Replicas with different numerics (engine, device, threads or versions) in one row: {', '.join(mixed)}.")
    return tuple(notes)


def _identical_replicas(name: str, row: RowResult) -> list[str]:
    """Notes on a row whose replicas are not all distinct, or differ though every source of randomness is fixed."""
    count, distinct, free = len(row.numbers), row.distinct, row.recipe.free()
    if distinct == 1 and not free:
        return [f"{name}: every source of randomness is fixed, and the replicas are one model."]
    if distinct < count:
        reason = f"{' and '.join(free)} made no difference between some" if free else "though every source is fixed"
        return [f"{name}: its {count} replicas are {distinct} distinct model{'s' * (distinct > 1)}, bit for bit: {reason}."]
    if not free:
        return [f"{name}: every source of randomness is fixed, and the replicas differ: this hardware is not deterministic."]
    return []


def served_probs(logits: np.ndarray, keep: Keep, *, components: int, gate: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of the output that a recipe keeps.

    Args:
        logits: ``M S·J N K``: all components of the first set of weights, then of the second snapshot, and so on.
        keep: "first" component, "mean-prob" (mean of the components' probabilities), "mean-logit" (softmax of the mean logits) or "gate"
            (mean of the probabilities weighted by the gate). Snapshots are averaged in the same way, "first" as
            probabilities.
        components: J.
        gate: weights of the mixture ``M S·J N``, for "gate".
    Returns:
        ``M N K`` in float64, rows summing to one.
    Raises:
        BadInput: a gate is kept and its weights are not given.
    Source:
        AD section 2, "Output 1" and "Output 2", and the gated mixture; CH keeps the first component.
    Example:
        >>> z = np.log([[[[0.9, 0.1]], [[0.5, 0.5]]]])  # one replica, two components, one example
        >>> served_probs(z, "first", components=2).round(3).tolist(), served_probs(z, "mean-prob", components=2).round(3).tolist()
        ([[[0.9, 0.1]]], [[[0.7, 0.3]]])
    """
    z = logits.astype(np.float64)
    if keep == "first":
        return np.asarray(_softmax(z[:, ::components]).mean(axis=1))
    if keep == "mean-logit":
        return _softmax(z.mean(axis=1))
    if keep == "gate":
        if gate is None or gate.shape != z.shape[:3]:
            came = "none" if gate is None else f"an array of shape {gate.shape}"
            raise BadInput(f"served_probs: a gate is kept, expected its weights of shape {z.shape[:3]}, got {came}")
        weights = gate.astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray((_softmax(z) * weights[..., None]).sum(axis=1))
    return np.asarray(_softmax(z).mean(axis=1))


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Caution:
    """A sentence of `Method.warnings`, and the rows whose method, or whose teacher's method, it is about."""

    text: str
    rows: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'; '.join(self.rows)}: {self.text}."


@typed
def cautions(experiment: Experiment, *, classes: int | None = None) -> tuple[Caution, ...]:
    """Warnings of the methods of an experiment, each once, in the order of its rows.

    Args:
        experiment: the experiment.
        classes: K, or None where it is unknown.
    Example:
        >>> from traintwice.data import Digits
        >>> from traintwice.methods import symmetric_kl_regulariser
        >>> from traintwice.recipes import Recipe
        >>> rows = {"baseline": Recipe(), "confident": Recipe(method=symmetric_kl_regulariser())}
        >>> [c.rows for c in cautions(Experiment("mine", Digits(), rows))]
        [('confident',)]
    """
    found: dict[str, list[str]] = {}
    for row, recipe in experiment.rows.items():
        for text in dict.fromkeys(text for method in _methods(recipe) for text in method.warnings(classes=classes)):
            found.setdefault(text, []).append(row)
    return tuple(Caution(text, tuple(rows)) for text, rows in found.items())


def _methods(recipe: Recipe) -> Iterator[Method]:
    """The methods of a recipe and of the earlier models that it starts or learns from."""
    yield recipe.method
    for earlier in recipe.earlier():
        yield from _methods(earlier.recipe)
