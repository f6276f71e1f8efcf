"""Results of promptfoo: the JSON file of ``promptfoo eval --output``, or its JSONL file.

Layout of version 3 of the results (``results.results``; with ``version`` and ``results`` at the outermost level as well). A result is one
test case under one prompt of one provider. Provider and prompt are chosen as the filter, named "PROVIDER", or "PROVIDER / PROMPT" where a
provider has several prompts, and become the model of the outcomes. Results of equal test cases are repeats (``--repeat``) and become
draws; the item is the number of the test case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from traintwice.logs._json_text import document, elements, lines, text_of
from traintwice.logs._outcomes import Choice, Outcomes, Rows
from traintwice.logs._recognition import Head, LogFormat, digest_of, head_of

_OWN_KEYS = {"promptIdx", "testIdx", "success"}


def _inner(first: dict[str, Any]) -> tuple[str, ...]:
    """The keys that lead to the results; empty where there are none."""
    for keys in (("results", "results"), ("results",)):
        found: Any = first
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list) and found and isinstance(found[0], dict) and _OWN_KEYS & found[0].keys():
            return keys
    return ()


def _matches(head: Head) -> bool:
    return head.first.keys() >= _OWN_KEYS or bool(_inner(head.first))


def _results(file: Path) -> Iterator[dict[str, Any]]:
    """The results of a file, one at a time."""
    keys = _inner(head_of(file).first)
    if keys:
        yield from elements(file, document(file), *keys, rest={})
    else:
        yield from (record for _, record in lines(file))


def _read(path: Path, files: Sequence[Path], choice: Choice) -> Outcomes:
    rows = Rows(path, FORMAT.name, choice)
    cases: dict[str, int] = {}
    draws: dict[tuple[str, str], int] = {}
    found: list[tuple[str, str, dict[str, Any]]] = []
    for file in files:
        rows.wants("", file)
        for result in _results(file):
            provider, prompt = _label(result.get("provider")), _label(result.get("prompt"))
            found.append((provider, prompt, _slim(result)))
    found.sort(key=lambda entry: entry[2]["place"])
    several = len({(provider, prompt) for provider, prompt, _ in found}) > len({provider for provider, _, _ in found})
    for provider, prompt, result in found:
        column = f"{provider} / {prompt}" if several else provider
        case = cases.setdefault(result["case"], len(cases))
        draw = draws[column, result["case"]] = draws.get((column, result["case"]), 0) + 1
        rows.add(
            case,
            result["scores"],
            draw=draw,
            filter=column,
            answer=result["answer"],
            target=None,
            prompt=result["prompt"],
        )
    found_rows = rows.outcomes(digest_of(files))
    return replace(found_rows, model=found_rows.filters.get(""), filters={})


def _slim(result: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a result."""
    case = {key: value for key, value in (result.get("testCase") or {}).items() if key != "metadata"}
    prompt = result.get("prompt")
    response = result.get("response")
    named = dict(result.get("namedScores") or {})
    return {
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


FORMAT = LogFormat("promptfoo", "results of promptfoo (eval --output)", _matches, _read)
