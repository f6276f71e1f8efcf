"""Logs of OpenAI evals, promptfoo and rollouts with a reward: JSON documents and JSONL.

OpenAI evals: JSONL files that ``oaieval`` writes. Layout of version 3.0.1: a line with the specification of the run, one line an
event (``run_id, event_id, sample_id, type, data``), and a line with the final report. Events ``match`` give the scorer "correct",
events ``metrics`` one scorer for each number in them, and the first event ``sampling`` of a sample its prompt and answer.

promptfoo: the JSON file of ``promptfoo eval --output``, or its JSONL file. Layout of version 3 of the results
(``results.results``; with ``version`` and ``results`` at the outermost level as well). A result is one test case under one prompt
of one provider. Provider and prompt are chosen as the filter, named "PROVIDER", or "PROVIDER / PROMPT" where a provider has
several prompts, and become the model of the outcomes. Results of equal test cases are repeats (``--repeat``) and become draws;
the item is the number of the test case.

Rollouts of reinforcement learning: NVIDIA NeMo RL, and JSONL of the same kind. Layouts of NeMo RL 0.6: ``val_data_stepN.jsonl``
(``content`` with the messages, ``rewards``, ``idx``, each value in a list of one) and ``evaluation_data.json``
(``evaluation_data`` with ``prompt``, ``response``, ``reward``; the model is in ``config.json`` next to it). Any JSONL with a
prompt, a response and a reward is read as well, and verl's ``input``, ``output``, ``score``. All rollouts of one prompt are its
draws, in the order of the file; the item is the record's ``id``, or a hash of the prompt where it has none.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput
from traintwice.logs._files import Head, elements, head_of, lines, object_in, text_of
from traintwice.logs._outcomes import Outcomes, Row, Rows

_OF_RESULT = {"promptIdx", "testIdx", "success"}

_KEYS = (("prompt", "response", "reward"), ("prompt", "completion", "reward"), ("input", "output", "score"))
_CONTENT = {"content", "rewards", "idx"}
_DOCUMENT = "evaluation_data"


def is_openai_evals(head: Head) -> bool:
    """Whether a file is a log of OpenAI evals."""
    run = head.first.get("spec")
    return isinstance(run, dict) and {"eval_name", "completion_fns"} <= run.keys()


def read_openai_evals(rows: Rows, files: Sequence[Path]) -> Outcomes:
    """Outcomes of OpenAI evals."""
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
                sample = samples.setdefault(str(record["sample_id"]), {"scores": {}})
                _gather(file, number, sample, record["type"], record["data"])
        task = str(run.get("eval_name", ""))
        if not rows.wants(task, file):
            continue
        rows.describe(",".join(map(str, run.get("completion_fns", ()))))
        if not finished:
            rows.warnings.append(f"{file.name}: no final report, so the run did not finish; samples may be missing.")
        for item, sample in samples.items():
            rows.add(Row(item, task=task, **sample))
    return rows.outcomes(files)


def _gather(file: Path, number: int, sample: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
    """Adds an event to its sample."""
    if kind == "sampling" and "prompt" not in sample:
        sample["prompt"] = text_of(data.get("prompt"))
        sample["answer"] = text_of(_only(data.get("sampled")))
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


def _inner(first: dict[str, Any]) -> tuple[str, ...]:
    """The keys that lead to the results of promptfoo; empty where there are none."""
    for keys in (("results", "results"), ("results",)):
        found: Any = first
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list) and found and isinstance(found[0], dict) and _OF_RESULT & found[0].keys():
            return keys
    return ()


def is_promptfoo(head: Head) -> bool:
    """Whether a file holds results of promptfoo."""
    return head.first.keys() >= _OF_RESULT or bool(_inner(head.first))


def read_promptfoo(rows: Rows, files: Sequence[Path]) -> Outcomes:
    """Outcomes of promptfoo."""
    results: list[dict[str, Any]] = []
    for file in files:
        rows.wants("", file)
        keys = _inner(head_of(file).first)
        found = elements(file, *keys) if keys else (record for _, record in lines(file))
        results += map(_kept_of_result, found)
    results.sort(key=lambda result: result["place"])
    several = len({(r["provider"], r["label"]) for r in results}) > len({r["provider"] for r in results})
    cases: dict[str, int] = {}
    draws: Counter[tuple[str, str]] = Counter()
    for result in results:
        column = f"{result['provider']} / {result['label']}" if several else result["provider"]
        case = cases.setdefault(result["case"], len(cases))
        draws[column, result["case"]] += 1
        row = Row(case, result["scores"], draw=draws[column, result["case"]], filter=column)
        row.answer, row.prompt = result["answer"], result["prompt"]
        rows.add(row)
    outcomes = rows.outcomes(files)
    return replace(outcomes, model=outcomes.filters.get(""), filters={})


def _kept_of_result(result: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a result of promptfoo."""
    case = {key: value for key, value in (result.get("testCase") or {}).items() if key != "metadata"}
    prompt, response = result.get("prompt"), result.get("response")
    named = dict(result.get("namedScores") or {})
    return {
        "provider": _label(result.get("provider")),
        "label": _label(prompt),
        "place": result.get("testIdx", 0),
        "case": hashlib.sha256((text_of([case, result.get("vars")]) or "").encode()).hexdigest(),
        # A result that failed for an error of the provider has no verdict.
        "scores": named | ({} if result.get("failureReason") == 2 else {"success": result.get("success")}),
        "answer": text_of(response.get("output") if isinstance(response, dict) else response),
        "prompt": text_of(prompt.get("raw") if isinstance(prompt, dict) else prompt),
    }


def _label(value: Any) -> str:
    """The label of a provider or prompt, its id where it has none."""
    if isinstance(value, dict):
        value = value.get("label") or value.get("id") or value.get("raw")
    return text_of(value) or ""


def _is_document(first: dict[str, Any]) -> bool:
    found = first.get(_DOCUMENT)
    return isinstance(found, list) and bool(found) and isinstance(found[0], dict) and "reward" in found[0]


def is_rollouts(head: Head) -> bool:
    """Whether a file holds rollouts with a reward."""
    keys = head.first.keys()
    return keys >= _CONTENT or any(set(names) <= keys for names in _KEYS) or _is_document(head.first)


def read_rollouts(rows: Rows, files: Sequence[Path]) -> Outcomes:
    """Outcomes of rollouts."""
    draws: Counter[tuple[str, str]] = Counter()
    for file in files:
        rows.describe(text_of(object_in(file.with_name("config.json")).get("model_name")))
        for number, record in _rollouts(file):
            prompt, response, reward = _parts(file, number, record)
            task = text_of(_only(record.get("task_name") or record.get("data_source"))) or ""
            if not rows.wants(task, file):
                continue
            item = _only(record.get("id"))
            if item is None:
                item = hashlib.sha256((prompt or "").encode()).hexdigest()[:16]
            draws[task, str(item)] += 1
            target = text_of(next((record[name] for name in ("target", "answer", "ground_truth", "gts") if name in record), None))
            row = Row(
                item, {"reward": reward}, task=task, draw=draws[task, str(item)], answer=response, prompt=prompt, target=target
            )
            rows.add(row)
    return rows.outcomes(files)


def _rollouts(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers and records of a file of rollouts."""
    return enumerate(elements(file, _DOCUMENT), 1) if _is_document(head_of(file).first) else lines(file)


def _parts(file: Path, number: int, record: dict[str, Any]) -> tuple[str | None, str | None, Any]:
    """Prompt, response and reward of a record."""
    if record.keys() >= _CONTENT:
        content = _only(record["content"])
        if not isinstance(content, list) or not content or not isinstance(content[-1], dict):
            raise BadInput(
                f"{file}: record {number} holds prompt and response as one text. Expected messages; pass val_data_stepN.jsonl or "
                "evaluation_data.json instead of training data."
            )
        return text_of(content[:-1]), text_of(content[-1].get("content")), _only(record["rewards"])
    for names in _KEYS:
        if set(names) <= record.keys():
            prompt, response, reward = (_only(record[name]) for name in names)
            return text_of(prompt), text_of(response), reward
    raise BadInput(f"{file}: record {number} has no prompt, response and reward. Expected them in every record.")


def _only(value: Any) -> Any:
    """The value in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
