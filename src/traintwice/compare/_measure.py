"""Entry point for measuring one set of replicas."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

from traintwice import metrics
from traintwice._names import entry
from traintwice._typed import typed
from traintwice.compare._estimates import few_clusters, replica_variance, summed_estimate, whole_estimate
from traintwice.compare._inputs import check_level, check_thresholds, distinct, in_memory, open_replicas, some_of
from traintwice.compare._shown import SCHEMA_VERSION, Shown, plain
from traintwice.compare._soft_measures import DISTANCES_OF_NUMBERS, Matched, MatchedTemperature, chance_of
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._definition import Definition
from traintwice.metrics._identical import IdenticalReplicas
from traintwice.metrics._means import weights_of
from traintwice.metrics._multiplicity import (
    ambiguity_against,
    discrepancy_against,
    replicas_within_loss,
    self_consistency_distribution,
    viable_range_distribution,
)
from traintwice.predictions import Predictions, Reading, Rows, Summary, items_of, replicas_of
from traintwice.predictions._predictions import refuse_draws
from traintwice.types import Estimate

VOTES_TOGETHER = 1 << 16
"""Rows of predicted labels that are measured together."""

DEFAULT: tuple[Metric, ...] = (
    metrics.accuracy,
    metrics.error,
    metrics.log_loss,
    metrics.churn,
    metrics.churn_to_error,
    metrics.churn_correct,
    metrics.churn_incorrect,
    metrics.surrogate_churn,
    metrics.pairwise_l1,
    metrics.delta_1,
    metrics.delta_2,
    metrics.delta_label,
)
"""Metrics of `measure` by default; `traintwice.metrics.ALL` has more."""

MULTIPLICITY = distinct(["self_consistency", "ambiguity", "discrepancy", "viable_range", "percentile_width"])
"""Metrics that ``multiplicity=True`` adds: disagreement of equally good models on single rows."""


SPREAD = ("accuracy", "mean_score", "log_loss")
"""Metrics whose standard deviation from one replica to another is shown."""


@dataclass(frozen=True)
class Multiplicity:
    """Distributions over rows of how far the replicas disagree.

    Attributes:
        self_consistency: a level to the share of rows on which two replicas agree with at least that chance.
        viable_range: a share of rows to the range of the positive class's probability that so many rows do not exceed; empty without
            probabilities.
        ambiguity_served: share of rows on which at least one replica gives another label than the served model; None without one.
        discrepancy_served: the largest churn of a replica against the served model; None without one.
    """

    self_consistency: Mapping[str, float]
    viable_range: Mapping[str, float]
    ambiguity_served: float | None = None
    discrepancy_served: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Measures(Mapping[str, Estimate], Shown):
    """Estimates by metric name, with what was left out and why.

    Attributes:
        replicas, examples: M and N.
        estimates: metric name to estimate.
        definitions: metric name to its definition.
        left_out: metric name to the reason why it has no value here.
        infinite: metric name to where its number becomes infinite.
        effective_rows: (Σw)²/Σw² where rows have weights; None where all weigh alike.
        calibration: mean calibration error if every confidence were the chance of being right, and the error less what chance adds;
            None where the error was not asked for.
        identical: names of replicas whose predictions are bit-identical, each group of two or more.
        multiplicity: distributions over rows; None where not asked for.
        kept: names of the replicas measured, where they were chosen by their loss; else None.
        read: what was read and how rows were matched.
        matched: soft measures at the recipe's best temperature; None where not asked for.
        few_clusters: a clause where the churn rests on few clusters; else None.
        spread: standard deviation of accuracy, mean score and log loss from one replica to another on these rows, by metric name;
            of three replicas or more.
    """

    replicas: int
    examples: int
    estimates: Mapping[str, Estimate]
    definitions: Mapping[str, Definition]
    left_out: Mapping[str, str]
    infinite: Mapping[str, str]
    effective_rows: float | None
    calibration: tuple[float, float] | None
    identical: tuple[tuple[str, ...], ...]
    multiplicity: Multiplicity | None
    kept: tuple[str, ...] | None
    read: Summary
    matched: Matched | None = None
    few_clusters: str | None = None
    spread: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate:
        return entry("measure", name, self.estimates)

    def __iter__(self) -> Iterator[str]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("left_out", "infinite", "effective_rows", "few_clusters", "calibration", "identical", "multiplicity", "kept")
        return {
            "schema": SCHEMA_VERSION,
            "replicas": self.replicas,
            "examples": self.examples,
            "measures": plain(self.estimates),
            **{name: plain(getattr(self, name)) for name in (*names, "matched", "spread", "read")},
        }


@typed
def measure(
    predictions: Any,
    label: Any = None,
    /,
    *,
    which: Sequence[Metric | str] = DEFAULT,
    multiplicity: bool = False,
    served: Any = None,
    within_loss: float | None = None,
    thresholds: Sequence[float] = (),
    temperature_matched: bool = False,
    level: float = 0.95,
    **reading: Unpack[Reading],
) -> Measures:
    """Measure the disagreement of any replicas, with intervals.

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N`` or numbers ``M N`` of M replicas on the same N examples, or a
            list of M arrays; or files or tables of predictions, one for each replica: a path, glob, directory, or a list of them.
        label: true labels ``N`` of arrays, or the name of their column in files; also by its name, ``label=``.
        which: the metrics wanted, or their names, from `traintwice.metrics`.
        multiplicity: also self-consistency, ambiguity, viable range … (`MULTIPLICITY`), and their distributions over rows.
        served: predictions of the model in service: with ``multiplicity`` also ambiguity and discrepancy against it.
        within_loss: measure only the replicas whose log loss (error, for predicted labels) is at most so far above the smallest.
        thresholds: also `decision_flips` at each, for a binary model.
        temperature_matched: also the soft measures at one temperature for all replicas, which is fitted to log loss on every fifth
            row that has a label and measured on the others.
        level: nominal coverage of the intervals.
        reading: which columns are what; see `open_predictions`. Rows are read in blocks; metrics that need all rows together are left
            out beyond 200 million numbers.
    Returns:
        `Measures`: a mapping from metric name to `Estimate`. With two replicas of unknown recipe the intervals are about
        those two models alone.
    Raises:
        BadInput: see `Predictions` and `open_predictions`. TooFewReplicas: one replica.
    Example:
        >>> m = measure(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]), np.array([0, 1, 1, 2]))
        >>> round(m["churn"].value, 4), m["churn"].replicas
        (0.3333, 3)
    """
    check_level(level)
    wanted = distinct([*distinct(which), *(MULTIPLICITY if multiplicity else ())])
    check_thresholds(thresholds)
    if served is not None and not multiplicity:
        raise BadInput("measure: served is for multiplicity; pass multiplicity=True (--multiplicity) too")
    models = predictions if served is None else [*replicas_of(predictions), *items_of(served)]
    with open_replicas(models, label, reading) as rows:
        refuse_draws(rows.has_draws)
        replicas = rows.replicas - (served is not None)
        if replicas < 2:
            raise TooFewReplicas("measure: got 1 replica, expected at least 2: a model alone has nothing to disagree with")
        read, kept, spread, chosen = rows.summary, None, None, list(range(replicas))
        if multiplicity or within_loss is not None:
            whole = in_memory(rows, "multiplicity and within_loss read")
            if within_loss is not None:
                known = whole.where(whole.labelled) if whole.known.some_labelled else whole
                chosen = replicas_within_loss(known.models(0, replicas), within_loss).tolist()
                kept = tuple(read.files[m] for m in chosen)
            if len(chosen) < 2:
                raise TooFewReplicas(
                    f"within_loss: 1 of {replicas} replicas is within {within_loss:g} of the smallest loss; pass a larger one"
                )
            if len(chosen) < rows.replicas:
                rows = some_of(rows, whole, chosen)
            if multiplicity and not rows.regression:
                of_served = None if served is None else whole.models(replicas, replicas + 1)
                spread = _multiplicity(rows.read(), of_served)
        found = _measure(rows, wanted, thresholds, level, temperature_matched=temperature_matched)
        return replace(found, multiplicity=spread, kept=kept, read=read)


def _measure(
    rows: Rows, which: Sequence[Metric], thresholds: Sequence[float], level: float, *, temperature_matched: bool
) -> Measures:
    if rows.regression:
        which = [m for m in which if m.definition.needs_scores or m.definition.or_scores] or DISTANCES_OF_NUMBERS
    if rows.outcomes == "graded" and metrics.accuracy in which:
        which = distinct([metrics.mean_score, *which])
    clustered, names = rows.clusters is not None, rows.summary.files
    streaming = {m.__name__: Accumulator(m, clustered=clustered) for m in which if m.definition.one_pass}
    for t in thresholds:
        streaming[f"decision_flips({t:g})"] = Accumulator(metrics.decision_flips, clustered=clustered, threshold=t)
    identical = IdenticalReplicas()
    held = MatchedTemperature(rows.summary.rows, rows.replicas) if temperature_matched and rows.has_probs else None
    of_votes = [a for a in streaming.values() if rows.has_probs and not (a.definition.needs_probs or a.definition.binary)]
    of_blocks = [a for a in streaming.values() if a not in of_votes]
    votes: list[Predictions] = []
    weight = squares = 0.0
    for block in rows.blocks():
        identical.add(block)
        if (w := weights_of(block)) is not None:
            weight, squares = weight + float(w.sum()), squares + float((w**2).sum())
        for accumulator in of_blocks:
            accumulator.add(block)
        if held is not None:
            held.add(block)
        if votes and votes[0].has_labels != block.has_labels:
            _flush(votes, of_votes)
        if of_votes:
            votes.append(block.without_probs())
        if len(votes) * block.examples >= VOTES_TOGETHER:
            _flush(votes, of_votes)
    _flush(votes, of_votes)
    left_out: dict[str, str] = {}
    infinite: dict[str, str] = {}
    found: dict[str, Estimate] = {}
    if together := [m for m in which if not m.definition.one_pass]:  # a second pass holds all rows in memory
        try:
            whole = in_memory(rows, "needs")
        except BadInput as reason:
            left_out |= {m.__name__: str(reason) for m in together}
        else:
            estimates = {m.__name__: whole_estimate(m, whole, level, left_out) for m in together}
            found |= {name: e for name, e in estimates.items() if e is not None}
    for name, accumulator in streaming.items():
        estimate = summed_estimate(name, accumulator, level, left_out)
        if estimate is not None:
            found[name] = estimate
            if accumulator.infinite is not None and math.isinf(estimate.value):
                infinite[name] = f"first at row {accumulator.infinite.row:,} of {names[accumulator.infinite.replica]}"
    matched = None
    if temperature_matched:
        soft = [m for m in which if m.__name__ in found and m.definition.soft and m.definition.one_pass]
        if held is None or not soft:
            left_out["temperature_matched"] = "needs probabilities" if held is None else "no soft measure was asked for"
        else:
            matched = held.result(soft, level, left_out, one_for_all=True)
    definitions = {m.__name__: m.definition for m in which} | {name: a.definition for name, a in streaming.items()}
    # the jackknife variance of the mean of M replicas is the squared standard deviation of one, by M
    variances = {n: replica_variance(streaming[n].compute()) for n in SPREAD if n in found and rows.replicas > 2}
    return Measures(
        replicas=rows.replicas,
        examples=rows.summary.rows,
        estimates={name: found[name] for name in definitions if name in found},
        definitions=definitions,
        left_out=left_out,
        infinite=infinite,
        effective_rows=weight**2 / squares if squares else None,
        calibration=chance_of(streaming.get("calibration_error")),
        identical=tuple(tuple(names[m] for m in group) for group in identical.result()),
        multiplicity=None,
        kept=None,
        read=rows.summary,
        matched=matched,
        few_clusters=few_clusters(streaming["churn"].compute()) if "churn" in found and "churn" in streaming else None,
        spread={name: math.sqrt(rows.replicas * variance) for name, variance in variances.items()},
    )


def _flush(votes: list[Predictions], accumulators: Sequence[Accumulator]) -> None:
    """Add predicted labels gathered from several blocks; they take so little room that blocks of probabilities are too short for them."""
    if votes:
        together = votes[0] if len(votes) == 1 else Predictions.joined(votes)
        for accumulator in accumulators:
            accumulator.add(together)
        votes.clear()


def _multiplicity(whole: Predictions, served: Predictions | None) -> Multiplicity:
    agree = {f"{level:g}": share for level, share in self_consistency_distribution(whole)}
    ranges = {f"{q:g}": r for q, r in viable_range_distribution(whole)} if whole.has_probs else {}
    against = () if served is None else (ambiguity_against(served, whole), discrepancy_against(served, whole))
    return Multiplicity(agree, ranges, *against)
