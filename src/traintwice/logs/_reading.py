"""Entry points: which layout a log has, and its outcomes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.logs import _columns as columns
from traintwice.logs import _inspect_ai as inspect_ai
from traintwice.logs import _lighteval as lighteval
from traintwice.logs import _lm_eval as lm_eval
from traintwice.logs import _openai_evals as openai_evals
from traintwice.logs import _promptfoo as promptfoo
from traintwice.logs import _rollouts as rollouts
from traintwice.logs._outcomes import Choice, Outcomes
from traintwice.logs._recognition import LogFormat, foreign_records, head_of

FORMATS: tuple[LogFormat, ...] = (
    lm_eval.FORMAT,
    inspect_ai.FORMAT,
    openai_evals.FORMAT,
    promptfoo.FORMAT,
    lighteval.FORMAT,
    rollouts.FORMAT,
)
"""Every layout; the first that matches is used."""

TABLES = (".csv", ".tsv", ".npz", ".npy", ".safetensors")
"""Files with these endings are not looked into: no log has them."""

FIRST_FILES = 100
"""A folder is not a log where none of this many files, in the order of their names, is one."""


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
    if not isinstance(path, str | Path) or Path(path).suffix.lower() in TABLES or not Path(path).exists():
        return False
    return recognise(path) is not None


@typed
def read_log(
    path: str | os.PathLike[str],
    *,
    scorer: str | None = None,
    filter: str | None = None,
    task: str | None = None,
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
        scorer: name of the scorer or metric to read, where there are several. Several names are separated by commas; each task
            uses the one that it has.
        filter: likewise, name of the filter (lm-evaluation-harness) or of the model and prompt (promptfoo).
        task: tasks to read; all where None.
        correct: column of the correctness or score; columns are then read by name instead of by layout. A dotted path leads into
            nested values: ``filtered_resps.0.0``.
        answer, id, draw, target, prompt: further columns by name; only with ``correct``. Several names for ``id`` are joined. Where
            ``id`` is None, the first of `columns.ID_COLUMNS` that exists is used.
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
    choice = Choice(scorer, filter, task)
    if correct is not None:
        if choice != Choice():
            raise BadInput(
                f"correct={correct!r} with scorer, filter or task. Pass one or the other: with correct, columns are read by name."
            )
        return columns.read_columns(path, correct, answer=answer, id=id, draw=draw, target=target, prompt=prompt, further=further)
    if further or any(column is not None for column in (answer, id, draw, target, prompt)):
        raise BadInput(
            "answer, id, draw, target or prompt without correct. Columns are read by name only where correct names the score."
        )
    layout, files = _found(path)
    if layout is None:
        raise BadInput(
            f"{path}: not an evaluation log of a known layout ({', '.join(f.name for f in FORMATS)}). "
            "Pass correct=COLUMN to read the columns of a JSONL, CSV or Parquet file by name."
        )
    with foreign_records(path, f"of {layout.title}"):
        return layout.read(path, files, choice)


def _found(path: Path) -> tuple[LogFormat | None, list[Path]]:
    """The layout of a log, and its files."""
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder.")
    if not path.is_dir():
        return _layout_of(path), [path]
    by_layout: dict[str, list[Path]] = {}
    layouts: dict[str, LogFormat] = {}
    for place, file in enumerate(sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path)))):
        if place == FIRST_FILES and not layouts:
            break
        layout = _layout_of(file)
        if layout is not None:
            layouts[layout.name] = layout
            by_layout.setdefault(layout.name, []).append(file)
    if len(layouts) > 1:
        shown = "; ".join(f"{name}: {files[0].relative_to(path)}" for name, files in by_layout.items())
        raise BadInput(
            f"{path}: the folder holds logs of {len(layouts)} layouts ({shown}). Pass one file, or a folder of one layout."
        )
    if not layouts:
        return None, []
    name = next(iter(layouts))
    return layouts[name], by_layout[name]


def _layout_of(file: Path) -> LogFormat | None:
    """The layout of one file."""
    head = head_of(file)
    return next((layout for layout in FORMATS if layout.matches(head)), None)


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
