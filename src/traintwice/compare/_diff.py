"""One old model against one new model: whether it is worse, what changed, where, and whether that is more than retraining causes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from traintwice import metrics
from traintwice._files import refuse_overwriting
from traintwice._typed import typed
from traintwice.compare._answers import SAME_WITHIN, floor_answer, operating_answer
from traintwice.compare._changed_rows import check_rows_file, write_rows
from traintwice.compare._comparison import DiffAccumulator, result_of
from traintwice.compare._draws import compare_draws
from traintwice.compare._expressions import BETWEEN
from traintwice.compare._floor import MARGIN, TITLES, Pairs, noise_floor
from traintwice.compare._inputs import DiffOptions, check_level, check_thresholds, check_top_k, distinct
from traintwice.compare._ledger import LAST, Launch, Ledger, kind_of, numbers_of, open_ledger
from traintwice.compare._parts import NoiseFloor
from traintwice.compare._results import LAUNCHES, Diff, Wording, wording
from traintwice.compare._summed import DiffSQL
from traintwice.errors import BadInput, cells_kept_out
from traintwice.metrics import Metric
from traintwice.metrics._definition import Unit
from traintwice.predictions import AlignedPredictions
from traintwice.predictions._inputs import items_of, one_item
from traintwice.predictions._opening import Rows, open_rows
from traintwice.predictions._reading import Reading
from traintwice.types import Estimate

RANKED: tuple[Metric, ...] = (metrics.auc, metrics.kendall_tau, metrics.top_k_overlap)
"""Measures that need an order of all rows: given with ``rank=True``."""


FROM_ROWS = 2_000_000
"""Rows from which DuckDB makes the sums unless details are asked for."""


@typed
def diff(
    old: Any,
    new: Any,
    *,
    floor: Any = (),
    new_floor: Any = (),
    which: Sequence[Metric | str] = (),
    by_slice: Sequence[Metric | str] = (),
    thresholds: Sequence[float] = (),
    top_k: Sequence[float] = (),
    rank: bool = False,
    temperature_matched: bool = False,
    level: float = 0.95,
    margin: float = MARGIN,
    same_within: float = SAME_WITHIN,
    min_support: int = 100,
    listed: int = 20,
    rows_file: str | Path | None = None,
    no_rows: bool = False,
    waive: Collection[str | int] = (),
    details: bool | None = None,
    ledger: str | Path | Ledger | None = None,
    last: int = LAST,
    other_rows: bool = False,
    **reading: Unpack[Reading],
) -> Diff:
    r"""Compare the predictions of two models row by row.

    Args:
        old, new: each a file of predictions, a table, an array (``N K`` probabilities, ``N`` predicted labels, or ``N`` numbers in
            [0, 1] of a binary model), or `Predictions` of one model.
        floor: retrains of the old recipe: a glob, a directory, or a list of such or of arrays. Four or more are worth having.
            "ledger": the launches of ``ledger`` are the floor, see `usual_changes`.
        new_floor: retrains of the new recipe.
        which: further measures, or their names, from `traintwice.metrics`.
        by_slice: measures of every slice.
        thresholds: decisions "probability of the positive class >= t" of a binary model.
        top_k: swap sets of the k highest scores of a binary model: numbers of rows, or shares below 1.
        rank: also measures that need an order of all rows (AUC, Kendall's tau): reads all rows into memory.
        temperature_matched: also soft measures after each model was brought to its best temperature.
        level: nominal coverage of intervals.
        margin: the smallest ratio to the noise floor that matters; "within noise" means that the ratio is significantly below it.
        same_within: the largest change of accuracy that does not matter; of other measures of quality, as a share of the old value.
        min_support: the least rows of a slice.
        listed: how many regressed rows, and rows that moved most, are kept.
        rows_file: a Parquet file to write every row to, with old and new class, distance and instability.
        no_rows: keep ids and rows out of the result, and the contents of cells out of errors.
        waive: ids of rows that do not count.
        details: None leaves two unweighted binary models, or predicted labels, of two million rows or more to DuckDB, which is many
            times faster and leaves out what needs the rows (``left_out`` names it). True never does, False does at any size.
        ledger: a file to which the comparison is appended as one line, see `history`.
        last, other_rows: with ``floor="ledger"``: how many launches are the floor at most; also those on other rows.
        reading: which columns are what, see `open_predictions`; ``show`` names columns that are kept with the listed rows. With arrays,
            id, label, weight, cluster and draws are arrays, and by and show mappings from names to arrays.
    Returns:
        A `Diff`. Intervals are about these two models and new rows (new clusters of rows); those of a ratio to a floor also about new
        retrains, given this old model.
    Raises:
        BadInput: see `open_predictions`; ``new_floor`` without ``floor``; options out of range.
    Source:
        docs/concepts/definitions.md.
    Example:
        >>> d = diff(np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), label=np.array([0, 1, 0, 1]))
        >>> d["churn"].value, d["negative_flips"].value, d["accuracy"].value
        (0.5, 0.25, 0.0)
    """
    opened = opened_for(floor, ledger, last, other_rows)
    of_ledger = isinstance(floor, str) and floor == "ledger"
    models = [[one_item(old, "old")], [one_item(new, "new")], [] if of_ledger else items_of(floor), items_of(new_floor)]
    _check(models, level, margin, same_within, min_support, listed)
    further, counted = distinct(which), {r.name for r in BETWEEN} | {"accuracy", "recall", "precision"}
    one_pass = [m for m in further if m.definition.one_pass and m.__name__ not in counted]
    options = DiffOptions(
        which=tuple(m for m in one_pass if m.definition.between_replicas),
        quality=tuple(m for m in one_pass if not m.definition.between_replicas),
        whole=distinct([*(RANKED if rank else ()), *[m for m in further if not m.definition.one_pass]]),
        thresholds=check_thresholds(thresholds),
        top_k=check_top_k(top_k),
        level=level,
        min_support=min_support,
        temperature_matched=temperature_matched,
        listed=0 if no_rows else listed,
        no_rows=no_rows,
        margin=margin,
        same_within=same_within,
        by_slice=distinct(by_slice),
        pairs=Pairs(len(models[2]), len(models[3])) if models[2] else None,
    )
    every = [model for group in models for model in group]
    if rows_file is not None:
        rows_file = check_rows_file(rows_file)
        refuse_overwriting({"rows_file": rows_file}, every)
    names = ["old", "new", *(f"retrain {i + 1} of {of}" for of, m in (("old", 2), ("new", 3)) for i in range(len(models[m])))]
    if no_rows:
        reading.pop("show", None)
    with cells_kept_out(no_rows), open_rows(every, names, **reading) as rows:
        if no_rows and rows.files is not None and (shown := set(rows.files.id_columns) & set(rows.files.groups)):
            raise BadInput(f"by: {', '.join(sorted(shown))} is an id, which no_rows (--no-rows) hides; group by another column")
        rows.waive = frozenset(str(i) for i in waive)
        if opened is not None:
            opened.begin(rows, [old, new])
        found = compare_rows(rows, options, details)
        if opened is not None and of_ledger:
            found = with_usual_changes(found, opened, margin)
        if rows_file is not None:
            write_rows(rows, rows_file, [0, *range(2, 2 + len(models[2]))])
    if opened is not None and opened is not ledger:
        opened.append(found)
    return found


def compare_rows(rows: Rows, options: DiffOptions, details: bool | None = None) -> Diff:
    """The comparison of the first two models of opened rows, those after them being retrains."""
    if rows.has_draws:
        return compare_draws(rows, options)
    if rows.files is not None and _can_be_left_to_sql(rows, rows.files, options, details):
        return result_of(DiffSQL(rows, rows.files, options), rows, options)
    gathered = DiffAccumulator(rows, options)
    for block in rows.blocks():
        gathered.add(block)
    if not gathered.rows:
        raise BadInput("no rows are left to compare")
    return result_of(gathered, rows, options)


def opened_for(floor: Any, ledger: Any, last: int, other_rows: bool) -> Ledger | None:
    """The ledger of a comparison, opened; None without one; raise `BadInput` for options that contradict each other."""
    wanted = isinstance(floor, str) and floor == "ledger"
    if wanted and ledger is None:
        raise BadInput('floor="ledger" (--floor ledger) needs the file of the ledger: pass ledger=FILE (--ledger FILE)')
    if wanted and Path("ledger").exists():
        raise BadInput(
            "floor: there is a file or directory named ledger here; write ./ledger for it, or run in another directory"
        )
    if not wanted and not isinstance(ledger, Ledger) and (other_rows or last != LAST):
        raise BadInput('last, other_rows (--last, --other-rows): are for floor="ledger" (--floor ledger)')
    return ledger if ledger is None or isinstance(ledger, Ledger) else open_ledger(ledger, last=last, other_rows=other_rows)


def _can_be_left_to_sql(rows: Rows, files: AlignedPredictions, options: DiffOptions, details: bool | None) -> bool:
    """Whether DuckDB makes the sums: very many rows of two models, and nothing asked for that needs the rows."""
    if details or rows.regression or rows.waive or options.pairs is not None or files.has_weights:
        return False
    if options.which or set(options.quality) - {metrics.log_loss} or options.whole or options.by_slice or options.top_k:
        return False
    if options.temperature_matched or rows.shown or (rows.has_probs and rows.classes != 2):
        return False
    return details is False or files.most_rows >= FROM_ROWS


def _check(
    models: Sequence[Sequence[Any]], level: float, margin: float, same_within: float, min_support: int, listed: int
) -> None:
    if models[3] and not models[2]:
        raise BadInput(
            "new_floor needs floor: the churn between retrains of the new recipe is compared with that of the old recipe"
        )
    check_level(level)
    if not 1 < margin < math.inf or not 0 <= same_within < 1:
        raise BadInput(
            f"margin, same_within: got {margin} and {same_within}, expected a ratio above 1 and a share from 0 to below 1"
        )
    if min_support < 1 or listed < 0:
        raise BadInput(f"min_support, listed: got {min_support} and {listed}, expected at least 1 and at least 0")


def usual_changes(ledger: Ledger, predictions: str) -> tuple[list[Launch], list[str]]:
    """The launches that are the floor of a comparison, oldest first, and sentences on them.

    These are the last launches of the same kind of predictions, on the same rows unless others are asked for. A pair of models
    counts once, the comparison at hand and identical models not at all.
    """
    pairs = {(launch.old.digest, launch.new.digest): launch for launch in ledger.launches}  # the last of each pair
    now = tuple(model.digest for model in ledger.models)
    left: Counter[str] = Counter()
    chosen = []
    for launch in ledger.launches:
        pair = (launch.old.digest, launch.new.digest)
        why = None
        if launch.predictions != predictions:
            why = "of another kind of predictions"
        elif not ledger.other_rows and (launch.ids is None or launch.ids != ledger.ids):
            why = "on other rows (--other-rows takes them)"
        elif None not in pair and (pairs[pair] is not launch or pair == now):
            why = "of a pair of models that is compared again"
        elif pair[0] is not None and pair[0] == pair[1]:
            why = "of identical models"
        if why is None:
            chosen.append(launch)
        else:
            left[why] += 1
    chosen, name = chosen[-ledger.last :], ledger.path.name
    said = f"floor: {name} has no earlier launch to compare with"
    if chosen:
        days, many = f"{chosen[0].date[:10]} to {chosen[-1].date[:10]}", LAUNCHES.count(len(chosen))
        said = f"floor: what {many} of {name} changed from old to new ({days}), changes of recipes included"
    return chosen, [*ledger.notes, said, *(f"{name}: {LAUNCHES.count(count)} {why} left out" for why, count in left.items())]


def with_usual_changes(found: Diff, ledger: Ledger, margin: float) -> Diff:
    r"""A comparison with the changes of earlier launches as its floor.

        ratio = d_0 / mean_i d_i, with the interval of `noise_floor`; d_0 is the change of this launch, d_i that of an earlier one

    Given that nothing unusual happened, d_0 … d_k are draws of the change from one launch to the next. Rows of launches are taken to
    be independent: the example part of the variance is that of each share. Ours.
    """
    launches, notes = usual_changes(ledger, kind_of(found))
    words = wording(found.outcomes, launches=True)
    every = {name: _floor(name, e, launches, found, margin, words) for name, e in numbers_of(found).items()}
    floors = {name: floor for name, floor in every.items() if floor is not None}
    decisions = tuple(replace(d, floor=floors.get(f"decisions({d.threshold:g})")) for d in found.decisions)
    swap_sets = tuple(replace(s, floor=floors.get(f"swapped({s.asked:g})")) for s in found.swap_sets)
    by_name = {m.name: m for m in found.measures}
    name = {"regressions": "negative_flips", "disagreement": "regression_difference" if found.regression else "churn"}
    answers = []
    for answer in found.answers:
        if answer.question in name and answer.verdict not in ("identical", "no value"):
            asked = name[answer.question]
            without = found.left_out.get(asked, "no value")
            answer = floor_answer(answer.question, floors.get(asked), by_name.get(asked), without, words)
        elif answer.question == "operating point":
            answer = operating_answer(decisions, swap_sets, words) or answer
        answers.append(answer)
    return replace(
        found,
        floors=tuple(floors[name] for name in ("churn", "regression_difference", "negative_flips") if name in floors),
        decisions=decisions,
        swap_sets=swap_sets,
        answers=tuple(answers),
        launches=len(launches),
        floor_notes=tuple(notes),
    )


def _floor(name: str, now: Estimate, launches: Sequence[Launch], found: Diff, margin: float, words: Wording) -> NoiseFloor | None:
    """The floor of one measure; None where it has none, or where no launch has the measure."""
    if name not in TITLES and "(" not in name:
        return None
    past = [launch.numbers[name] for launch in launches if name in launch.numbers and math.isfinite(launch.numbers[name].value)]
    if not past or not math.isfinite(now.value):
        return None
    rows, clustered = float(now.examples), found.alignment.clusters is not None
    effective = None if clustered else found.effective_rows
    counts = np.array([e.value for e in (now, *past)]) * rows
    errors = np.array([e.standard_error for e in (now, *past)]) * rows
    unit: Unit = next((m.unit for m in found.measures if m.name == name), "fraction")
    title = TITLES.get(name, name.replace("decisions(", "decisions at ").replace("swapped(", "swapped of the top ").rstrip(")"))
    return noise_floor(
        Pairs(len(past), 0), counts, rows, lambda form: float(np.sum(form**2 * errors**2)), name=name, title=title, unit=unit,
        level=found.level, margin=margin, units=found.alignment.units if effective is None else int(effective),
        clustered=clustered, weighted=effective is not None, words=words,
    )  # fmt: skip
