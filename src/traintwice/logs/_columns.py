"""Outcomes from any JSONL, CSV or Parquet file, by the names of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from traintwice._typed import typed
from traintwice.errors import BadInput, unknown
from traintwice.logs._json_text import MISSING, at, lines, text_of
from traintwice.logs._outcomes import Choice, Outcomes, Rows, Texts, number_of
from traintwice.logs._recognition import digest_of, head_of

ID_COLUMNS = ("id", "item_id", "doc_id", "sample_id", "example_id", "question_id", "idx")
"""Columns that are taken for the id, the first that exists, where none is named."""

BATCH = 1024
"""Rows of a table that are held as Python values."""


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

    The score may be a truth value, a number, one of C, I, P, N, yes, no, true, false, or a numeral; empty values are not scored.

    Raises:
        BadInput: a score that is none of these; an item without an id; a file of another kind.
        UnknownName: a column does not exist in any row.
    """
    rows = Rows(path, "columns", Choice())
    if not path.is_file():
        raise BadInput(f"{path}: {'a folder' if path.is_dir() else 'no such file'}. Expected one JSONL, CSV or Parquet file.")
    wanted = {"correct": correct, "answer": answer, "draw": draw, "target": target, "prompt": prompt}
    wanted |= {f"further {column}": column for column in further}
    kept: dict[str, Texts] = {column: [] for column in further}
    ids: list[str] | None = None if id is None else [id] if isinstance(id, str) else list(id)
    known: dict[str, None] = {}
    found = dict.fromkeys(name for name in wanted if wanted[name] is not None) | {}
    seen: set[str] = set()
    for number, record in _records(path):
        known |= dict.fromkeys(record)
        if ids is None:
            ids = [next((name for name in ID_COLUMNS if name in record), "")]
            if not ids[0]:
                raise BadInput(f"{path}: no column for the id of an item. Pass id=; columns: {', '.join(record)}.")
        values = {name: at(record, column) if column is not None else None for name, column in wanted.items()}
        seen |= {name for name in found if values[name] is not MISSING}
        values = {name: None if value is MISSING else value for name, value in values.items()}
        score = number_of(_scalar(values["correct"]), verdicts=True)
        if score is None:
            raise BadInput(
                f"{path}: {correct} is not a score (first: {values['correct']!r} in {number}). "
                "Expected a number in [0, 1], a truth value, or C, I, P, N."
            )
        parts = [at(record, column) for column in ids]
        if any(part is MISSING or part is None for part in parts):
            column = next(c for c, part in zip(ids, parts, strict=True) if part is MISSING or part is None)
            raise BadInput(f"{path}: {number} has no {column}. Every item needs an id; columns: {', '.join(record)}.")
        rows.add(
            parts[0] if len(parts) == 1 else text_of(parts),
            {correct: score},
            draw=_whole(path, number, draw, values["draw"]),
            answer=text_of(values["answer"]),
            target=text_of(values["target"]),
            prompt=text_of(values["prompt"]),
        )
        for column, texts in kept.items():
            texts.append(text_of(values[f"further {column}"]))
    for name in found:
        if known and name not in seen:
            raise unknown("column", str(wanted[name]), known, hint=f"({name.split()[0]} in {path})", listed=str(path))
    return replace(rows.outcomes(digest_of([path])), further=kept)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a file as objects, with their place in words."""
    head = head_of(path)
    if head.kind == "json":
        for number, record in lines(path):
            yield f"line {number}", record
        return
    if head.kind not in ("parquet", "other"):
        raise BadInput(f"{path}: a {head.kind} file. Expected JSONL, CSV or Parquet.")
    import duckdb

    source = "read_parquet(?)" if head.kind == "parquet" else "read_csv(?, all_varchar=true, header=true)"
    with duckdb.connect() as connection:
        try:
            cursor = connection.execute(f"SELECT * FROM {source}", [str(path)])  # noqa: S608 - one of two texts
            names = [column[0] for column in cursor.description or ()]
            number = 0
            while batch := cursor.fetchmany(BATCH):
                for row in batch:
                    number += 1
                    yield f"row {number}", dict(zip(names, row, strict=True))
        except (duckdb.Error, RuntimeError) as error:  # RuntimeError: a name that is not UTF-8
            raise BadInput(f"{path}: cannot be read ({str(error).splitlines()[0]}). Expected JSONL, CSV or Parquet.") from None


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
        raise BadInput(f"{path}: {column} is {value!r} in {number}. Expected a whole number for each draw.") from None
