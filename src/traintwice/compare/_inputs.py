"""What comes in, checked: metrics by name, levels, thresholds, and the replicas of one recipe from arrays, files or tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traintwice import metrics
from traintwice._formatting import visible
from traintwice.compare._floor import Pairs
from traintwice.errors import BadInput, unknown
from traintwice.metrics import Metric
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions, Reading, Rows, Summary, is_array, items_of, open_rows, reading_of, replicas_of
from traintwice.predictions._bank import BANK
from traintwice.predictions._predictions import summary_of

MOST_IN_MEMORY = 200_000_000
"""Numbers of predictions that are held in memory for metrics that need all rows together: 1.6 GB."""


@dataclass(frozen=True)
class DiffOptions:
    """Options of a comparison, see `diff`; ``which`` and ``quality`` are measures of one pass, ``whole`` those of all rows."""

    which: tuple[Metric, ...]
    quality: tuple[Metric, ...]
    whole: tuple[Metric, ...]
    by_slice: tuple[Metric, ...]
    thresholds: tuple[float, ...]
    top_k: tuple[float, ...]
    level: float
    min_support: int
    temperature_matched: bool
    listed: int
    no_rows: bool
    margin: float
    same_within: float
    pairs: Pairs | None


def warnings_of_rows(read: Summary) -> Iterator[str]:
    """Clauses on models that share random streams, and on files most rows of which are left out."""
    shared = shared_streams(*read.files[:2])
    if shared is not None:
        yield shared
    most, name = max(zip(read.dropped, read.files, strict=True), default=(0, ""))
    if most > read.rows:
        row = "item" if read.outcomes else "row"
        yield (
            f"{most:,} of {most + read.rows:,} {row}s of {visible(name)} are left out, and {read.rows:,} are compared: do all files "
            "write ids in the same way?"
        )


def shared_streams(old: str, new: str) -> str | None:
    """A clause on two files that are one replica of two recipes of a bank or store, by their names; else None."""
    one, other = Path(old), Path(new)
    study = one.parent.parent
    if one.name != other.name or one.parent == other.parent or study != other.parent.parent:
        return None
    if not (str(study).startswith(BANK) or (study.parent / "replicas.json").is_file()):
        return None
    return (
        f"both models are replica {one.stem} of their recipes, trained with the same random streams: they agree more than two "
        "independent trainings do. Take another replica as one of them, or compare the recipes with `traintwice measure --against`"
    )


def with_groups(by: Any, columns: Iterable[str]) -> Any:
    """The option ``by`` with further group columns; groups given as arrays, by name, stay as they are."""
    by = reading_of({"by": by})["by"]
    return by if isinstance(by, Mapping) else list(dict.fromkeys([*by, *columns]))


def named(metric: Metric | str) -> Metric:
    if not isinstance(metric, str):
        if not hasattr(metric, "definition"):
            raise BadInput(f"which: got {type(metric).__name__}, expected a measure of traintwice.metrics or its name")
        return metric
    known = {m.__name__: m for m in metrics.ALL}
    if metric not in known:
        raise unknown("measure", metric, known)
    return known[metric]


def distinct(given: Iterable[Metric | str]) -> tuple[Metric, ...]:
    """Metrics by their names, each once."""
    return tuple(dict.fromkeys(named(metric) for metric in given))


def check_level(level: float) -> None:
    if not 0.5 <= level < 1:
        raise BadInput(f"level: got {level}, expected a number from 0.5 to below 1, such as 0.95")


def check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    for threshold in thresholds:
        if not 0 <= threshold <= 1:
            raise BadInput(f"thresholds: got {threshold}, expected probabilities between 0 and 1")
    return tuple(float(t) for t in thresholds)


def check_top_k(top_k: Sequence[float]) -> tuple[float, ...]:
    """Check numbers of rows from 1, or shares of the rows below 1; raise `BadInput` for others."""
    for k in top_k:
        if not (0 < k < 1 or (1 <= k < math.inf and k == int(k))):
            raise BadInput(f"top_k: got {k}, expected a whole number of rows, or a share of the rows between 0 and 1")
    return tuple(float(k) for k in top_k)


def count_of(asked: float, rows: int) -> int:
    """The number of rows that a number or a share means."""
    return max(math.ceil(asked * rows), 1) if asked < 1 else int(asked)


@contextmanager
def open_replicas(predictions: Any, label: Any = None, reading: Reading | None = None) -> Iterator[Rows]:
    """The rows of replicas that are one array, arrays, files or tables; the label may be given apart from the other options."""
    given: Reading = {**(reading or {})}
    if label is not None and given.get("label") is not None:
        raise BadInput("label: given twice, as the second argument and by its name; give it once")
    if label is not None:
        given["label"] = label
    reading_of(given)
    items = items_of(predictions)
    changing = ("classes", "positive", "logits", "regression", "by", "time", "draws", "cluster")
    changes = any(hasattr(value := given.get(name), "shape") or bool(value) for name in changing)
    whole = items[0] if len(items) == 1 and is_array(items[0]) and not changes else None
    if isinstance(whole, Predictions) or (whole is not None and not (whole.ndim == 2 and to_numpy(whole).dtype.kind == "f")):
        p = Predictions.of(whole, given.get("label"), given.get("weight"))
        names = [f"replica {m}" for m in range(p.replicas)]
        yield Rows(p, summary_of(p, names, cluster=None if p.clusters is None else "clusters"))
        return
    models = replicas_of(predictions)
    with open_rows(models, [f"replica {m}" for m in range(len(models))], **given) as rows:
        yield rows


def in_memory(rows: Rows, what: str) -> Predictions:
    """All rows of all models; raise `BadInput` where they are too many for ``what``."""
    size = rows.summary.rows * rows.replicas * (rows.classes or 1)
    if size > MOST_IN_MEMORY:
        raise BadInput(f"{what} all rows together: {size:,} numbers, more than the {MOST_IN_MEMORY:,} that are held in memory")
    return rows.read()


def some_of(rows: Rows, whole: Predictions, chosen: Sequence[int]) -> Rows:
    """The rows of some of the models."""
    part = whole.change_replicas(lambda array: to_numpy(array)[list(chosen)])
    return Rows(part, summary_of(part, [rows.summary.files[m] for m in chosen], cluster=rows.clusters))
