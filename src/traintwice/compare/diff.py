"""One old model against one new model: what changed, where, and whether it is more than retraining alone would bring."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from traintwice import metrics
from traintwice.compare.counted import can_count, counted
from traintwice.compare.decisions import check_thresholds, check_top_k
from traintwice.compare.noise_floor import Pairs
from traintwice.compare.results import Diff
from traintwice.compare.streamed import streamed
from traintwice.compare.wanted import RANKED, Wanted
from traintwice.errors import BadInput, cells_kept_out, unknown
from traintwice.metrics import Metric
from traintwice.predictions import Reading, items_of, open_rows


def diff(
    old: Any,
    new: Any,
    *,
    floor: Any = (),
    new_floor: Any = (),
    id: Any = None,
    probs: str | Sequence[str] | None = None,
    label: Any = None,
    weight: Any = None,
    by: Any = None,
    cluster: Any = None,
    draws: Any = None,
    time: Any = None,
    classes: Sequence[str] | None = None,
    positive: str | None = None,
    logits: bool = False,
    regression: bool = False,
    memory: int | str | None = None,
    on_missing: Literal["refuse", "drop"] = "refuse",
    by_position: bool = False,
    which: Sequence[Metric | str] = (),
    by_slice: Sequence[Metric | str] = (),
    thresholds: Sequence[float] = (),
    top_k: Sequence[float] = (),
    level: float = 0.95,
    min_support: int = 100,
    rank: bool = False,
    temperature_matched: bool = False,
    moved: int = 20,
    no_rows: bool = False,
    waive: Collection[str] = (),
    margin: float | None = None,
    details: bool | None = None,
) -> Diff:
    r"""Compare the predictions of two models row by row.

    With retrains of the old recipe, churn = floor + excess:

        excess = churn(old, new) − mean_i churn(old, again_i)

    Args:
        old, new: each a file of predictions, a table, an array (``N K`` probabilities, ``N`` predicted labels, or ``N`` numbers in
            [0, 1] of a binary model), or `Predictions` of one model.
        floor: retrains of the old recipe: a glob, a directory, or a list of such or of arrays. Four or more are worth having.
        new_floor: retrains of the new recipe.
        id, probs, label, weight, by, cluster, draws, time, classes, positive, logits, regression, memory, on_missing, by_position:
            which columns are what; see `open_predictions`. With arrays, id, label, weight and time are arrays, and by and cluster
            arrays or mappings from names to arrays.
        which: further measures, or their names, from `traintwice.metrics`.
        by_slice: measures wanted for every slice.
        thresholds: decisions "probability of class 1 >= t" of a binary model.
        top_k: swap sets of the k highest scores of a binary model: numbers of rows, or shares below 1.
        level: nominal coverage of intervals.
        min_support: the least rows of a slice.
        rank: also measures that need an order of all rows (AUC, Kendall's tau): reads all rows into memory.
        temperature_matched: also soft measures after each model was brought to its best temperature.
        moved: how many of the rows that moved most are kept.
        no_rows: keep ids and rows out of the result, and what stands in cells out of errors.
        waive: ids of rows that do not count.
        margin: the smallest excess that matters for the verdict "within noise"; None takes half the floor.
        details: None leaves two unweighted binary models, or predicted labels, of two million rows or more to DuckDB, which is many
            times faster and leaves out what needs the rows (bands, rows that moved, reviews, soft measures; ``left_out`` names
            them). True never does, False does at any size.
    Returns:
        A `Diff`. Intervals are about these two models and new rows; that of the excess also about new retrains.
    Raises:
        BadInput: see `open_predictions`; ``new_floor`` without ``floor``.
    Source:
        Spec sections 1 and 2.
    Example:
        >>> d = diff(np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), label=np.array([0, 1, 0, 1]))
        >>> d["churn"].value, d["negative_flips"].value, d["accuracy"].value
        (0.5, 0.25, 0.0)
    """
    models = [[_one(old, "old")], [_one(new, "new")], _several(floor), _several(new_floor)]
    if models[3] and not models[2]:
        raise BadInput(
            "new_floor needs floor: the churn between retrains of the new recipe is held against that of the old recipe"
        )
    if not 0 < level < 1:
        raise BadInput(f"level: got {level}, expected a number between 0 and 1, such as 0.95")
    if min_support < 1 or moved < 0:
        raise BadInput(f"min_support, moved: got {min_support} and {moved}, expected at least 1 and at least 0")
    reading: Reading = {"id": id, "probs": probs, "label": label, "weight": weight, "by": by, "time": time, "classes": classes}
    reading |= {"cluster": cluster, "draws": draws, "positive": positive, "logits": logits, "regression": regression}
    reading |= {"memory": memory, "on_missing": on_missing, "by_position": by_position}
    further = [named(metric) for metric in which]
    one_pass = [m for m in further if m.definition.one_pass]
    between = [m for m in one_pass if m.definition.between_replicas]
    whole = [*(RANKED if rank else ()), *[m for m in further if not m.definition.one_pass]]
    wanted = Wanted(
        which=tuple(between),
        quality=tuple(m for m in one_pass if m not in between),
        whole=tuple(dict.fromkeys(whole)),
        thresholds=check_thresholds(thresholds),
        top_k=check_top_k(top_k),
        level=level,
        min_support=min_support,
        temperature_matched=temperature_matched,
        moved=0 if no_rows else moved,
        no_rows=no_rows,
        margin=margin,
        by_slice=tuple(named(metric) for metric in by_slice),
        pairs=Pairs(len(models[2]), len(models[3])) if models[2] else None,
    )
    names = ["old", "new", *[f"retrain {i + 1} of old" for i in range(len(models[2]))]]
    names += [f"retrain {i + 1} of new" for i in range(len(models[3]))]
    every = [model for group in models for model in group]
    with cells_kept_out(no_rows), open_rows(every, names, **reading) as rows:
        rows.waive = frozenset(str(i) for i in waive)
        if rows.files is not None and can_count(rows, wanted, details):
            return counted(rows, rows.files, wanted)
        return streamed(rows, wanted)


def named(metric: Metric | str) -> Metric:
    """A metric by its name.

    Raises:
        UnknownName: there is none of that name; the nearest are offered.
    """
    if not isinstance(metric, str):
        return metric
    known = {m.__name__: m for m in metrics.ALL}
    if metric not in known:
        raise unknown("measure", metric, known)
    return known[metric]


def _one(given: Any, name: str) -> Any:
    items = items_of(given)
    if len(items) != 1:
        raise BadInput(f"{name}: {len(items)} files or arrays were given, expected one model")
    return items[0]


def _several(given: Any) -> list[Any]:
    return [] if isinstance(given, list | tuple) and not given else items_of(given)
