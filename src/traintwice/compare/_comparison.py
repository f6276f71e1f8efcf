"""A comparison of two models: everything it needs of their rows, gathered in one pass, and the result that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from traintwice import metrics
from traintwice.compare._answers import floor_answer, operating_answer, quality_answer, slices_answer
from traintwice.compare._changed_rows import TopRows, no_instability, unstable
from traintwice.compare._distributions import (
    BandCounts,
    FlowCounts,
    JointCounts,
    MovementCounts,
    RankCounts,
    Reviews,
    TopSets,
)
from traintwice.compare._estimates import few_clusters, interval
from traintwice.compare._expressions import (
    ACCURACY,
    BETWEEN,
    ONE,
    PRECISION,
    RECALL,
    Form,
    Number,
    RowValues,
    base_quantities,
    decided,
    distance,
    grown,
    lost,
    number,
)
from traintwice.compare._floor import floor_tallies, floors_of, noise_floor
from traintwice.compare._inputs import DiffOptions, distinct, warnings_of_rows
from traintwice.compare._parts import PREDICTED, Answer, Decisions, NoiseFloor, Slice
from traintwice.compare._results import Diff, Measured, Quality, TemperatureMatched, Wording, wording
from traintwice.compare._slices import SliceSums, change_estimate, slices_of
from traintwice.compare._soft_measures import (
    DISTANCES,
    DISTANCES_OF_NUMBERS,
    ERRORS,
    LOSSES,
    SOFT,
    MatchedTemperature,
    PairMeasures,
    measured,
    non_streaming,
    quality_of,
)
from traintwice.compare._tally import Tally
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._identical import IdenticalReplicas, are_identical, identical_in_words
from traintwice.metrics._means import each_weight
from traintwice.predictions import Predictions, Summary
from traintwice.predictions._opening import Rows
from traintwice.types import Estimate

CONFIDENCE_BANDS, SCORE_BANDS = 10, 20

FEW_EFFECTIVE_ROWS = 100
"""Below so many effective rows, weights leave too little to rely on."""


class Gatherer(Protocol):
    """A part of a comparison that is gathered row by row."""

    def add(self, rows: RowValues) -> None:
        """Add rows of all models."""


class DiffAccumulator:
    """Sums and short lists over the rows of an old model (0), a new one (1), and retrains."""

    def __init__(self, source: Rows, options: DiffOptions) -> None:
        self.options, self.regression, self.clustered = options, source.regression, source.clusters is not None
        self.classes = source.classes if source.has_probs else None
        self.binary = self.classes == 2
        self.left_out: dict[str, str] = {}
        self.rows, self.weight, self.squares = 0, 0.0, 0.0
        self.further_quality: list[Quality] = []
        self.further: list[Measured] = []
        self.infinite: dict[str, str] = {}
        thresholds, top_k = (options.thresholds, options.top_k) if self.binary else ((), ())
        for name, given in {"thresholds": options.thresholds, "top_k": options.top_k}.items():
            if given and not self.binary:
                self.left_out[name] = "needs the probabilities of two classes"
        pairs, names = options.pairs, source.class_names
        olds = tuple(pairs.olds) if pairs else (0,)
        # Two classes of predicted labels have a positive class too, class 1.
        binary = source.has_labels and source.outcomes is None and source.classes == 2 and not self.regression
        self.base = Tally(base_quantities(binary=binary, graded=source.outcomes == "graded"), clustered=self.clustered)
        self.decisions = {
            t: Tally({"old": (old := decided(0, t)), "new": (new := decided(1, t)), "both": old & new}, clustered=self.clustered)
            for t in thresholds
        }
        self.floors: dict[str, Tally] = {}
        if pairs is not None:
            self.floors = floor_tallies(pairs, regression=self.regression, thresholds=thresholds, clustered=self.clustered)
        columns = () if self.regression else (*source.groups, *(() if source.outcomes else (PREDICTED,)))
        self.slices = [
            SliceSums(name, self.base.quantities, pairs, options.by_slice, clustered=self.clustered) for name in columns
        ]
        self.identical = IdenticalReplicas()
        between, quality = (DISTANCES_OF_NUMBERS, ERRORS) if self.regression else (DISTANCES, LOSSES)
        if source.outcomes is not None:
            between, quality = (), (metrics.mean_score,) if source.outcomes == "graded" else ()
        self.measures = PairMeasures(
            distinct((*between, *options.which)),
            distinct((*quality, *options.quality)),
            options.level,
            clustered=self.clustered,
            bounds=self.classes is not None,
        )
        self.ranks = RankCounts() if self.binary else None
        self.top = TopSets(top_k, source.summary.rows, source.replicas) if top_k else None
        self.matched = MatchedTemperature(source.summary.rows, 2) if options.temperature_matched and self.classes else None

        far = (number(0) - number(1)).size() if self.regression else distance(0, 1, self.classes)
        reason = no_instability(source.has_probs, self.regression, len(olds))
        unstable_by = None if reason else unstable(olds, self.classes)
        self.regressed = TopRows(options.listed, grown() if self.regression else lost(0, 1), far, unstable_by, names)
        self.flow = None if self.regression or source.outcomes is not None else FlowCounts(source.classes, names)
        self.parts: dict[str, Any] = {
            "regressed": self.regressed,
            "largest_changes": TopRows(options.listed, far, far, unstable_by, names),
        }
        if self.flow is not None:
            self.parts["flow"] = self.flow
        if unstable_by is not None:
            self.parts["reviews"] = Reviews(unstable_by)
        if self.regression:
            self.parts["joint"] = JointCounts("number")
        if self.classes is not None:
            kind: Number = "score" if self.binary else "confidence"
            self.parts["confidence"] = BandCounts(CONFIDENCE_BANDS, "confidence", far)
            self.parts["joint"] = JointCounts(kind)
            self.parts["movement"] = MovementCounts(far, options.level, clustered=self.clustered)
        if self.binary:
            self.parts["scores"] = BandCounts(SCORE_BANDS, "score", far)

        wanted = (
            *(None if self.regression else self.base, self.ranks, self.top),
            *(*self.slices, *self.decisions.values(), *self.floors.values(), *self.parts.values()),
        )
        self._gatherers: list[Gatherer] = [gatherer for gatherer in wanted if gatherer is not None]
        if reason is not None:
            self.left_out["reviews"] = reason
        if options.temperature_matched and not self.classes:
            self.left_out["temperature_matched"] = "needs probabilities"
        if self.regression:
            self.left_out["slices"] = self.left_out["flow"] = "a regression has no labels that change"

    def add(self, block: Predictions) -> None:
        known = block.known.positions
        places = self.rows + np.arange(block.examples) if known is None else to_numpy(known)
        if block.targets is None or not (unknown := np.isnan(to_numpy(block.targets))).any():
            self._add(RowValues(block, places))
            return
        if not unknown.all():
            self._add(RowValues(block.where(~unknown), places[~unknown]))
        self._add(RowValues(block.where(unknown).without_labels(), places[unknown]))

    def _add(self, rows: RowValues) -> None:
        weights = each_weight(rows.block)
        self.rows += rows.block.examples
        self.weight += float(weights.sum())
        self.squares += float((weights**2).sum())
        self.identical.add(rows.block)
        self.measures.add(rows.pair)
        if self.matched is not None:
            self.matched.add(rows.pair)
        for gatherer in self._gatherers:
            gatherer.add(rows)

    def copies(self) -> list[list[int]]:
        """Groups of two or more models whose predictions are bit-identical."""
        return self.identical.result()


def result_of(sums: DiffAccumulator, rows: Rows, options: DiffOptions) -> Diff:
    """The result of a comparison whose rows were seen."""
    level, words, copies = options.level, wording(rows.outcomes), sums.copies()
    identical = tuple(tuple(rows.summary.files[m] for m in group) for group in copies)
    of_retrains = [files for files, group in zip(identical, copies, strict=True) if max(group) > 1]
    repeated = "; ".join(map(are_identical, of_retrains)) or None
    quality = [*_counted_quality(sums, level), *sums.measures.quality(), *sums.further_quality]
    between = [*_counted_measures(sums, level), *sums.measures.measures(), *sums.further]
    left_out = sums.left_out
    if options.whole:
        more_quality, more, without = non_streaming(rows.read().models(0, 2), options.whole, level)
        quality, between, left_out = quality + more_quality, between + more, left_out | without
    bounds, labelled = sums.measures.bounds(), 0.0
    if not rows.regression:
        labelled = float(sums.base.total("labelled").sum())
        if sums.base.has(ACCURACY[0]) and labelled == sums.base.total(ONE).sum():
            bounds["lemma_1"] = 2.0 - sum(float(sums.base.value(accuracy)[0]) for accuracy in ACCURACY[:2])
    slices, few = slices_of(sums.slices, options.min_support, level, rows.class_names)
    floor_of = partial(noise_floor, level=level, margin=options.margin, identical=repeated, words=words)
    floors = {} if options.pairs is None else floors_of(sums.floors, options.pairs, labelled, sums.weight / sums.rows, floor_of)
    by = {name: s for name, s in slices.items() if name not in (PREDICTED, rows.time_axis)}
    parts = {name: part.result() for name, part in sums.parts.items()}
    if parts.get("reviews") == ():
        left_out["reviews"] = "no label changed"
    matched = None if sums.matched is None else _matched(sums.matched, level, left_out)
    effective = sums.weight**2 / sums.squares if sums.squares != sums.rows and sums.squares else None
    found = Diff(
        alignment=rows.summary,
        level=level,
        effective_rows=effective,
        regression=rows.regression,
        quality=tuple(quality),
        measures=tuple(between),
        bounds=bounds,
        calibration=sums.measures.calibration(),
        floors=tuple(floor for name, floor in floors.items() if not name.startswith("decisions")),
        identical=identical,
        decisions=_decisions(sums, level, floors),
        swap_sets=() if sums.top is None else sums.top.result(options.pairs, level, floor_of),
        slices=tuple(s for column in by.values() for s in column),
        predicted=slices.get(PREDICTED, ()),
        periods=tuple(sorted(slices.get(rows.time_axis or "", ()), key=lambda s: s.value or "")),
        slices_left_out=few,
        min_support=options.min_support,
        regressed_rows=sums.regressed.seen,
        matched=matched,
        no_rows=options.no_rows,
        warnings=tuple(_warnings(sums, rows.summary, identical, effective)),
        left_out=sums.measures.left_out | left_out,
        infinite=sums.measures.infinite(name_rows=not options.no_rows) | sums.infinite,
        waived=rows.waived,
        outcomes=rows.outcomes,
        **parts,
    )
    return replace(found, answers=_answers(found, options, words, by))


def _answers(d: Diff, options: DiffOptions, words: Wording, by: Mapping[str, Sequence[Slice]]) -> tuple[Answer, ...]:
    by_name = {m.name: m for m in d.measures}
    floors = {f.name: f for f in d.floors}
    answers = [quality_answer(d.quality, d.level, options.same_within)]
    main = "regression_difference" if d.regression else "churn"
    if not d.regression:
        reason = d.left_out.get("negative_flips", "no labels given")
        answers.append(floor_answer("regressions", floors.get("negative_flips"), by_name.get("negative_flips"), reason, words))
    if any({d.old, d.new} <= set(group) for group in d.identical):
        said = "the two models give identical predictions, bit for bit"
        answers.append(
            Answer("disagreement", "identical", "inconclusive", f"Disagreement: {said}: is one model given twice?", said)
        )
    else:
        answers.append(floor_answer("disagreement", floors.get(main), by_name.get(main), "no value", words))
    if not d.regression:
        answers.append(slices_answer(d.slices, asked=bool(by), of_items=d.outcomes is not None))
    operating = operating_answer(d.decisions, d.swap_sets, words)
    return (*answers, operating) if operating is not None else tuple(answers)


def _counted_quality(sums: DiffAccumulator, level: float) -> list[Quality]:
    t, found = sums.base, []
    if sums.regression:
        return []
    wanted = [ACCURACY]
    if not t.has(ACCURACY[0]):
        wanted, sums.left_out["accuracy"] = [], "answers have scores between 0 and 1, with a mean_score"
    if "positive" in t.quantities:
        wanted += [RECALL, PRECISION]
    else:
        reason = "needs two classes" if t.total("labelled").sum() else "needs labels"
        sums.left_out |= dict.fromkeys(("recall", "precision"), reason)
    for old, new, change in wanted:
        if not all(t.total(r.bottom).sum() for r in (old, new)):
            sums.left_out[old.name] = "needs labels" if old is ACCURACY[0] else "needs rows of the positive class"
            continue
        estimate, p = change_estimate(change, t, 0, level, t.summaries(change)[0])
        one, other = (interval(t.summaries(r)[0], level=level) for r in (old, new))
        found.append(quality_of(old, one, other, estimate, p))
    return found


def _counted_measures(sums: DiffAccumulator, level: float) -> list[Measured]:
    found: list[Measured] = []
    for ratio in () if sums.regression else (r for r in BETWEEN if sums.base.has(r)):
        if not sums.base.total(ratio.bottom).sum() > 0:
            sums.left_out[ratio.name] = (
                "needs labels" if not sums.base.total("labelled").sum() else "its denominator is zero here"
            )
            continue
        found.append(measured(ratio, interval(sums.base.summaries(ratio)[0], level=level)))
    return found


def _matched(kept: MatchedTemperature, level: float, left_out: dict[str, str]) -> TemperatureMatched | None:
    found = kept.result(SOFT, level, left_out, one_for_all=False)
    if found is None:
        return None
    of_measures = tuple(measured(m.definition, found.estimates[m.__name__]) for m in SOFT)
    old, new = found.temperatures
    return TemperatureMatched(old, new, found.held_out, found.rows, of_measures)


def _decisions(sums: DiffAccumulator, level: float, floors: Mapping[str, NoiseFloor]) -> tuple[Decisions, ...]:
    """Shares of decisions at every threshold; the floors are those named ``decisions(THRESHOLD)``."""

    def share(tally: Tally, form: Form, models: int = 2) -> Estimate:
        return interval(tally.shares(form, models)[0], level=level)

    return tuple(
        Decisions(
            threshold=t,
            old_positive=share(tally, {"old": 1.0}, 1),
            new_positive=share(tally, {"new": 1.0}, 1),
            changed=share(tally, {"new": 1.0, "old": 1.0, "both": -2.0}),
            to_positive=share(tally, {"new": 1.0, "both": -1.0}),
            to_negative=share(tally, {"old": 1.0, "both": -1.0}),
            floor=floors.get(f"decisions({t:g})"),
        )
        for t, tally in sums.decisions.items()
    )


def _warnings(sums: DiffAccumulator, read: Summary, identical: Sequence[Sequence[str]], effective: float | None) -> list[str]:
    found = [*identical_in_words(identical), *warnings_of_rows(read)]
    if effective is not None and effective < FEW_EFFECTIVE_ROWS:
        found.append(f"the weights leave {effective:.0f} effective rows, fewer than {FEW_EFFECTIVE_ROWS}")
    if not sums.regression and (few := few_clusters(sums.base.summaries(BETWEEN[0])[0])) is not None:
        found.append(few)
    if sums.flow is not None and sums.classes is not None and (constant := sums.flow.one_class()) is not None:
        found.append(constant)
    found += () if sums.top is None else sums.top.ties()
    for m, model in enumerate(("old", "new")):
        auc = None if sums.ranks is None else sums.ranks.auc(m)
        if auc is not None and auc < 0.5:
            found.append(
                f"the score of the {model} model ranks against the labels (AUC {auc:.2f}); is --positive the right class?"
            )
    return found
