"""Rollouts of reinforcement learning with a reward: NVIDIA NeMo RL, and JSONL of the same kind.

Layouts of NeMo RL 0.6: ``val_data_stepN.jsonl`` (``content`` with the messages, ``rewards``, ``idx``, each value in a list of one) and
``evaluation_data.json`` (``evaluation_data`` with ``prompt``, ``response``, ``reward``; the model is in ``config.json`` next to it). Any
JSONL with a prompt, a response and a reward is read as well, and verl's ``input``, ``output``, ``score``. All rollouts of one prompt are
its draws, in the order of the file; the item is the record's ``id``, or a hash of the prompt where it has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput
from traintwice.logs._json_text import document, elements, lines, text_of
from traintwice.logs._outcomes import Choice, Outcomes, Rows
from traintwice.logs._recognition import Head, LogFormat, digest_of, head_of, object_in

_KEYS = (("prompt", "response", "reward"), ("prompt", "completion", "reward"), ("input", "output", "score"))

_CONTENT = {"content", "rewards", "idx"}

_DOCUMENT = "evaluation_data"


def _is_document(first: dict[str, Any]) -> bool:
    found = first.get(_DOCUMENT)
    return isinstance(found, list) and bool(found) and isinstance(found[0], dict) and "reward" in found[0]


def _matches(head: Head) -> bool:
    keys = head.first.keys()
    return keys >= _CONTENT or any(set(names) <= keys for names in _KEYS) or _is_document(head.first)


def _read(path: Path, files: Sequence[Path], choice: Choice) -> Outcomes:
    rows = Rows(path, FORMAT.name, choice)
    draws: dict[tuple[str, str], int] = {}
    model = None
    for file in files:
        model = model or text_of(object_in(file.with_name("config.json")).get("model_name"))
        for number, record in _records(file):
            prompt, response, reward = _parts(file, number, record)
            task = text_of(_only(record.get("task_name") or record.get("data_source"))) or ""
            if not rows.wants(task, file):
                continue
            item = _only(record.get("id"))
            if item is None:
                item = hashlib.sha256((prompt or "").encode()).hexdigest()[:16]
            draw = draws[task, str(item)] = draws.get((task, str(item)), 0) + 1
            rows.add(item, {"reward": reward}, task=task, draw=draw, answer=response, prompt=prompt, target=_target(record))
    return rows.outcomes(digest_of(files), model=model)


def _records(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers and records of a file."""
    if _is_document(head_of(file).first):
        yield from enumerate(elements(file, document(file), _DOCUMENT, rest={}), 1)
    else:
        yield from lines(file)


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


def _target(record: dict[str, Any]) -> str | None:
    """The expected answer, where a record has it."""
    return text_of(next((record[name] for name in ("target", "answer", "ground_truth", "gts") if name in record), None))


def _only(value: Any) -> Any:
    """The value in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


FORMAT = LogFormat("rollouts", "rollouts with a reward (NeMo RL, JSONL)", _matches, _read)
