"""Text that goes into SQL: identifiers and literals are always quoted, so a file name or column name is never code."""

from __future__ import annotations

from collections.abc import Iterable


def identifier(name: str) -> str:
    """A quoted identifier.

    >>> identifier('p"; DROP TABLE x; --')
    '"p""; DROP TABLE x; --"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted string.

    >>> literal("it's.parquet")
    "'it''s.parquet'"
    """
    return "'" + text.replace("'", "''") + "'"


def all_of(conditions: Iterable[str]) -> str:
    """Conditions joined by AND; TRUE where there are none."""
    return " AND ".join(f"({c})" for c in conditions) or "TRUE"


def any_of(conditions: Iterable[str]) -> str:
    """Conditions joined by OR; FALSE where there are none."""
    return " OR ".join(f"({c})" for c in conditions) or "FALSE"
