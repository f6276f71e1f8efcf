"""The files that a command writes: predictions, and what the training cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from traintwice._files import start_of
from traintwice.errors import BadInput, TrainingFailed
from traintwice.predictions._inputs import JSON_ARRAY, format_of, format_of_name
from traintwice.replication._replica_run import Run

COSTS = "costs.json"
"""File in the folder of a replica in which a command may state what it cost."""


def remove_old(out: Path) -> None:
    """Delete what an earlier training of the replica wrote."""
    if out.is_dir():
        shutil.rmtree(out, ignore_errors=True)
    for old in [*_written(out), *_packed(out), out.parent / COSTS]:
        old.unlink(missing_ok=True)


def add_costs(run: Run) -> None:
    """The costs that a command states in a file of its folder."""
    path = run.folder / COSTS
    if not path.exists():
        return
    try:
        run.cost(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise TrainingFailed(f'{COSTS}: expected a JSON object of numbers, such as {{"gpu_hours": 3.2}} ({error})') from None


def _written(out: Path) -> list[Path]:
    """The files that a command wrote: the path itself or with an ending, or the files of the directory."""
    if out.is_dir():
        return sorted(path for path in out.iterdir() if path.is_file())
    return sorted(path for path in out.parent.glob(f"{out.name}*") if path.is_file() and path.stem == out.name)


def _packed(out: Path) -> list[Path]:
    """Files with more than one ending, such as .jsonl.gz."""
    found = (path for path in out.parent.glob(f"{out.name}.*") if path.is_file() and path.stem != out.name)
    return sorted(found)


def predictions_of(out: Path, command: str) -> Path | dict[str, Path]:
    """The file that a command wrote, or the files of its directory by split.

    Raises:
        TrainingFailed: no file, several files, or several of one split.
    """
    files = [_with_ending(path) for path in _written(out) or _packed(out)]
    if out.is_dir() and files:
        return _by_split(files)
    if len(files) != 1:
        raise TrainingFailed(
            f"the command wrote {len(files)} files of predictions, expected one: it must write to the path in place of {{out}}, with "
            f"or without an ending such as .csv or .parquet ({command})"
        )
    return files[0]


def _by_split(files: Sequence[Path]) -> dict[str, Path]:
    """Files by the split that their names say, without endings."""
    found: dict[str, Path] = {}
    for path in files:
        split = path.stem if format_of_name(Path(path.stem)) is None else Path(path.stem).stem
        if split in found:
            raise TrainingFailed(
                f"the command wrote two files of the split {split!r}: {found[split].name} and {path.name}; expected one"
            )
        found[split] = path
    return found


def _with_ending(path: Path) -> Path:
    """A file whose format its name or its first bytes say; a text of one column is named as CSV."""
    if path.suffix:
        return path
    try:
        format_of(path, path.name)
    except BadInput:
        return path if JSON_ARRAY.match(start_of(path, path.name)) else path.rename(path.with_suffix(".csv"))
    return path
