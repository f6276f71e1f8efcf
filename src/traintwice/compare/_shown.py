"""What every result can do: print, and become plain values, tables of pandas and Polars, and charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from traintwice._formatting import wrap
from traintwice._names import no_attribute
from traintwice.errors import require
from traintwice.types import plain_number

SCHEMA_VERSION = 2

MOST_LINES, WIDTH = 15, 110
"""Lines and columns of the ``repr`` of a result."""


class Shown:
    """A result that prints as its sheet (`traintwice.tables.sheet_of`)."""

    def sheet(self) -> Any:
        """The result as a person reads it: a `traintwice.tables.Sheet`."""
        return import_module("traintwice.tables").sheet_of(self)  # imported by name: the room of tables is above this one

    def __str__(self) -> str:
        return str(self.sheet().to_text())

    def __repr__(self) -> str:
        sheet = self.sheet()
        rest = replace(sheet, verdict="").to_text(WIDTH, whole_names=False).splitlines()
        lines = [*wrap(sheet.verdict, WIDTH).splitlines(), *(line for line in rest if line.strip())]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES - 1 :] = [f"… {len(lines) - MOST_LINES + 1:,} more lines with print()"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(self.sheet().to_html())

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(f"{type(self).__name__!r} object", name, dir(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, nan as null and infinity as "infinite"."""
        return {"schema": SCHEMA_VERSION, **fields_of(self)}

    def to_pandas(self, table: str | None = None) -> Any:
        """A table of the numbers as a ``pandas.DataFrame``.

        An estimate has the columns ``name``, ``name_low`` and ``name_high``; fractions stay fractions.

        Args:
            table: which one, such as "slices", "quality" or "regressed" of a `Diff`; None: the main table.
        Raises:
            UnknownName: no such table; the nearest are offered. MissingExtra: pandas is not installed.
        """
        require("pandas", extra="pandas", purpose="to_pandas")
        return import_module("pandas").DataFrame(self._columns(table))

    def to_polars(self, table: str | None = None) -> Any:
        """The table of `to_pandas` as a ``polars.DataFrame``."""
        require("polars", extra="polars", purpose="to_polars")
        return import_module("polars").DataFrame(self._columns(table), strict=False)

    def _columns(self, table: str | None) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = import_module("traintwice.tables").columns_of(self, table)
        return found


class Drawn(Shown):
    """A result with charts."""

    @property
    def plot(self) -> Any:
        """The charts of the report one by one: ``plot.slices()``, ``plot.confidence()`` …; ``plot()`` is the first that there is.

        Raises:
            MissingExtra: Altair is not installed.
        """
        return import_module("traintwice.report").plots_of(self)


def plain(value: Any) -> Any:
    """A result as dicts, lists and numbers that JSON can hold."""
    if hasattr(value, "to_dict") and not isinstance(value, Shown):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return fields_of(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return plain_number(value)


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain values."""
    return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
