"""Settings that `python -m traintwice_reproduction choices` chose and kept."""

from __future__ import annotations

from typing import Any

from traintwice_reproduction.kept import KEPT, read

FOLDER = KEPT / "choices"


def record_of(name: str) -> dict[str, Any] | None:
    """What is kept of a choice; None where it has not been run.

    Args:
        name: key of `traintwice_reproduction.studies.choices.CHOICES`.
    """
    path = FOLDER / f"{name}.json"
    return read(path) if path.is_file() else None


def chosen(name: str, setting: str, default: float) -> float:
    """The kept value of a setting, or the default where it has not been chosen yet."""
    record = record_of(name)
    return float(record["chosen"].get(setting, default)) if record else default
