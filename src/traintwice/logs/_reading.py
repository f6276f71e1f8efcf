"""Outcomes of a log in any known layout, or of any JSONL, CSV or Parquet file by the names of its columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from traintwice._typed import typed
from traintwice.errors import BadInput, hidden, unknown
from traintwice.logs._files import MISSING, Head, at, elements, foreign_records, head_of, lines, table_rows, text_of
from traintwice.logs._harnesses import is_lighteval, is_lm_eval, read_lighteval, read_lm_eval
from traintwice.logs._inspect_ai import is_inspect_ai, read_inspect_ai
from traintwice.logs._json_logs import (
    is_openai_evals,
    is_promptfoo,
    is_rollouts,
    read_openai_evals,
    read_promptfoo,
    read_rollouts,
)
from traintwice.logs._outcomes import Outcomes, Row, Rows, Texts, number_of


@dataclass(frozen=True)
class LogFormat:
    """A layout of evaluation logs.

    Attributes:
        name: short name, such as "lm-evaluation-harness".
        title: what writes such logs.
        matches: whether a file has the layout, by its start.
        read: collects the rows of the files of one log.
    """

    name: str
    title: str
    matches: Callable[[Head], bool]
    read: Callable[[Rows, Sequence[Path]], Outcomes]


FORMATS: tuple[LogFormat, ...] = (
    LogFormat("lm-evaluation-harness", "samples of lm-evaluation-harness (--log_samples)", is_lm_eval, read_lm_eval),
    LogFormat("inspect_ai", "logs of inspect_ai (.eval, .json)", is_inspect_ai, read_inspect_ai),
    LogFormat("openai-evals", "logs of OpenAI evals (oaieval)", is_openai_evals, read_openai_evals),
    LogFormat("promptfoo", "results of promptfoo (eval --output)", is_promptfoo, read_promptfoo),
    LogFormat("lighteval", "details of lighteval (--save-details)", is_lighteval, read_lighteval),
    LogFormat("rollouts", "rollouts with a reward (NeMo RL, JSONL)", is_rollouts, read_rollouts),
)
"""Every layout; the first that matches is used."""

TABLES = (".csv", ".tsv", ".npz", ".npy", ".safetensors")
"""Files with these endings are not looked into: no log has them."""

FIRST_FILES = 100
"""A folder is not a log where none of this many files, in the order of their names, is one."""

ID_COLUMNS = ("id", "item_id", "doc_id", "sample_id", "example_id", "question_id", "idx")
"""Columns that are taken for the id, the first that exists, where none is named."""


@typed
def recognise(path: str | os.PathLike[str]) -> LogFormat | None:
    """The layout of an evaluation log, by its content; the name of a file does not matter.

    Args:
        path: a file, or a folder of results (searched to any depth; hidden files are left out).
    Returns:
        The layout, or None where the file is not an evaluation log.
    Raises:
        BadInput: nothing at the path; a folder with logs of several layouts; a zip file that is cut short.
    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w") as file:
        ...     _ = file.write('{"doc_id": 0, "resps": [["4"]], "filtered_resps": ["4"], "acc": 1.0}')
        ...     _ = file.flush()
        ...     recognise(file.name).name
        'lm-evaluation-harness'
    """
    return _found(Path(path))[0]


def is_log(path: Any) -> bool:
    """Whether a file or folder is an evaluation log of a known layout, by its content."""
    if not isinstance(path, str | Path) or not Path(path).exists():
        return False
    return recognise(path) is not None


@typed
def read_log(
    path: str | os.PathLike[str],
    *,
    scorer: str | Sequence[str] | None = None,
    filter: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    correct: str | None = None,
    answer: str | None = None,
    id: str | Sequence[str] | None = None,
    draw: str | None = None,
    target: str | None = None,
    prompt: str | None = None,
    further: Sequence[str] = (),
) -> Outcomes:
    """Outcomes of an evaluation log.

    Args:
        path: a file or a folder of results in a layout of `FORMATS`; with ``correct``, any JSONL, CSV or Parquet file.
        scorer: name of the scorer or metric to read, where there are several. Several names are a list, or separated by commas; each
            task uses the one that it has.
        filter: likewise, name of the filter (lm-evaluation-harness) or of the model and prompt (promptfoo).
        task: tasks to read; all where None.
        correct: column of the correctness or score; columns are then read by name instead of by layout. A dotted path leads into
            nested values: ``filtered_resps.0.0``.
        answer, id, draw, target, prompt: further columns by name; only with ``correct``. Several names for ``id`` are joined. Where
            ``id`` is None, the first of `ID_COLUMNS` that exists is used.
        further: columns to keep as text; only with ``correct``.
    Returns:
        One row for each answer.
    Raises:
        BadInput: the file has none of the layouts, several scorers or filters where none is named, repeats that are not numbered,
            scores outside [0, 1], invalid content, or no rows.
        UnknownName: no such scorer, filter, task or column; the message lists those that exist.
    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w") as file:
        ...     _ = file.write('{"doc": {"id": "a"}, "right": true, "said": ["4"]}')
        ...     _ = file.flush()
        ...     found = read_log(file.name, correct="right", answer="said.0", id="doc.id")
        >>> found.items, found.correct, found.answers
        (['a'], array([1.]), ['4'])
    """
    path = Path(path)
    if correct is not None:
        if any(name is not None for name in (scorer, filter, task)):
            raise BadInput(
                f"--correct {correct} with --scorer, --filter or --task. Pass one or the other: with --correct, columns are read by name."
            )
        return read_columns(path, correct, answer=answer, id=id, draw=draw, target=target, prompt=prompt, further=further)
    if further or any(column is not None for column in (answer, id, draw, target, prompt)):
        raise BadInput(
            "answer, id, draw, target or prompt without correct. Columns are read by name only where correct names the score."
        )
    layout, files = _found(path)
    if layout is None:
        raise BadInput(
            f"{path}: not an evaluation log of a known layout ({', '.join(f.name for f in FORMATS)}). "
            "Pass --correct COLUMN to read the columns of a JSONL, CSV or Parquet file by name."
        )
    with foreign_records(path, f"of {layout.title}"):
        return layout.read(Rows(path, layout.name, scorer, filter, task), files)


def _found(path: Path) -> tuple[LogFormat | None, list[Path]]:
    """The layout of a log, and its files."""
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder.")
    if not path.is_dir():
        return _layout_of(path), [path]
    found: dict[str, tuple[LogFormat, list[Path]]] = {}
    inside = (p for p in path.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts))
    for place, file in enumerate(sorted(inside)):
        if place == FIRST_FILES and not found:
            break
        if (layout := _layout_of(file)) is not None:
            found.setdefault(layout.name, (layout, []))[1].append(file)
    if len(found) > 1:
        shown = "; ".join(f"{name}: {files[0].relative_to(path)}" for name, (_, files) in found.items())
        raise BadInput(
            f"{path}: the folder holds logs of {len(found)} layouts ({shown}). Pass one file, or a folder of one layout."
        )
    return next(iter(found.values()), (None, []))


def _layout_of(file: Path) -> LogFormat | None:
    """The layout of one file."""
    head = head_of(file)
    return next((layout for layout in FORMATS if layout.matches(head)), None)


@typed
def read_columns(
    path: Path,
    correct: str,
    *,
    answer: str | None = None,
    id: str | Sequence[str] | None = None,
    draw: str | None = None,
    target: str | None = None,
    prompt: str | None = None,
    further: Sequence[str] = (),
) -> Outcomes:
    """Outcomes from named columns; see `read_log` for the arguments. ``further`` names columns to keep as text.

    The score may be a truth value, a number, one of C, I, P, N, yes, no, pass, fail, correct, incorrect, true, false, or a numeral;
    empty values are not scored.

    Raises:
        BadInput: a score that is none of these; an item without an id; a file of another kind.
        UnknownName: a column does not exist in any row.
    """
    rows = Rows(path, "columns")
    if not path.is_file():
        raise BadInput(f"{path}: {'a folder' if path.is_dir() else 'no such file'}. Expected one JSONL, CSV or Parquet file.")
    wanted = {"correct": correct, "answer": answer, "draw": draw, "target": target, "prompt": prompt}
    wanted |= {f"further {column}": column for column in further}
    kept: dict[str, Texts] = {column: [] for column in further}
    ids: list[str] | None = None if id is None else [id] if isinstance(id, str) else list(id)
    known: dict[str, None] = {}
    seen: set[str] = set()
    for number, record in _records(path):
        known |= dict.fromkeys(record)
        if ids is None:
            ids = [next((name for name in ID_COLUMNS if name in record), "")]
            if not ids[0]:
                raise BadInput(f"{path}: no column for the id of an item. Pass --id; columns: {', '.join(record)}.")
        values = {name: at(record, column) if column is not None else None for name, column in wanted.items()}
        seen |= {name for name, value in values.items() if value is not MISSING}
        values = {name: None if value is MISSING else value for name, value in values.items()}
        score = number_of(_scalar(values["correct"]), verdicts=True)
        if score is None:
            raise BadInput(
                f"{path}: {correct} is not a score (first: {values['correct']!r} in {number}). "
                "Expected a number in [0, 1], a truth value, or C, I, P, N."
            )
        parts = [at(record, column) for column in ids]
        lacking = [column for column, part in zip(ids, parts, strict=True) if part is MISSING or part is None]
        if lacking:
            raise BadInput(f"{path}: {number} has no {lacking[0]}. Every item needs an id; columns: {', '.join(record)}.")
        texts: dict[str, Any] = {name: text_of(values[name]) for name in ("answer", "target", "prompt")}
        item = parts[0] if len(parts) == 1 else text_of(parts)
        rows.add(Row(item, {correct: score}, draw=_whole(path, number, draw, values["draw"]), **texts))
        for column, cells in kept.items():
            cells.append(text_of(values[f"further {column}"]))
    for name, missing in wanted.items():
        if known and name not in seen:
            raise unknown("column", str(missing), known, hint=f"({name.split()[0]} in {path})", listed=str(path))
    return replace(rows.outcomes([path]), further=kept)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a file as objects, with their place in words."""
    head = head_of(path)
    if head.kind == "json":
        for number, record in lines(path):
            yield f"line {number}", record
        return
    if head.kind == "array":
        for number, record in enumerate(elements(path), start=1):
            if not isinstance(record, dict):
                raise BadInput(f"{path}: element {number} of the array is not an object. Expected one object for each item.")
            yield f"element {number}", record
        return
    if head.kind not in ("parquet", "other"):
        raise BadInput(f"{path}: a {head.kind} file. Expected JSONL, CSV or Parquet.")
    source = "read_parquet(?)" if head.kind == "parquet" else "read_csv(?, all_varchar=true, header=true)"
    for number, row in enumerate(table_rows(path, source, "Expected JSONL, CSV or Parquet."), start=1):
        yield f"row {number}", row


def _scalar(value: Any) -> Any:
    """A list of one value as the value; decimals as floats."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value == "":
        return None
    return float(value) if isinstance(value, Decimal) else value


def _whole(path: Path, number: str, column: str | None, value: Any) -> int | None:
    """The number of a draw."""
    if column is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        shown = hidden(f"{value!r} in {number}", "not a whole number")
        raise BadInput(f"{path}: {column} is {shown}. Expected a whole number for each draw.") from None
