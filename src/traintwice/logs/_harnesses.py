"""Logs of the evaluation harnesses lm-evaluation-harness and lighteval.

Samples of EleutherAI lm-evaluation-harness: JSONL files that ``--log_samples`` writes. Layout of version 0.4.13:
``samples_TASK_DATE.jsonl``, with ``results_DATE.json`` in the same folder; a line is one document under one filter. Logs from
0.4.3 on are read; before 0.4.7 they name neither filter nor metrics, so that those of several filters are refused as repeats.

Details of Hugging Face lighteval: Parquet files that ``--save-details`` writes. Columns since version 0.9: ``doc``, ``metric``,
``model_response``; up to 0.8: ``full_prompt``, ``example``, ``predictions``, ``gold``, ``choices``, ``gold_index``, ``metrics``
and others, in some releases with all values as text. Files are named ``details/MODEL/DATE/details_TASK_DATE.parquet``, with
``results/MODEL/results_DATE.json`` for the model and the task versions. A row is a document; the item is its id, its row number
where the file keeps no ids.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from traintwice.logs._files import MISSING, Head, at, lines, object_in, table_rows, text_of
from traintwice.logs._outcomes import Outcomes, Row, Rows

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[^_]*)\.jsonl")
_DETAILS = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[^_]*)\.parquet")

_HASHES = ("doc_hash", "prompt_hash")
_OWN_KEYS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", *_HASHES, "target_hash"}

_NEW, _OLD = {"doc", "metric", "model_response"}, {"full_prompt", "predictions", "metrics"}
_KEPT = (*_NEW, *_OLD, "choices", "gold", "gold_index", "example_id")

BATCH = 256
"""Rows that are held as Python values; a row may hold token ids and logits."""


def is_lm_eval(head: Head) -> bool:
    """Whether a file holds samples of lm-evaluation-harness."""
    return {"doc_id", "resps", "filtered_resps"} <= head.first.keys()


def read_lm_eval(rows: Rows, files: Sequence[Path]) -> Outcomes:
    """Outcomes of lm-evaluation-harness."""
    for task, date, file in rows.wanted(files, _SAMPLES):
        for _, sample in lines(file):
            metrics = sample.get("metrics") or [key for key in sample if key not in _OWN_KEYS]
            row = Row(
                sample["doc_id"],
                {metric: sample.get(metric) for metric in metrics},
                task=task,
                filter=str(sample.get("filter", "none")),
                answer=_filtered_answer(sample, list(metrics)),
                target=text_of(sample.get("target")),
                prompt=text_of(_argument(sample, 0, 0)),
                input_hash=" ".join(f"{key}={sample[key]}" for key in _HASHES if sample.get(key)) or None,
            )
            rows.add(row)
        beside = [file.with_name(f"results_{date}.json")] if date else list(file.parent.glob("results_*.json"))
        results = object_in(beside[0]) if len(beside) == 1 else {}
        rows.describe(text_of(results.get("model_name")), results.get("versions"))
    return rows.outcomes(files)


def _filtered_answer(sample: dict[str, Any], metrics: Sequence[str]) -> str | dict[str, str | None] | None:
    """The filtered answer; of choices by log likelihood, the text of the best choice by the rule of each metric."""
    answers = sample["filtered_resps"]
    if not isinstance(answers, list) or not answers:
        return text_of(answers or None)
    if len(answers) > 1 and all(isinstance(a, list) and len(a) == 2 for a in answers):
        try:
            likelihoods = [float(a[0]) for a in answers]
        except (TypeError, ValueError):
            return text_of(answers)
        return {metric: _best_choice(sample, likelihoods, metric, mutual="acc_mutual_info" in metrics) for metric in metrics}
    answer = answers[0] if len(answers) == 1 else answers
    return text_of(answer[0] if isinstance(answer, list) and len(answer) == 1 else answer)


def _best_choice(sample: dict[str, Any], likelihoods: list[float], metric: str, *, mutual: bool) -> str:
    """The text of the choice that a metric takes.

    That is the most likely one; for acc_norm by log likelihood per character, for acc_bytes per byte, for acc_mutual_info less that
    without the question, which is logged after those of all choices.
    """
    count = len(likelihoods) // 2 if mutual else len(likelihoods)
    texts = [_argument(sample, i, 1) for i in range(count)]
    scores = likelihoods[:count]
    if all(isinstance(text, str) for text in texts):
        choices = [str(text).removeprefix(" ") for text in texts]
        if metric in ("acc_norm", "acc_bytes"):
            sizes = [len(choice if metric == "acc_norm" else choice.encode()) for choice in choices]
            scores = [score / max(size, 1) for score, size in zip(scores, sizes, strict=True)]
    if metric == "acc_mutual_info":
        scores = [s - alone for s, alone in zip(scores, likelihoods[count:], strict=True)]
    best = scores.index(max(scores))
    return str(texts[best]).strip() if isinstance(texts[best], str) else str(best)


def _argument(sample: dict[str, Any], request: int, place: int) -> Any:
    """An argument of a request; None where there is none."""
    found = at(sample, f"arguments.gen_args_{request}.arg_{place}")
    return None if found is MISSING else found


def is_lighteval(head: Head) -> bool:
    """Whether a file holds details of lighteval."""
    if not any(all(name.encode() in head.footer for name in layout) for layout in (_NEW, _OLD)):
        return False  # most Parquet files are not logs, and opening each of them takes far longer than its footer
    names = set(_columns_of(head.path))
    return names >= _NEW or names >= _OLD


def read_lighteval(rows: Rows, files: Sequence[Path]) -> Outcomes:
    """Outcomes of lighteval."""
    for task, date, file in rows.wanted(files, _DETAILS):
        for number, found in enumerate(_details_of(file)):
            new = "doc" in found
            doc, response = (_value(found["doc"]), _value(found["model_response"])) if new else (found, found)
            metrics = _value(found["metric" if new else "metrics"])
            item = doc.get("id") if new else found.get("example_id")
            row = Row(
                number if item in (None, "") else item,
                metrics if isinstance(metrics, dict) else {},
                task=task,
                answer=_answer(doc, response, new=new),
                target=_target(doc),
                prompt=text_of(response.get("input") or doc.get("query") if new else found["full_prompt"]),
            )
            rows.add(row)
        results: dict[str, Any] = {}
        if "details" in file.parts:
            place = len(file.parts) - 1 - file.parts[::-1].index("details")
            results = object_in(Path(*file.parts[:place], "results", *file.parts[place + 1 : -2], f"results_{date}.json"))
        general = results.get("config_general") or {}
        model = general.get("model_name") or (general.get("model_config") or {}).get("model_name")
        rows.describe(text_of(model), results.get("versions"))
    return rows.outcomes(files)


def _details_of(file: Path) -> Iterator[dict[str, Any]]:
    """Rows with the columns that are used."""
    kept = ", ".join(name for name in _columns_of(file) if name in _KEPT)
    return table_rows(file, "read_parquet(?)", "Copy the file again.", kept, BATCH)


def _columns_of(path: Path) -> list[str]:
    """Columns of a Parquet file; empty where it cannot be read."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            found = connection.execute("SELECT * FROM read_parquet(?) LIMIT 0", [str(path)]).description
    except (duckdb.Error, RuntimeError):  # RuntimeError: a name that is not UTF-8
        return []
    return [column[0] for column in found or ()]


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
