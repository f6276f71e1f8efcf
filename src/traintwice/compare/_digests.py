"""Digests of models and of sets of rows, by which a ledger recognises them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.predictions._checks import to_numpy
from traintwice.predictions._inputs import one_model
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._rows import Rows


def digest_of_rows(rows: Rows) -> str | None:
    """A digest of the set of ids; without ids, of the labels in their order; None where neither is known."""
    if rows.files is not None and rows.files.id_columns:
        ids = ", ".join(f"CAST(i{j} AS VARCHAR)" for j in range(len(rows.files.id_columns)))
        hashed = f"CAST(bit_xor(md5_number(concat_ws(chr(31), {ids}))) AS VARCHAR)"
        (found,) = rows.files.query(f"SELECT count(*) AS n, {hashed} AS h FROM {{rows}}")  # noqa: S608  (columns of our own)
        return f"ids {found['n']} {found['h']}"
    if rows.has_draws:
        return None
    whole = rows.read()
    if whole.ids is not None:
        texts = [str(i).encode() for i in to_numpy(whole.ids).tolist()]
        both = 0
        for text in texts:
            both ^= int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest(), "little")
        return f"ids {len(texts)} {both}"
    known = whole.targets if whole.targets is not None else whole.known.labels
    return None if known is None else f"labels {_of_array(to_numpy(known))}"


def digest_of(model: Any) -> str | None:
    """SHA-256 of the content of a model's file or files, or of its arrays; None for what cannot be read twice."""
    if isinstance(model, str | Path) and str(model) == "-":
        return None
    if isinstance(model, str | Path):
        model = one_model(model)
    if isinstance(model, Path) and model.is_dir():
        files: Sequence[Path] = sorted(p for p in model.rglob("*") if p.is_file())
    else:
        files = (model,) if isinstance(model, Path) else getattr(model, "files", ())
    if isinstance(files, Sequence) and files:
        digests = []
        for path in files:
            with Path(path).open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    if isinstance(model, Predictions):
        given = model.targets if model.has_scores else model.probs if model.has_probs else model.votes
        return None if given is None else _of_array(to_numpy(given))
    if isinstance(model, Mapping) or hasattr(model, "columns"):
        names = list(model) if isinstance(model, Mapping) else list(model.columns)
        with suppress(TypeError, KeyError, ValueError):
            parts = [f"{name}:{_of_array(to_numpy(model[name]))}" for name in names]
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return None
    return _of_array(to_numpy(model)) if hasattr(model, "shape") else None


def _of_array(array: np.ndarray) -> str:
    plain = array if array.dtype.kind in "biuf" else np.array([repr(entry) for entry in array.ravel().tolist()])
    about = f"{plain.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(about + np.ascontiguousarray(plain).tobytes()).hexdigest()
