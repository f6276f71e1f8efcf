"""The ledger: a file to which every launch appends one line of JSON, and the launches read from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._arrays import to_numpy
from traintwice._files import check_name
from traintwice._installed import made_by, versions
from traintwice._typed import typed
from traintwice.compare._results import Diff
from traintwice.compare._shown import Shown, fields_of
from traintwice.errors import BadInput, StoreError
from traintwice.predictions._bank import digest_of
from traintwice.predictions._inputs import one_model
from traintwice.predictions._opening import Rows
from traintwice.predictions._predictions import Predictions
from traintwice.types import Estimate

FORMAT = 1
START = f'{{"traintwice_ledger": {FORMAT}, '
"""First characters of every line."""

LAST = 30
"""Launches that are the floor, unless another number is given."""


@dataclass(frozen=True)
class Model:
    """A model in a ledger: the name of its file, and the SHA-256 of its content; None where it cannot be read twice."""

    name: str
    digest: str | None


@dataclass(frozen=True)
class Check:
    """A budget in a ledger: in words, its outcome, the number and the limits."""

    budget: str
    outcome: str
    number: float | None
    max: float | None
    min: float | None


@dataclass(frozen=True)
class Launch:
    """One line of a ledger: an old and a new model, compared.

    Attributes:
        date: when, in UTC.
        old, new: the models.
        rows: how many were compared.
        ids: digest of the set of ids (without ids: of the labels); None where neither is known.
        predictions: what kind of predictions they are; only launches of one kind are compared.
        headline: the worst answer in a sentence.
        numbers: measures of disagreement by name, also "decisions(0.5)" and "swapped(100)".
        quality: change of each measure of quality by name, new minus old.
        floors: name of a measure to its noise floor.
        outcome, checks: of a gate; None and none for a comparison without budgets.
        versions: of the packages.
    """

    date: str
    old: Model
    new: Model
    rows: int
    ids: str | None
    predictions: str
    headline: str
    numbers: Mapping[str, Estimate]
    quality: Mapping[str, Estimate]
    floors: Mapping[str, float]
    outcome: str | None
    checks: tuple[Check, ...]
    versions: Mapping[str, str]


@dataclass
class Ledger:
    """An open ledger: the launches read from it, oldest first, and the models and rows of the comparison at hand.

    ``last`` and ``other_rows`` say which launches are the floor, see `usual_changes`; ``ids`` is a digest of the rows.
    """

    path: Path
    launches: tuple[Launch, ...]
    notes: tuple[str, ...] = ()
    last: int = LAST
    other_rows: bool = False
    models: tuple[Model, ...] = ()
    ids: str | None = None

    def begin(self, rows: Rows, models: Sequence[Any]) -> None:
        """Take the digests of the models and the rows of a comparison."""
        self.models = tuple(Model(n, digest_of_model(m)) for n, m in zip(rows.summary.files, models, strict=False))
        self.ids = digest_of_rows(rows)

    def append(self, diff: Diff, outcome: str | None = None, checks: tuple[Check, ...] = ()) -> None:
        """Write the comparison at hand as one line, with the outcome and the budgets of a gate."""
        launch = Launch(
            date=made_by()["date"],
            old=self.models[0],
            new=self.models[1],
            rows=diff.alignment.rows,
            ids=self.ids,
            predictions=kind_of(diff),
            headline=diff.headline,
            numbers=numbers_of(diff),
            quality={q.name: q.change for q in diff.quality},
            floors={f.name: f.floor for f in diff.floors},
            outcome=outcome,
            checks=checks,
            versions=versions(),
        )
        append_line(self.path, START + json.dumps(fields_of(launch), allow_nan=False)[1:] + "\n")


def open_ledger(path: str | Path, *, last: int = LAST, other_rows: bool = False) -> Ledger:
    """Read a ledger; a file that does not exist is an empty one. Raise `BadInput` for what is not a ledger."""
    if last < 1:
        raise BadInput(f"last: got {last!r}, expected a number of launches, at least 1")
    check_name(path)
    path = Path(path)
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no directory {path.parent}; create it, or choose another ledger")
    if not path.exists():
        return Ledger(path, (), (), last, other_rows)
    if not path.is_file():
        raise BadInput(f"{path}: is not a regular file, which a ledger is, because it is read again; choose another ledger")
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as a ledger ({error})") from None
    launches: list[Launch] = []
    broken = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if not (line.startswith(START) or (START.startswith(line) and number == text.count("\n") + 1)):
            raise BadInput(f"{path}: line {number} is not of a ledger of format {FORMAT}; give a file that only --ledger writes")
        try:
            launches.append(_read(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            broken.append(number)
    lines = ", ".join(map(str, broken))
    notes = (f"{path}: line {lines} is incomplete (a run ended while it wrote) and is left out",) if broken else ()
    return Ledger(path, tuple(launches), notes, last, other_rows)


def append_line(path: Path, line: str) -> None:
    """Append a line in one write under a lock, after an incomplete line on a line of its own, or leave the file as it was."""
    try:
        with path.open("a+b", buffering=0) as file:
            with suppress(ImportError):  # a system without locks
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            ended = file.read(1) in (b"", b"\n")
            content = ("" if ended else "\n").encode() + line.encode("ascii")
            try:
                if os.write(file.fileno(), content) < len(content):
                    raise OSError(0, "the disk is full")
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(size)
                raise
    except OSError as error:
        raise StoreError(f"{path}: the ledger cannot be written ({error.strerror}); it is as before") from None


def numbers_of(diff: Diff) -> dict[str, Estimate]:
    """The measures of disagreement of a comparison by name, decisions and swapped rows among them."""
    found = {m.name: m.estimate for m in diff.measures}
    found |= {f"decisions({d.threshold:g})": d.changed for d in diff.decisions}
    overlaps = {f"swapped({s.asked:g})": s.overlap for s in diff.swap_sets}
    return found | {name: replace(e, value=1 - e.value, low=1 - e.high, high=1 - e.low) for name, e in overlaps.items()}


def kind_of(diff: Diff) -> str:
    """What kind of predictions a comparison is of."""
    found = diff.alignment
    kind = diff.outcomes or ("numbers" if diff.regression else f"{found.classes} classes" if found.classes else "labels")
    names = "" if found.class_names is None else f" ({', '.join(found.class_names)})"
    return f"{kind}{names}, weight {found.weight or 'none'}, label {found.label or 'none'}"


def _read(found: Mapping[str, Any]) -> Launch:
    """A launch from plain values; ValueError, KeyError or TypeError where the values are not of a launch."""
    known = {name: found[name] for name in Launch.__dataclass_fields__}
    for name in ("old", "new"):
        known[name] = Model(**known[name])
    for name in ("numbers", "quality"):
        known[name] = {measure: _estimate(e) for measure, e in known[name].items()}
    return Launch(**{**known, "checks": tuple(Check(**check) for check in known["checks"])})


def _estimate(found: Mapping[str, Any]) -> Estimate:
    """An estimate from plain values; None is nan again."""
    ends = {"infinite": np.inf, "-infinite": -np.inf, None: np.nan}
    numbers = {name: ends.get(found[name], found[name]) for name in ("value", "low", "high", "standard_error")}
    return Estimate(**{**found, **numbers})


@dataclass(frozen=True, repr=False)
class History(Shown):
    """The launches of a ledger. Made by `history`.

    Attributes:
        path: of the ledger.
        launches: oldest first.
        notes: lines that were left out, in sentences.
    """

    path: str
    launches: tuple[Launch, ...]
    notes: tuple[str, ...]


@typed
def history(ledger: str | Path) -> History:
    """The launches of a ledger, to which `diff` and `gate` append one line each with ``ledger=``.

    Args:
        ledger: the path of the file.
    Raises:
        BadInput: it does not exist or is not a ledger.
    Example:
        >>> import tempfile, traintwice
        >>> old, new = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = traintwice.diff(old, new, label=old, ledger=f"{folder}/launches.jsonl")
        ...     [launch.numbers["churn"].value for launch in history(f"{folder}/launches.jsonl").launches]
        [0.5]
    """
    opened = open_ledger(ledger)
    if not opened.path.exists():
        raise BadInput(f"{ledger}: no such file; diff and gate write a ledger with --ledger FILE (ledger=)")
    if not opened.launches:
        raise BadInput(f"{ledger}: there are no launches in it yet; diff and gate append one each with --ledger FILE (ledger=)")
    return History(str(ledger), opened.launches, opened.notes)


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
        digests = (int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest(), "little") for text in texts)
        return f"ids {len(texts)} {reduce(xor, digests, 0)}"
    known = whole.targets if whole.targets is not None else whole.known.labels
    return None if known is None else f"labels {_of_array(to_numpy(known))}"


def digest_of_model(model: Any) -> str | None:
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
        digests = [digest_of(Path(path)) for path in files]
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
