"""Rows of evaluation logs: the outcomes of several models, matched by task and item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput, hidden, unknown
from traintwice.logs import Outcomes, normalise, pair_check, read_log
from traintwice.logs._outcomes import Item
from traintwice.predictions._in_memory import cluster_codes
from traintwice.predictions._layout import Summary
from traintwice.predictions._predictions import DrawBlock, Predictions
from traintwice.predictions._reading import Reading

LONGEST = 200
"""Texts of answers are cut to this length where they are names."""

NO_ANSWER = "(no answer)"


def read_outcomes(models: Sequence[Any], reading: Reading) -> tuple[Predictions, Summary, list[DrawBlock] | None]:
    """The outcomes of several models: one row for each item, what was read, and the draws of every item where logs have several.

    Args:
        models: a log for each; with ``correct``, files whose columns are named.
        reading: ``by``, ``cluster``, ``weight`` and ``show`` name columns of the log ("task", "prompt", "target"), or with ``correct``
            any column.
    """
    for option in ("probs", "logits", "regression", "positive", "classes", "time", "by_position"):
        if reading.get(option):
            raise BadInput(f"--{option.replace('_', '-')} has no meaning for evaluation logs; leave it out")
    cluster, weight = tuple(reading["cluster"]), reading["weight"]
    further = tuple(dict.fromkeys([*reading["by"], *cluster, *reading["show"], *([weight] if weight else [])]))
    logs = [_read(Path(model), reading, further) for model in models]
    items, dropped = _shared(logs, drop=reading["on_missing"] == "drop")
    rows = [_rows_of(log, items) for log in logs]
    answers, names = _answers(logs, tuple(reading["normalise"] or ()))
    first, at = logs[0], np.array([of[0] for of in rows[0]])

    def column(name: str) -> np.ndarray:
        texts = _columns(first).get(name)
        if texts is None:
            raise unknown("column", name, _columns(first), hint=f"({first.path})")
        return np.asarray(np.array(texts, dtype=object)[at])

    several = len(set(first.tasks)) > 1
    by = reading["by"] or (("task",) if several else ())
    show = reading["show"] or tuple(name for name in ("prompt", "target") if name in _columns(first))
    clusters = cluster_codes({name: column(name) for name in cluster}, len(items))
    ids = np.array([f"{task}: {item}" if several else item for task, item in items], dtype=object)
    described: dict[str, Any] = {
        "ids": ids, "groups": {name: column(name) for name in by}, "shown": {name: column(name) for name in show},
        "clusters": clusters, "positions": at,
    }  # fmt: skip
    weights = None if weight is None else _numbers(column(weight), weight)
    draws = any(log.draws is not None for log in logs)
    scores = np.array([[float(log.correct[of].mean()) for of in each] for log, each in zip(logs, rows, strict=True)])
    codes = (
        None if draws or answers is None else np.array([a[[of[0] for of in each]] for a, each in zip(answers, rows, strict=True)])
    )
    whole = Predictions.from_outcomes(scores, codes, weights, class_names=None if codes is None else names, **described)
    layouts = tuple(_in_words(log, reading) for log in logs)
    summary = Summary(
        files=tuple(log.path for log in logs), rows=len(items), labelled=int(whole.labelled.sum()), order="joined", layouts=layouts,
        label=", ".join(dict.fromkeys(first.scorers.values())) or None, weight=weight,
        dropped=dropped, cluster=" + ".join(cluster) or None, clusters=None if clusters is None else int(clusters.max()) + 1,
        draws=tuple(len(log) for log in logs) if draws else None, outcomes=True,
    )  # fmt: skip
    return whole, summary, [_draw_block(logs, rows, answers, whole)] if draws else None


def _read(path: Path, reading: Reading, further: Sequence[str]) -> Outcomes:
    chosen: dict[str, Any] = {name: reading[name] or None for name in ("scorer", "filter", "task")}
    if reading["correct"] is None:
        if reading["answer"] is not None:
            raise BadInput(
                "--answer names a column and needs --correct, the column of the correctness; logs of a known layout need neither"
            )
        return read_log(path, **chosen)
    known = {"id": reading["id"] or None, "draw": reading["draws"], "target": reading["label"]}
    return read_log(path, correct=reading["correct"], answer=reading["answer"], further=further, **known, **chosen)


def _columns(log: Outcomes) -> dict[str, Sequence[str | None]]:
    """Columns that can be named, with the values of each row."""
    texts: dict[str, Sequence[str | None] | None] = {"task": log.tasks, "prompt": log.prompts, "target": log.targets}
    return {name: values for name, values in texts.items() if values is not None} | dict(log.further)


def _shared(logs: Sequence[Outcomes], *, drop: bool) -> tuple[list[Item], tuple[int, ...]]:
    """The items of all logs, in the order of the first; how many rows of each log are left out."""
    lacking: dict[Item, str] = {}
    for log in logs[1:]:
        pairing = pair_check(logs[0], log)
        lacking |= dict.fromkeys(pairing.only_old, f"is missing from {log.path}")
        lacking |= dict.fromkeys(pairing.only_new, f"is in {log.path} and not in {logs[0].path}")
    if lacking and not drop:
        item, why = next(iter(lacking.items()))
        told = f"{len(lacking):,} items are not in {'both' if len(logs) == 2 else f'all {len(logs)}'} logs"
        first = hidden(f" (first: {': '.join(part for part in item if part)} {why})")
        raise BadInput(f"{told}{first}. Pass --on-missing drop to compare the others")
    items = [item for item in dict.fromkeys(logs[0].keys) if item not in lacking]
    return items, tuple(len(set(log.keys) - set(items)) for log in logs)


def _rows_of(log: Outcomes, items: Sequence[Item]) -> list[list[int]]:
    """The rows of each item: one, or one for each draw."""
    of: dict[Item, list[int]] = {item: [] for item in items}
    for row, item in enumerate(log.keys):
        if item in of:
            of[item].append(row)
    return list(of.values())


def _answers(logs: Sequence[Outcomes], steps: Sequence[str]) -> tuple[list[np.ndarray] | None, list[str]]:
    """The number of each row's answer, equal after `normalise`, and the text of each number; None where a log has no answers."""
    numbers: dict[str | None, int] = {}
    names: list[str] = []
    found = []
    for log in logs:
        if log.answers is None:
            return None, []
        codes = np.empty(len(log), dtype=np.int64)
        for row, text in enumerate(log.answers):
            key = None if text is None else normalise(text, steps) if steps else text
            codes[row] = numbers.setdefault(key, len(numbers))
            if codes[row] == len(names):
                names.append(NO_ANSWER if text is None else " ".join(text.split())[:LONGEST])
        found.append(codes)
    return found, names


def _draw_block(
    logs: Sequence[Outcomes], rows: Sequence[Sequence[Sequence[int]]], answers: Sequence[np.ndarray] | None, whole: Predictions
) -> DrawBlock:
    """All items with their draws; answers are numbered item by item."""
    codes = [np.nan_to_num(log.correct, nan=-1) if answers is None else answers[m] for m, log in enumerate(logs)]
    local = []
    for of_item in zip(*rows, strict=True):
        drawn = [codes[m][list(of)] for m, of in enumerate(of_item)]
        numbers = {value: n for n, value in enumerate(dict.fromkeys(np.concatenate(drawn).tolist()))}
        local.append([np.bincount([numbers[v] for v in d.tolist()], minlength=len(numbers)) for d in drawn])
    width = max(len(counts) for each in local for counts in each)
    counts = [np.array([np.pad(each[m], (0, width - len(each[m]))) for each in local]) for m in range(len(logs))]
    graded = not all(np.isin(log.correct[~np.isnan(log.correct)], (0, 1)).all() for log in logs)
    scores = [[log.correct[list(of)] for of in each] for log, each in zip(logs, rows, strict=True)]
    right = np.array([[float(s.mean()) for s in each] for each in scores])
    known = ~np.isnan(right).any(axis=0)
    flips = np.array([_flips(*of_item) for of_item in zip(*scores, strict=True)]).T if len(logs) == 2 else None
    return DrawBlock(
        counts, np.where(known, 0, -1), np.asarray(whole.ids), whole.weights, whole.clusters, whole.groups, whole.known.shown,
        right=list(np.where(known, right, 0.0)), flips=None if flips is None else list(np.where(known, flips, 0.0)), graded=graded,
    )  # fmt: skip


def _flips(old: np.ndarray, new: np.ndarray) -> tuple[float, float, float]:
    """Share of the pairs of draws of two models where the new score is lower, and higher; share of the ordered pairs of draws of one
    model where the second is lower, mean of both models.
    """
    pairs = np.sign(new[None, :] - old[:, None])
    within = [float((s[None, :] < s[:, None]).sum()) / max(len(s) * (len(s) - 1), 1) for s in (old, new)]
    return float((pairs < 0).mean()), float((pairs > 0).mean()), sum(within) / 2


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    try:
        return np.array([float(v) for v in values.tolist()])
    except (TypeError, ValueError):
        raise BadInput(f"--weight {name}: expected a number in every row") from None


def _in_words(log: Outcomes, reading: Reading) -> str:
    scorers, filters = (", ".join(dict.fromkeys(names.values())) for names in (log.scorers, log.filters))
    parts = [
        *([] if log.layout == "columns" else [log.layout]),
        *([f"model {log.model}"] if log.model else []),
        f"score {scorers}",
        *([f"filter {filters}"] if filters else []),
        *(f"{role} {reading[role]}" for role in ("answer", "draws") if reading[role]),
        *([f"{len(log):,} draws"] if log.draws is not None else []),
    ]
    return " · ".join(parts)
