"""JSONL of responses with the log probabilities of the k most likely tokens, and the bounds of the KL divergence that they give.

Layouts: completions (``choices[].logprobs`` with ``tokens``, ``token_logprobs``, ``top_logprobs``: one object a token) and chat
(``choices[].logprobs.content[]`` with ``token``, ``logprob``, ``top_logprobs``: one list a token), as OpenAI's API defines them and vLLM's
server returns them; also inside ``response.body`` as in batch files. Responses are paired by ``custom_id``, by line where there is none.

Bounds: p and q are known for the tokens of a list, and for all others together by the remaining mass. With S the tokens in both lists:

    lower = Σ_S p ln(p/q) + p_R ln(p_R/q_R),  p_R = 1 − Σ_S p,  q_R = 1 − Σ_S q
    upper = Σ_S p ln(p/q) + Σ_{base's list without S} p (ln p − least) + r (ln min(r, a) − least)

with r the mass outside base's list, a the smallest probability in base's list (without the recorded token, which servers add), and least a
log probability that no token of other falls below (an assumption). Lower: the log-sum inequality. Upper: every unknown q is at least
e^least, every unlisted p at most min(r, a). Ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.logs._json_text import at, lines
from traintwice.logs._quantised import TokenComparison

ROUNDING = 1e-6
"""Log probabilities up to this much above 0 count as 0."""

NOTHING = 1e-9
"""A remaining mass up to this counts as none: both lists hold every token."""

SLACK = 1e-7
"""Error of a remaining mass where log probabilities were rounded to float32."""


@dataclass(frozen=True)
class Place:
    """One token of a response.

    Attributes:
        token: the recorded token.
        value: its log probability.
        listed: log probabilities of the most likely tokens and the recorded one.
        largest_unlisted: upper bound of the log probability of every other token.
    """

    token: str
    value: float
    listed: dict[str, float]
    largest_unlisted: float


Response = tuple[int, str | None, list[Place]]
"""Line number, custom id and places of a response."""


def compare_top_logprobs(base: Path, other: Path, least: float | None) -> TokenComparison:
    """Compares the places of each response up to the first token that differs; contexts differ after it."""
    found: list[tuple[int, float, float, bool, float, float]] = []
    left_out = 0
    for document, (places_a, places_b) in enumerate(_pairs(base, other)):
        compared = 0
        for a, b in zip(places_a, places_b, strict=False):
            found.append((document, *_bounds(a, b, least)))
            compared += 1
            if a.token != b.token:
                break
        left_out += max(len(places_a), len(places_b)) - compared
    if not found:
        raise BadInput(
            f"{base}, {other}: no token with top_logprobs in both. Request logprobs (and top_logprobs) from the server."
        )
    documents, low, high, same, delta_low, delta_high = (np.array(column) for column in zip(*found, strict=True))
    exact = bool((low == high).all() and (delta_low == delta_high).all())
    assumed = "" if exact or least is None else f"no token of {other.name} has a log probability below {least:g}"
    return TokenComparison(
        str(base), str(other), documents, low, high, same.astype(bool), delta_low, delta_high, exact, left_out, assumed
    )


def _bounds(a: Place, b: Place, least: float | None) -> tuple[float, float, bool, float, float]:
    """Bounds of the KL divergence, same top, bounds of Δp at one place."""
    p, q = a.listed, b.listed
    shared = [t for t in p if t in q]
    common = math.fsum(math.exp(p[t]) * (p[t] - q[t]) for t in shared)
    p_rest, q_rest = (max(1 - math.fsum(math.exp(x[t]) for t in shared), 0.0) for x in (p, q))
    low = common + (p_rest * math.log(p_rest / (q_rest + SLACK)) if p_rest > NOTHING else 0.0)
    if p_rest <= NOTHING:
        high = low
    elif least is None:
        high = math.inf
    else:
        floor = min(least, *q.values())
        high = common + math.fsum(math.exp(p[t]) * (p[t] - floor) for t in p if t not in q)
        high += max(1 - math.fsum(map(math.exp, p.values())), 0.0) * (a.largest_unlisted - floor)
    same = max(p, key=p.__getitem__) == max(q, key=q.__getitem__)
    before = math.exp(a.value)
    after = (math.exp(q[a.token]),) * 2 if a.token in q else (0.0, math.exp(b.largest_unlisted))
    return max(low, 0.0), max(high, low, 0.0), same, after[0] - before, after[1] - before


def _pairs(base: Path, other: Path) -> Iterator[tuple[list[Place], list[Place]]]:
    """The places of the responses of both files, paired."""
    ids: dict[str, Response] = {}
    first_a = next(_responses(base), None)
    if first_a is not None and first_a[1] is not None:
        ids = {str(name): (number, name, places) for number, name, places in _responses(other)}
        for number, name, places in _responses(base):
            if str(name) not in ids:
                raise BadInput(
                    f"{other}: no response for line {number} of {base} (first: custom_id {name!r}). Expected the same requests."
                )
            yield places, ids[str(name)][2]
        return
    for a, b in zip_longest(_responses(base), _responses(other)):
        if a is None or b is None:
            longer, shorter = (base, other) if b is None else (other, base)
            raise BadInput(f"{shorter}: fewer responses than {longer}. Expected a response to each request, in the same order.")
        yield a[2], b[2]


def _responses(path: Path) -> Iterator[Response]:
    """Responses of a file; every choice of a response counts as one."""
    for number, record in lines(path):
        body = at(record, "response.body") if "response" in record else record
        choices = body.get("choices") if isinstance(body, dict) else None
        if not isinstance(choices, list):
            raise BadInput(f"{path}: line {number} has no choices. Expected responses of a server, one a line.")
        for choice in choices:
            logprobs = choice.get("logprobs")
            if not isinstance(logprobs, dict):
                raise BadInput(f"{path}: line {number} has no logprobs. Request them from the server (logprobs, top_logprobs).")
            name = record.get("custom_id")
            yield number, None if name is None else f"{name} {choice.get('index', 0)}", list(_places(path, number, logprobs))


def _places(path: Path, number: int, logprobs: dict[str, Any]) -> Iterator[Place]:
    """Places of a choice; those without a list (the first token of an echoed prompt) are left out."""
    if isinstance(logprobs.get("content"), list):
        for entry in logprobs["content"]:
            listed = [(t["token"], t["logprob"]) for t in entry.get("top_logprobs") or ()]
            if listed:
                yield _checked(path, number, entry["token"], entry["logprob"], listed)
        return
    for token, value, top in zip(
        logprobs.get("tokens") or (), logprobs.get("token_logprobs") or (), logprobs.get("top_logprobs") or (), strict=False
    ):
        if top and value is not None:
            yield _checked(path, number, token, value, list(top.items()))


def _checked(path: Path, number: int, token: str, value: float, listed: list[tuple[str, float]]) -> Place:
    """A token after checks; in its list the recorded token may be anywhere, the others are in descending order."""
    where = f"{path}: line {number}"
    bad = [x for x in (value, *(x for _, x in listed)) if not isinstance(x, int | float) or not x <= ROUNDING]
    if bad:
        raise BadInput(f"{where} has a log probability of {bad[0]}. Expected logarithms of probabilities, 0 or below.")
    others = [x for name, x in listed if name != token]
    if any(later > earlier + ROUNDING for earlier, later in pairwise(others)):
        raise BadInput(f"{where} has top_logprobs that are not in descending order. Expected them as servers return them.")
    found: dict[str, float] = {}
    for name, x in [*listed, *([] if token in dict(listed) else [(token, value)])]:
        x = min(float(x), 0.0)
        # Tokens of different bytes may decode to one text; together they are one outcome.
        found[name] = float(np.logaddexp(found[name], x)) if name in found else x
    mass = math.fsum(map(math.exp, found.values()))
    if mass > 1.001:
        raise BadInput(f"{where} has top_logprobs whose probabilities add to {mass:.3f}. Expected at most 1.")
    rest = math.log(max(1 - mass, 1e-300))
    return Place(token, min(float(value), 0.0), found, min(rest, others[-1]) if others else rest)
