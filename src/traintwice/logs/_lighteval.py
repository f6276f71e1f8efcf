"""Details of Hugging Face lighteval: Parquet files that ``--save-details`` writes.

Columns since version 0.9: ``doc``, ``metric``, ``model_response``; up to 0.8: ``full_prompt``, ``example``, ``predictions``, ``gold``,
``choices``, ``gold_index``, ``metrics`` and others, in some releases with all values as text. Files are named
``details/MODEL/DATE/details_TASK_DATE.parquet``, with ``results/MODEL/results_DATE.json`` for the model and the task versions. A row is a
document; the item is its id, its row number where the file keeps no ids.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput
from traintwice.logs._json_text import text_of
from traintwice.logs._outcomes import Choice, Outcomes, Rows
from traintwice.logs._recognition import Head, LogFormat, columns_of, digest_of, object_in

_NAME = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[^_]*)\.parquet")

_NEW, _OLD = {"doc", "metric", "model_response"}, {"full_prompt", "predictions", "metrics"}

_KEPT = ("choices", "gold", "gold_index")

BATCH = 256
"""Rows that are held as Python values; a row may hold token ids and logits."""


def _matches(head: Head) -> bool:
    if not any(all(name.encode() in head.footer for name in layout) for layout in (_NEW, _OLD)):
        return False  # most Parquet files are not logs, and opening each of them takes far longer than its footer
    names = set(columns_of(head.path))
    return names >= _NEW or names >= _OLD


def _read(path: Path, files: Sequence[Path], choice: Choice) -> Outcomes:
    rows = Rows(path, FORMAT.name, choice)
    model: str | None = None
    versions: dict[str, str] = {}
    for task, date, file in rows.wanted(files, _NAME):
        for number, row in enumerate(_rows_of(file)):
            new = "doc" in row
            doc, metrics, response = (row["doc"], row["metric"], row["model_response"]) if new else (row, row["metrics"], row)
            doc, metrics = _value(doc), _value(metrics)
            item = doc.get("id") if new else row.get("example_id")
            rows.add(
                number if item in (None, "") else item,
                metrics if isinstance(metrics, dict) else {},
                task=task,
                answer=_answer(doc, _value(response), new=new),
                target=_target(doc),
                prompt=text_of(_value(response).get("input") or doc.get("query")) if new else text_of(row["full_prompt"]),
            )
        results = _results_of(file, date)
        general = results.get("config_general") or {}
        model = model or text_of(general.get("model_name") or (general.get("model_config") or {}).get("model_name"))
        versions |= {k: str(v) for k, v in (results.get("versions") or {}).items()}
    return rows.outcomes(digest_of(files), model=model, versions=versions)


def _rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """Rows with the columns that are used."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            kept = [name for name in columns_of(file) if name in (*_NEW, *_OLD, *_KEPT, "example_id")]
            cursor = connection.execute(f"SELECT {', '.join(kept)} FROM read_parquet(?)", [str(file)])  # noqa: S608 - names of ours
            while batch := cursor.fetchmany(BATCH):
                yield from (dict(zip(kept, row, strict=True)) for row in batch)
        except duckdb.Error as error:
            raise BadInput(f"{file}: cannot be read ({str(error).splitlines()[0]}). Copy the file again.") from None


def _answer(doc: dict[str, Any], response: dict[str, Any], *, new: bool) -> str | None:
    """The generated text; of a choice by log likelihood, the text of the most likely choice."""
    if new:
        texts = response.get("text_post_processed") or response.get("text") or []
        likelihoods = [] if texts else response.get("logprobs") or []
    else:
        texts, likelihoods = _value(response["predictions"]) or [], []
        texts = texts if isinstance(texts, list) else [texts]
        if texts and all(isinstance(t, int | float | list | tuple) for t in texts):
            likelihoods, texts = [t[0] if isinstance(t, list | tuple) and t else t for t in texts], []
    choices = _value(doc.get("choices")) or []
    if texts:
        return text_of(texts[0] if len(texts) == 1 else list(texts))
    if len(likelihoods) > 1 and all(isinstance(x, int | float) for x in likelihoods):
        best = list(likelihoods).index(max(likelihoods))
        return text_of(choices[best]) if best < len(choices) else str(best)
    return None


def _target(doc: dict[str, Any]) -> str | None:
    """The right choice, or the text that is expected."""
    gold, choices, index = (_value(doc.get(key)) for key in ("gold", "choices", "gold_index"))
    if gold:
        return text_of(gold[0] if isinstance(gold, list) and len(gold) == 1 else gold)
    places = index if isinstance(index, list) else [index]
    found = [choices[i] for i in places if isinstance(i, int) and choices and 0 <= i < len(choices)]
    return text_of(found[0] if len(found) == 1 else found) if found else None


def _value(value: Any) -> Any:
    """A value that some releases keep as Python text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return value
    return value


def _results_of(file: Path, date: str) -> dict[str, Any]:
    """The results file of the same run; empty where there is none."""
    parts = file.parts
    if "details" in parts:
        place = len(parts) - 1 - parts[::-1].index("details")
        return object_in(Path(*parts[:place], "results", *parts[place + 1 : -2], f"results_{date}.json"))
    return {}


FORMAT = LogFormat("lighteval", "details of lighteval (--save-details)", _matches, _read)
