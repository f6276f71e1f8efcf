"""What two models predict token by token, such as a quantised model (other) against full precision (base).

Files of llama.cpp hold all log probabilities. JSONL of responses holds those of the k most likely tokens, which bound the KL divergence:
completions (``choices[].logprobs`` with ``tokens``, ``token_logprobs``, ``top_logprobs``: one object a token) and chat
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
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from traintwice._files import check_name
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.logs._files import LOGITS, at, foreign_records, head_of, lines

BLOCK = 1 << 22
"""Largest number of log probabilities that are held at a time."""

LEAST_LOG_PROBABILITY = -16.0
"""Terms of the KL divergence below this log probability of base are left out, as llama.cpp does."""

ROUNDING = 1e-6
"""Log probabilities up to this much above 0 count as 0."""

NOTHING = 1e-9
"""A remaining mass up to this counts as none: both lists hold every token."""

SLACK = 1e-7
"""Error of a remaining mass where log probabilities were rounded to float32."""


@dataclass(frozen=True, eq=False)
class TokenComparison:
    """One row for each predicted token. Arrays have equal length; a value that is known exactly has equal bounds.

    Attributes:
        base, other: the files that were read.
        document: number of the chunk or response that the token belongs to; tokens of one document are not independent.
        kl_low, kl_high: lower and upper bound of KL(base ‖ other) = Σ_v p(v) ln(p(v)/q(v)), in nats.
        same_top: whether both models find the same token most likely.
        delta_low, delta_high: bounds of Δp = q − p of the token that base's file records here, in [−1, 1]; below 0, other finds the
            token less likely.
        exact: whether all bounds are equal, because both files hold all log probabilities.
        left_out: number of tokens that were not compared, since the texts differ before them.
        assumed: what the upper bound rests on, in words; empty where it rests on nothing.
    """

    base: str
    other: str
    document: np.ndarray
    kl_low: np.ndarray
    kl_high: np.ndarray
    same_top: np.ndarray
    delta_low: np.ndarray
    delta_high: np.ndarray
    exact: bool
    left_out: int = 0
    assumed: str = ""

    def __len__(self) -> int:
        return len(self.document)


@typed
def compare_tokens(
    base: str | os.PathLike[str], other: str | os.PathLike[str], *, least: float | None = -23.0
) -> TokenComparison:
    """KL divergence, same top token and Δp of each token, from two files of one kind.

    Args:
        base: of the reference model: the file that llama.cpp's perplexity tool writes with ``--kl-divergence-base``, or JSONL of
            responses with ``logprobs`` as vLLM and OpenAI-compatible servers return them.
        other: of the other model, on the same text or prompts; of llama.cpp likewise written with ``--kl-divergence-base``.
        least: for lists of the k most likely tokens: log probability that no token of other falls below, which the upper bound of
            the KL divergence assumes; None assumes nothing, and the upper bound is then infinite.
    Returns:
        One row for each token. Values from llama.cpp's files are exact up to their 16 bits (errors of up to 1.3e-4 nats in a log
        probability, so that a KL divergence near 0 may be slightly negative). These files hold no log probability more than 16 nats
        below the largest one; such values of other count as exactly that.
    Raises:
        BadInput: files of different kinds, texts, vocabularies or numbers of chunks; a file that is cut short; log probabilities
            that are positive or not sorted.
    Source:
        llama.cpp, tools/perplexity (``--kl-divergence``), for the exact measures. The bounds: ours, see the module.
    """
    base, other = Path(base), Path(other)
    for path in (base, other):
        check_name(path)
        if not path.is_file():
            raise BadInput(f"{path}: no such file.")
    kinds = [head_of(path).kind for path in (base, other)]
    if kinds == ["logits", "logits"]:
        return _compare_logits(base, other)
    if kinds == ["json", "json"]:
        with foreign_records(base, "of responses with logprobs"):
            return _compare_top_logprobs(base, other, least)
    shown = " and ".join({"logits": "a file of llama.cpp", "json": "JSON"}.get(kind, "neither kind") for kind in kinds)
    raise BadInput(
        f"{base}, {other}: {shown}. Expected two files that llama.cpp wrote with --kl-divergence-base, or two JSONL files of responses "
        "with logprobs."
    )


@dataclass(frozen=True)
class _Logits:
    """The header of a file of llama.cpp.

    Attributes:
        rows: predicted tokens in a chunk, those of its second half.
        width: 16-bit numbers in a row: scale and minimum as float32, then the vocabulary, padded to an even number.
        start: where the first row begins.
    """

    path: Path
    context: int
    vocabulary: int
    tokens: np.ndarray
    rows: int
    width: int
    start: int


def _compare_logits(base: Path, other: Path) -> TokenComparison:
    """Compares two files of llama.cpp block by block."""
    a, b = _header(base), _header(other)
    for what, of_a, of_b in (
        ("tokens in a context (-c)", a.context, b.context),
        ("tokens in the vocabulary", a.vocabulary, b.vocabulary),
        ("chunks (--chunks)", len(a.tokens), len(b.tokens)),
    ):
        if of_a != of_b:
            raise BadInput(
                f"{other}: {of_b:,} {what}, and {of_a:,} in {base}. Expected the same; write both files with the same options."
            )
    differing = np.flatnonzero((a.tokens != b.tokens).any(axis=1))
    if len(differing):
        raise BadInput(
            f"{other}: {len(differing):,} of {len(a.tokens):,} chunks hold another text than in {base} (first: chunk {differing[0]}). "
            "Expected the same text and tokenizer."
        )
    chunks, rows, step = len(a.tokens), a.rows, max(1, BLOCK // a.vocabulary)
    kl, delta, same = np.empty((chunks, rows)), np.empty((chunks, rows)), np.empty((chunks, rows), dtype=bool)
    first = a.context // 2
    with base.open("rb") as file_a, other.open("rb") as file_b:
        file_a.seek(a.start)
        file_b.seek(b.start)
        for chunk in range(chunks):
            for low in range(0, rows, step):
                part = slice(low, min(low + step, rows))
                count = part.stop - low
                p, q = _log_probabilities(file_a, a, count), _log_probabilities(file_b, b, count)
                actual = a.tokens[chunk, first + 1 + low : first + 1 + part.stop, None]
                same[chunk, part] = p.argmax(axis=1) == q.argmax(axis=1)
                p_actual, q_actual = (np.exp(np.take_along_axis(x, actual, axis=1)[:, 0].astype(np.float64)) for x in (p, q))
                delta[chunk, part] = q_actual - p_actual
                weight = np.where(p > LEAST_LOG_PROBABILITY, np.exp(p), np.float32(0))
                kl[chunk, part] = np.einsum("ij,ij->i", weight, p - q, dtype=np.float64)
    document, exact_kl, exact_delta = np.repeat(np.arange(chunks), rows), kl.ravel(), delta.ravel()
    columns = (document, exact_kl, exact_kl, same.ravel(), exact_delta, exact_delta)
    return TokenComparison(str(base), str(other), *columns, exact=True)


def _header(path: Path) -> _Logits:
    """Reads and checks the header: magic, context, vocabulary, chunks (int32 each), and the tokens of all chunks (int32)."""
    with path.open("rb") as file:
        header = file.read(len(LOGITS) + 12)[len(LOGITS) :]
        context, vocabulary, chunks = struct.unpack("<3i", header) if len(header) == 12 else (0, 0, 0)
        if context < 4 or vocabulary < 1 or chunks < 1:
            raise BadInput(f"{path}: the header is damaged. Expected a file that llama.cpp wrote with --kl-divergence-base.")
        rows, width = context - 1 - context // 2, 4 + 2 * ((vocabulary + 1) // 2)
        first = len(LOGITS) + 12 + 4 * context * chunks
        expected, size = first + chunks * rows * width * 2, path.stat().st_size
        if size != expected:
            what = "it is cut short; write it again" if size < expected else "it holds something else"
            raise BadInput(f"{path}: {size:,} bytes. Expected {expected:,} for {chunks:,} chunks of {context:,} tokens: {what}.")
        tokens = np.frombuffer(file.read(4 * context * chunks), dtype="<i4").reshape(chunks, context)
    if tokens.min() < 0 or tokens.max() >= vocabulary:
        raise BadInput(f"{path}: tokens outside the vocabulary of {vocabulary:,}. The file is damaged; write it again.")
    return _Logits(path, context, vocabulary, tokens, rows, width, first)


def _log_probabilities(file: BinaryIO, header: _Logits, count: int) -> np.ndarray:
    """The next rows as float32 log probabilities: scale · number + minimum."""
    raw = np.frombuffer(file.read(count * header.width * 2), dtype="<u2").reshape(count, header.width)
    scale, least = raw[:, :4].copy().view("<f4").T
    found = raw[:, 4 : 4 + header.vocabulary].astype(np.float32)
    found *= scale[:, None]
    found += least[:, None]
    if not np.isfinite(found).all() or found.max() > 1e-3:
        raise BadInput(f"{header.path}: log probabilities that are positive or not finite. The file is damaged; write it again.")
    return found


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


def _compare_top_logprobs(base: Path, other: Path, least: float | None) -> TokenComparison:
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
