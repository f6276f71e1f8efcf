"""Logs of OpenAI evals: JSONL files that ``oaieval`` writes.

Layout of version 3.0.1: a line with the specification of the run, one line an event (``run_id, event_id, sample_id, type, data``), and a
line with the final report. Events ``match`` give the scorer "correct", events ``metrics`` one scorer for each number in them, and the
first event ``sampling`` of a sample its prompt and answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput
from traintwice.logs._json_text import lines, text_of
from traintwice.logs._outcomes import Choice, Outcomes, Rows
from traintwice.logs._recognition import Head, LogFormat, digest_of


def _matches(head: Head) -> bool:
    run = head.first.get("spec")
    return isinstance(run, dict) and {"eval_name", "completion_fns"} <= run.keys()


def _read(path: Path, files: Sequence[Path], choice: Choice) -> Outcomes:
    rows = Rows(path, FORMAT.name, choice)
    models: dict[str, None] = {}
    warnings = []
    for file in files:
        run: dict[str, Any] = {}
        samples: dict[str, dict[str, Any]] = {}
        finished = False
        for number, record in lines(file):
            if "spec" in record:
                run = record["spec"]
            elif "final_report" in record:
                finished = True
            elif isinstance(record.get("data"), dict) and record.get("sample_id") is not None:
                _gather(
                    file, number, samples.setdefault(str(record["sample_id"]), {"scores": {}}), record["type"], record["data"]
                )
        task = str(run.get("eval_name", ""))
        if not rows.wants(task, file):
            continue
        models[",".join(map(str, run.get("completion_fns", ())))] = None
        if not finished:
            warnings.append(f"{file.name}: no final report, so the run did not finish; samples may be missing.")
        for item, sample in samples.items():
            rows.add(
                item,
                sample["scores"],
                task=task,
                answer=sample.get("answer"),
                target=sample.get("target"),
                prompt=sample.get("prompt"),
            )
    return rows.outcomes(digest_of(files), model=next(iter(models)) if len(models) == 1 else None, warnings=warnings)


def _gather(file: Path, number: int, sample: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
    """Adds an event to its sample."""
    if kind == "sampling" and "prompt" not in sample:
        sampled = data.get("sampled")
        sample["prompt"] = text_of(data.get("prompt"))
        sample["answer"] = text_of(sampled[0] if isinstance(sampled, list) and len(sampled) == 1 else sampled)
    elif kind in ("match", "metrics"):
        scores = {"correct": data.get("correct")} if kind == "match" else data
        repeated = sample["scores"].keys() & scores.keys()
        if repeated:
            raise BadInput(
                f"{file}: line {number} scores {min(repeated)!r} of a sample for the second time. Expected one score for each sample; "
                "logs with several rounds for each sample are not read.",
            )
        sample["scores"] |= scores
        if kind == "match":
            sample["target"] = text_of(data.get("expected"))
            if sample.get("answer") is None:
                sample["answer"] = text_of(data.get("sampled", data.get("picked")))


FORMAT = LogFormat("openai-evals", "logs of OpenAI evals (oaieval)", _matches, _read)
