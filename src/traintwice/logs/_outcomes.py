"""Outcomes: one row for each answer of a model to an item, with its correctness."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput, unknown

Texts = list[str | None]
"""A column of texts; None where the log has none."""

Item = tuple[str, str]
"""Task and item id."""

NO_FILTER = ("", "none")
"""Names of answers that no filter changed; a task with these alone needs no choice."""

_TRUTH = {"true": 1.0, "false": 0.0}

_VERDICTS = {"c": 1.0, "p": 0.5, "i": 0.0, "n": 0.0, "yes": 1.0, "no": 0.0, "pass": 1.0, "fail": 0.0}
_VERDICTS |= {"passed": 1.0, "failed": 0.0, "correct": 1.0, "incorrect": 0.0}


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The rows of an evaluation log, as columns of equal length. A row is one answer of the model to one item.

    Attributes:
        path: the file or folder that was read.
        layout: name of the layout, such as "lm-evaluation-harness"; "columns" where the columns were named.
        items: id of the item; unique together with task and draw.
        tasks: task of the item; "" where the log names none.
        draws: number of the draw (epoch, repeat, rollout); None where every item has one row.
        correct: correctness or score, float64 in [0, 1]; NaN where the log has no score.
        answers, targets, prompts: texts; None where the log has none at all.
        input_hashes: hashes of the item's input that the log holds, "name=value" joined by spaces; None where the log has none.
        model: name of the model, where the log has one.
        scorers, filters: scorer (metric) and filter that were read, by task.
        versions: version of each task, where the log has it.
        warnings: sentences on what is missing or unusual.
        digest: SHA-256 of the bytes of all files that were read.
        further: other columns by name, where columns were read by name.
    """

    path: str
    layout: str
    items: list[str]
    tasks: list[str]
    draws: np.ndarray | None
    correct: np.ndarray
    answers: Texts | None
    targets: Texts | None
    prompts: Texts | None
    input_hashes: Texts | None
    model: str | None
    scorers: Mapping[str, str]
    filters: Mapping[str, str]
    versions: Mapping[str, str]
    warnings: tuple[str, ...]
    digest: str
    further: Mapping[str, Texts] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def keys(self) -> list[Item]:
        """Task and item of every row."""
        return list(zip(self.tasks, self.items, strict=True))

    def columns(self) -> dict[str, Any]:
        """The columns that the log has, by name: item, task, draw, correct, answer, target, prompt."""
        names = {"item": "items", "task": "tasks", "draw": "draws", "correct": "correct", "answer": "answers"}
        names |= {"target": "targets", "prompt": "prompts"}
        return {name: column for name, of in names.items() if (column := getattr(self, of)) is not None}


@dataclass(slots=True)
class Row:
    """One answer: scores that are not numbers are left out, and ``answer`` may differ by scorer."""

    item: Any
    scores: Mapping[str, Any]
    task: str = ""
    draw: int | None = None
    filter: str = ""
    answer: str | Mapping[str, str | None] | None = None
    target: str | None = None
    prompt: str | None = None
    input_hash: str | None = None

    def __post_init__(self) -> None:
        self.item = str(self.item)
        self.scores = {name: number for name, value in self.scores.items() if (number := number_of(value)) is not None}

    def __str__(self) -> str:
        return named_item(self.task, self.item) + ("" if self.draw is None else f", draw {self.draw}")


@dataclass
class Rows:
    """Collects the rows of a log, then chooses scorer and filter and checks the result.

    Attributes:
        path: the file or folder that is read, for messages.
        layout: name of the layout.
        scorer, filter, task: what to read; several names are a list or separated by commas, and each task uses those that it has.
        warnings: sentences on what is missing or unusual.
    """

    path: Path
    layout: str
    scorer: str | Sequence[str] | None = None
    filter: str | Sequence[str] | None = None
    task: str | Sequence[str] | None = None
    warnings: list[str] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _filters: dict[str, Counter[str]] = field(default_factory=dict)
    _sources: dict[str, Path] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    _models: set[str] = field(default_factory=set)
    _versions: dict[str, str] = field(default_factory=dict)

    def wants(self, task: str, source: Path) -> bool:
        """Notes a task of a file; False where the task is not to be read."""
        first = self._sources.setdefault(task, source)
        wanted = self.task is None or task in _names(self.task, [task])
        if wanted and first != source:
            raise BadInput(
                f"{self.path}: {f'task {task!r}' if task else 'one task'} is in two files, {first.name} and {source.name}. Expected one "
                "run of each task. Pass one of the files, or move the other run away."
            )
        return wanted

    def wanted(self, files: Sequence[Path], name: re.Pattern[str]) -> Iterator[tuple[str, str, Path]]:
        """Task, date and path of every file that is to be read; task and date are groups of the file's name, "" if it has none."""
        for file in files:
            match = name.fullmatch(file.name)
            task, date = (match["task"], match["date"]) if match else ("", "")
            if self.wants(task, file):
                yield task, date, file

    def describe(self, model: Any, versions: Mapping[str, Any] | None = None) -> None:
        """Notes the model of a file, None where it names none, and the versions of its tasks."""
        if model is not None:
            self._models.add(str(model))
        self._versions |= {task: str(version) for task, version in (versions or {}).items()}

    def add(self, row: Row) -> None:
        """Adds a row, unless another filter is to be read."""
        self._filters.setdefault(row.task, Counter())[row.filter] += 1
        if row.filter in NO_FILTER or self.filter is None or row.filter in _names(self.filter, [row.filter]):
            row.target, row.prompt = (t if t is None else self._texts.setdefault(t, t) for t in (row.target, row.prompt))
            self._rows.append(row)

    def outcomes(self, files: Sequence[Path]) -> Outcomes:
        """The rows of the chosen scorer and filter; ``files`` are all that were read."""
        for name in _names(self.task or "", self._sources):
            if name not in self._sources:
                raise unknown("task", name, self._sources, listed=str(self.path))
        if not self._filters:
            raise BadInput(f"{self.path}: the log has no results of items. Expected at least one; did the run finish?")
        filters = {task: self._one("filter", task, self.filter, names) for task, names in self._filters.items()}
        rows = [row for row in self._rows if row.filter == filters[row.task]]
        scored: dict[str, Counter[str]] = {task: Counter() for task in self._filters}
        for row in rows:
            scored[row.task].update(row.scores.keys())
        scorers = {task: self._one("scorer", task, self.scorer, names) for task, names in scored.items()}
        correct = np.array([row.scores.get(scorers[row.task], math.nan) for row in rows], dtype=np.float64)
        self._check(rows, correct, scorers)
        repeated = len({(row.task, row.item) for row in rows}) < len(rows)
        missing = int(np.isnan(correct).sum())
        return Outcomes(
            path=str(self.path),
            layout=self.layout,
            items=[row.item for row in rows],
            tasks=[row.task for row in rows],
            draws=np.array([row.draw or 0 for row in rows], dtype=np.int64) if repeated else None,
            correct=correct,
            answers=_column(r.answer.get(scorers[r.task]) if isinstance(r.answer, Mapping) else r.answer for r in rows),
            targets=_column(row.target for row in rows),
            prompts=_column(row.prompt for row in rows),
            input_hashes=_column(row.input_hash for row in rows),
            model=next(iter(self._models)) if len(self._models) == 1 else None,
            scorers=scorers,
            filters={task: name for task, name in filters.items() if name},
            versions={task: version for task, version in self._versions.items() if task in self._filters},
            warnings=(*self.warnings, *([f"{missing:,} of {len(rows):,} rows have no score."] if missing else [])),
            digest=_digest_of(files),
        )

    def _one(self, kind: str, task: str, asked: str | Sequence[str] | None, available: Mapping[str, int]) -> str:
        """The one scorer or filter of a task."""
        where = f"{self.path}{f', task {task!r}' if task else ''}"
        of_each = f"; for tasks with different {kind}s one of each: --{kind} NAME,NAME" if len(self._filters) > 1 else ""
        if not available:
            told = f"{where}: no row has a score that is a number, truth value or C, I, P, N. Expected at least one {kind}."
            raise BadInput(" ".join([told, *self.warnings]))
        if len(available) == 1 and (asked is None or (kind == "filter" and next(iter(available)) in NO_FILTER)):
            return next(iter(available))
        if asked is None:
            raise BadInput(
                f"{where}: {len(available)} {kind}s ({', '.join(sorted(available))}). "
                f"Expected one; name it: --{kind} {min(available)}{of_each}."
            )
        found = [name for name in _names(asked, available) if name in available]
        if not found:
            raise unknown(kind, ", ".join(_names(asked, available)), available, hint=f"({where}{of_each})", listed=where)
        if len(found) > 1:
            raise BadInput(f"{where}: {len(found)} of the {kind}s to read are here ({', '.join(found)}). Expected one.")
        return found[0]

    def _check(self, rows: list[Row], correct: np.ndarray, scorers: Mapping[str, str]) -> None:
        """Scores are in [0, 1], and rows are unique."""
        outside = np.flatnonzero((correct < 0) | (correct > 1))
        if len(outside):
            row = rows[outside[0]]
            raise BadInput(
                f"{self.path}: {len(outside):,} of {len(rows):,} scores of {scorers[row.task]!r} are outside [0, 1] "
                f"(first: {correct[outside[0]]:g} of {row}). Choose another scorer, or divide the scores by their maximum."
            )
        seen: set[tuple[str, str, int | None]] = set()
        for row in rows:
            key = (row.task, row.item, row.draw)
            if key in seen:
                raise BadInput(
                    f"{self.path}: the log holds the same item more than once (first: {row}). Expected one row for each item, "
                    "or repeats with a number (epochs). Keep one run, or name the columns that distinguish the rows: with --correct, "
                    "--id COLUMN, and --draws COLUMN for the number of the repeat."
                )
            seen.add(key)


def number_of(value: Any, *, verdicts: bool = False) -> float | None:
    """A score as a number: truth values, numbers and both as text; with ``verdicts`` also C, I, P, N (1, 0, 0.5, 0), yes, no, pass,
    fail, correct and incorrect.

    NaN for nothing, None for values that are not a score.

    >>> [number_of(v, verdicts=True) for v in (True, 0.25, "C", "P", "no", "1", [1])], number_of("C")
    ([1.0, 0.25, 1.0, 0.5, 0.0, 1.0, None], None)
    """
    if value is None:
        return math.nan
    if not isinstance(value, bool | int | float | str):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    except ValueError:
        return (_TRUTH | _VERDICTS if verdicts else _TRUTH).get(str(value).lower())
    return None if math.isinf(number) else number


def _names(texts: str | Sequence[str], known: Collection[str]) -> list[str]:
    """Names in texts with commas; one name where all of a text is a known one."""
    every = [texts] if isinstance(texts, str) else texts
    return [name for text in every for name in ([text] if text in known else map(str.strip, text.split(","))) if name]


def named_item(task: str, item: str) -> str:
    """An item, for messages."""
    shown = item if len(item) <= 60 else item[:60] + "…"
    return f"item {shown!r}{f' of task {task!r}' if task else ''}"


def _digest_of(files: Sequence[Path]) -> str:
    """SHA-256 of a file; of several files, that of their digests in order."""
    found = []
    for path in files:
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256"))
    return found[0].hexdigest() if len(found) == 1 else hashlib.sha256(b"".join(d.digest() for d in found)).hexdigest()


def _column(texts: Iterable[str | None]) -> Texts | None:
    """A column, or None where all of it is None."""
    column = list(texts)
    return column if any(text is not None for text in column) else None
