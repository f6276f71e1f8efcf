"""When a table of a paper was last run for this version, and what came out."""

from __future__ import annotations

import json
from importlib import resources


def evidence_of(name: str, scale: str) -> list[str]:
    """Lines to print before a table is run; none where it was never run.

    Args:
        name, scale: of the table.
    """
    file = resources.files("traintwice.papers") / "evidence" / f"{name}.{scale}.json"
    if not file.is_file():
        return ["Not run for this version yet."]
    found = json.loads(file.read_text())
    return [f"Last run {found['date']}, {found['took']} on {found['where']}: {found['said']}"]
