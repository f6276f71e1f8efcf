"""One old model against one new model: whether it is worse, what changed, where, and whether that is more than retraining causes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Unpack

from traintwice import metrics
from traintwice._files import refuse_overwriting
from traintwice._typed import typed
from traintwice.compare._answers import SAME_WITHIN
from traintwice.compare._changed_rows import check_rows_file, write_rows
from traintwice.compare._comparison import DiffAccumulator, result_of
from traintwice.compare._draws import compare_draws
from traintwice.compare._expressions import BETWEEN
from traintwice.compare._floor import MARGIN, Pairs
from traintwice.compare._inputs import DiffOptions, check_level, check_thresholds, check_top_k, distinct
from traintwice.compare._ledger import LAST, Ledger
from traintwice.compare._ledger_floor import opened_for, with_usual_changes
from traintwice.compare._results import Diff
from traintwice.compare._summed import DiffSQL, can_be_left_to_sql
from traintwice.errors import BadInput, cells_kept_out
from traintwice.metrics import Metric
from traintwice.predictions._inputs import items_of, one_item
from traintwice.predictions._reading import Reading
from traintwice.predictions._rows import Rows, open_rows

RANKED: tuple[Metric, ...] = (metrics.auc, metrics.kendall_tau, metrics.top_k_overlap)
"""Measures that need an order of all rows: given with ``rank=True``."""


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
    models = [[one_item(old, "old")], [one_item(new, "new")], [] if of_ledger else _several(floor), _several(new_floor)]
    _check(models, level, margin, same_within, min_support, listed)
    further = distinct(which)
    one_pass = [m for m in further if m.definition.one_pass]
    counted = {r.name for r in BETWEEN} | {"accuracy", "recall", "precision"}
    between = [m for m in one_pass if m.definition.between_replicas and m.__name__ not in counted]
    quality = [m for m in one_pass if not m.definition.between_replicas and m.__name__ not in counted]
    options = DiffOptions(
        which=tuple(between),
        quality=tuple(quality),
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
    if rows_file is not None:
        rows_file = check_rows_file(rows_file)
        refuse_overwriting({"rows_file": rows_file}, [model for group in models for model in group])
    names = ["old", "new", *[f"retrain {i + 1} of old" for i in range(len(models[2]))]]
    names += [f"retrain {i + 1} of new" for i in range(len(models[3]))]
    every = [model for group in models for model in group]
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
    if rows.files is not None and can_be_left_to_sql(rows, rows.files, options, details):
        return result_of(DiffSQL(rows, rows.files, options), rows, options)
    gathered = DiffAccumulator(rows, options)
    for block in rows.blocks():
        gathered.add(block)
    if not gathered.rows:
        raise BadInput("no rows are left to compare")
    return result_of(gathered, rows, options)


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


def _several(given: Any) -> list[Any]:
    return [] if isinstance(given, list | tuple) and not given else items_of(given)
