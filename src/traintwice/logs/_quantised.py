"""What two models predict token by token, such as a quantised model (other) against full precision (base)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from traintwice._files import check_name
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.logs._recognition import LOGITS, foreign_records, head_of

BLOCK = 1 << 22
"""Largest number of log probabilities that are held at a time."""

LEAST_LOG_PROBABILITY = -16.0
"""Terms of the KL divergence below this log probability of base are left out, as llama.cpp does."""


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
        llama.cpp, tools/perplexity (``--kl-divergence``), for the exact measures. The bounds: see `top_logprobs`.
    """
    from traintwice.logs._top_logprobs import compare_top_logprobs

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
            return compare_top_logprobs(base, other, least)
    shown = " and ".join({"logits": "a file of llama.cpp", "json": "JSON"}.get(kind, "neither kind") for kind in kinds)
    raise BadInput(
        f"{base}, {other}: {shown}. Expected two files that llama.cpp wrote with --kl-divergence-base, or two JSONL files of responses "
        "with logprobs."
    )


@dataclass(frozen=True)
class _Logits:
    """The header of a file of llama.cpp."""

    path: Path
    context: int
    vocabulary: int
    tokens: np.ndarray
    start: int

    @property
    def rows(self) -> int:
        """Predicted tokens in a chunk: those of its second half."""
        return self.context - 1 - self.context // 2

    @property
    def width(self) -> int:
        """16-bit numbers in a row: scale and minimum as float32, then the vocabulary, padded to an even number."""
        return 4 + 2 * ((self.vocabulary + 1) // 2)


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
    document = np.repeat(np.arange(chunks), rows)
    exact_kl, exact_delta = kl.ravel(), delta.ravel()
    return TokenComparison(
        str(base), str(other), document, exact_kl, exact_kl, same.ravel(), exact_delta, exact_delta, exact=True
    )


def _header(path: Path) -> _Logits:
    """Reads and checks the header: magic, context, vocabulary, chunks (int32 each), and the tokens of all chunks (int32)."""
    with path.open("rb") as file:
        start = file.read(len(LOGITS) + 12)[len(LOGITS) :]
        context, vocabulary, chunks = struct.unpack("<3i", start) if len(start) == 12 else (0, 0, 0)
        if context < 4 or vocabulary < 1 or chunks < 1:
            raise BadInput(f"{path}: the header is damaged. Expected a file that llama.cpp wrote with --kl-divergence-base.")
        made = _Logits(path, context, vocabulary, np.empty(0), len(LOGITS) + 12 + 4 * context * chunks)
        expected, size = made.start + chunks * made.rows * made.width * 2, path.stat().st_size
        if size != expected:
            what = "it is cut short; write it again" if size < expected else "it holds something else"
            raise BadInput(f"{path}: {size:,} bytes. Expected {expected:,} for {chunks:,} chunks of {context:,} tokens: {what}.")
        tokens = np.frombuffer(file.read(4 * context * chunks), dtype="<i4").reshape(chunks, context)
    if tokens.min() < 0 or tokens.max() >= vocabulary:
        raise BadInput(f"{path}: tokens outside the vocabulary of {vocabulary:,}. The file is damaged; write it again.")
    return _Logits(path, context, vocabulary, tokens, made.start)


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
