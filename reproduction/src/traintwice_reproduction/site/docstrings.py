"""Extension of griffe for the docstrings of this project: a blank line before every section, and ``Example:`` as ``Examples:``."""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"(?m)\n+^(Args|Attributes|Example|Raises|Returns|Source|Yields):$")


class Sections(griffe.Extension):  # type: ignore[misc]
    """Rewrites docstrings before they are parsed, which needs the blank lines."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object that griffe reads."""
        if obj.docstring is not None:
            obj.docstring.value = SECTION.sub(lambda m: f"\n\n{'Examples' if m[1] == 'Example' else m[1]}:", obj.docstring.value)
