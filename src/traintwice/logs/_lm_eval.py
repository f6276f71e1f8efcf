"""Samples of EleutherAI lm-evaluation-harness: JSONL files that ``--log_samples`` writes.

Layout of version 0.4.13: ``samples_TASK_DATE.jsonl``, with ``results_DATE.json`` in the same folder; a line is one document under one
filter. Logs from 0.4.3 on are read; before 0.4.7 they name neither filter nor metrics, so that those of several filters are refused as
repeats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traintwice.logs._json_text import MISSING, at, lines, text_of
from traintwice.logs._outcomes import Choice, Outcomes, Rows
from traintwice.logs._recognition import Head, LogFormat, digest_of, object_in

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[^_]*)\.jsonl")

_HASHES = ("doc_hash", "prompt_hash")

_OWN_KEYS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", *_HASHES, "target_hash"}


def _matches(head: Head) -> bool:
    return {"doc_id", "resps", "filtered_resps"} <= head.first.keys()


def _read(path: Path, files: Sequence[Path], choice: Choice) -> Outcomes:
    rows = Rows(path, FORMAT.name, choice)
    model: str | None = None
    versions: dict[str, str] = {}
    for task, date, file in rows.wanted(files, _NAME):
        for _, sample in lines(file):
            metrics = sample.get("metrics") or [key for key in sample if key not in _OWN_KEYS]
            rows.add(
                sample["doc_id"],
                {metric: sample.get(metric) for metric in metrics},
                task=task,
                filter=str(sample.get("filter", "none")),
                answer=_answer(sample, list(metrics)),
                target=text_of(sample.get("target")),
                prompt=text_of(_argument(sample, 0, 0)),
                input_hash=" ".join(f"{key}={sample[key]}" for key in _HASHES if sample.get(key)) or None,
            )
        results = _results_of(file, date)
        model = model or text_of(results.get("model_name"))
        versions |= {k: str(v) for k, v in (results.get("versions") or {}).items()}
    return rows.outcomes(digest_of(files), model=model, versions=versions)


def _answer(sample: dict[str, Any], metrics: Sequence[str]) -> str | dict[str, str | None] | None:
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
        if metric == "acc_norm":
            scores = [s / max(len(choice), 1) for s, choice in zip(scores, choices, strict=True)]
        if metric == "acc_bytes":
            scores = [s / max(len(choice.encode()), 1) for s, choice in zip(scores, choices, strict=True)]
    if metric == "acc_mutual_info":
        scores = [s - alone for s, alone in zip(scores, likelihoods[count:], strict=True)]
    best = scores.index(max(scores))
    return str(texts[best]).strip() if isinstance(texts[best], str) else str(best)


def _argument(sample: dict[str, Any], request: int, place: int) -> Any:
    """An argument of a request; None where there is none."""
    found = at(sample, f"arguments.gen_args_{request}.arg_{place}")
    return None if found is MISSING else found


def _results_of(file: Path, date: str | None) -> dict[str, Any]:
    """The results file of the same run; empty where there is none."""
    found = [file.with_name(f"results_{date}.json")] if date else list(file.parent.glob("results_*.json"))
    return object_in(found[0]) if len(found) == 1 else {}


FORMAT = LogFormat("lm-evaluation-harness", "samples of lm-evaluation-harness (--log_samples)", _matches, _read)
