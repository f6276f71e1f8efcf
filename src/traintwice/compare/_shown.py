"""What every result can do: print, and become plain values, tables of pandas and Polars, and charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from traintwice._formatting import wrap
from traintwice._names import no_attribute
from traintwice._typed import typed
from traintwice.errors import BadInput, require, unknown
from traintwice.types import Estimate, plain_number

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
        return import_module("pandas").DataFrame(columns_of(self, table))

    def to_polars(self, table: str | None = None) -> Any:
        """The table of `to_pandas` as a ``polars.DataFrame``."""
        require("polars", extra="polars", purpose="to_polars")
        return import_module("polars").DataFrame(columns_of(self, table), strict=False)


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


MAIN = {
    "Diff": "measures",
    "GateResult": "checks",
    "Measures": "estimates",
    "Plan": "table",
    "RecipeComparison": "measures",
    "SelfTest": "by_budget",
    "TokenDiff": "measures",
    "History": "launches",
}
"""Name of a type of result to its main table; other results have the table of their sheet, or one row."""


@typed
def columns_of(result: Any, table: str | None = None) -> dict[str, list[Any]]:
    """The columns of a table of a result.

    Args:
        result: of `traintwice.diff`, `gate`, `measure` and so on.
        table: its name: a field that holds rows, such as "slices"; None for the main table. ``Diff.quality`` and ``Diff.measures``
            are one table by the name "measures", whose value is the change where a measure has one value for each model.
    Raises:
        UnknownName: no such table; the nearest are offered. BadInput: not a result.
    Example:
        >>> from traintwice import diff
        >>> import numpy as np
        >>> found = diff(np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), label=np.array([0, 1, 0, 1]))
        >>> columns = columns_of(found)
        >>> dict(zip(columns["name"], columns["value"]))["churn"], sorted(columns)[:3]
        (0.5, ['high', 'low', 'name'])
    """
    if type(result).__name__ not in MAIN and not hasattr(result, "sheet"):
        raise BadInput(
            f"result: got a {type(result).__name__}, expected a result of traintwice, such as that of `traintwice.diff`"
        )
    tables = dict(_tables(result))
    name = table or MAIN.get(type(result).__name__, "sheet")
    if name not in tables:
        raise unknown("table", name, tables)
    rows, kind = tables[name]
    records = [dict(_cells(row)) for row in rows]
    empty = dict.fromkeys(_columns_of_type(kind)) if kind is not None else {}
    names = dict.fromkeys([*empty, *(key for record in records for key in record)])
    return {key: [record.get(key) for record in records] for key in names}


def _tables(result: Any) -> Iterator[tuple[str, tuple[Iterable[Any], type | None]]]:
    """Every table by name: its rows, and their type where it is known also without rows."""
    hints = get_type_hints(type(result))
    if type(result).__name__ not in MAIN:
        rows = [result]
        for made in result.sheet().tables[:1]:
            rows = [{"name": row.name, **{c.key: row.cells.get(c.key) for c in made.columns}} for row in made.rows]
        yield "sheet", (rows, None)
    for field in fields(result):
        value, kind = getattr(result, field.name), _row_type(hints[field.name])
        if field.name == "measures" and hasattr(result, "quality"):
            quality = [_measure(q, q.change, p_value=q.p_value, old=q.old.value, new=q.new.value) for q in result.quality]
            yield field.name, ([*quality, *(_measure(m, m.estimate) for m in value)], None)
        elif field.name == "estimates":
            yield field.name, ([_measure(result.definitions[n], e) | {"name": n} for n, e in value.items()], None)
        elif field.name == "by_budget":
            yield field.name, ([dict(zip(("budget", "kept", "over", "inconclusive"), row, strict=True)) for row in value], None)
        elif kind is not None:
            yield field.name, (value, kind)


def _measure(m: Any, e: Estimate, **further: Any) -> dict[str, Any]:
    return {"name": m.name, "title": m.title, "unit": m.unit, **_ends("value", e), **further}


def _ends(name: str, e: Estimate) -> dict[str, float]:
    """A number and its bounds; those of "value" are "low" and "high"."""
    start = "" if name == "value" else f"{name}_"
    return {name: e.value, f"{start}low": e.low, f"{start}high": e.high}


def _row_type(hint: Any) -> type | None:
    """The dataclass of the rows of a field such as ``tuple[Slice, ...]``; None for other fields."""
    kind = get_args(hint)[0] if get_origin(hint) is tuple and get_args(hint)[1:] == (...,) else None
    return kind if isinstance(kind, type) and is_dataclass(kind) else None


def _cells(row: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """The cells of a row by column; what is inside another value has its name before its own. Lists of rows are left out."""
    known = row if isinstance(row, Mapping) else {f.name: getattr(row, f.name) for f in fields(row)}
    if hasattr(row, "q_value") and "q_value" not in known:
        known = {**known, "q_value": row.q_value if row.tests else None}
    for key, value in known.items():
        name = f"{start}{key}"
        if isinstance(value, Estimate):
            yield from _ends(name, value).items()
        elif isinstance(value, Mapping) or is_dataclass(value):
            yield from _cells(value, f"{name}_")
        elif not isinstance(value, tuple | list):
            yield name, value


def _columns_of_type(kind: type, start: str = "") -> Iterator[str]:
    """The columns of rows of a type, in the order of its fields, so that a table without rows has columns too."""
    for name, hint in get_type_hints(kind).items():
        sides = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        nested = [side for side in sides if isinstance(side, type) and is_dataclass(side)]
        if Estimate in nested:
            yield from _ends(f"{start}{name}", Estimate(0, 0, 0, 0, 0, 0))
        elif nested:
            yield from _columns_of_type(nested[0], f"{start}{name}_")
        elif get_origin(hint) not in (tuple, list, Mapping):
            yield f"{start}{name}"
    if hasattr(kind, "q_value") and not start:
        yield "q_value"
