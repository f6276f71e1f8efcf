"""How a column of time is cut into periods."""

from __future__ import annotations

import math
from dataclasses import dataclass

from traintwice.errors import BadInput
from traintwice.predictions._session import Session, literal
from traintwice.predictions._source import Source, family

MOST_PERIODS, MOST_RANGES = 60, 20

PERIODS = {
    "hour": "strftime({t}, '%Y-%m-%d %H:00')",
    "day": "strftime({t}, '%Y-%m-%d')",
    "week": "strftime({t}, '%G-W%V')",
    "month": "strftime({t}, '%Y-%m')",
    "quarter": "strftime({t}, '%Y-Q') || quarter({t})",
    "year": "strftime({t}, '%Y')",
}
"""Name of a period to the SQL of its text over ``{t}``, the finest first."""


@dataclass(frozen=True)
class Period:
    """How a time is cut: what a period is ("week"), and the SQL over ``{t}`` of its text, which sorts as time does."""

    name: str
    sql: str


def period_of(session: Session, relation: str, t: str, *, numbers: bool, whole: bool = False) -> Period:
    """The finest of hour, day … year that gives at most `MOST_PERIODS`; for numbers at most `MOST_RANGES` ranges of equal width.

    Args:
        relation, t: what follows FROM, and the SQL of the time over it: a timestamp, or a number.
        numbers, whole: the time is a number; all its values are integers.
    Raises:
        BadInput: no row has a time.
    """
    spans = "min(t), max(t)" if numbers else ", ".join(f"date_diff('{unit}', min(t), max(t))" for unit in PERIODS)
    midnight = "true" if numbers else "bool_and(t = date_trunc('day', t))"
    sql = f"SELECT {midnight}, {spans} FROM (SELECT {t} AS t FROM {relation}) WHERE isfinite(t)"
    ((no_hours, *found),) = session.rows(sql, doing="reading the times")
    if found[0] is None:
        raise BadInput("no row has a time; pass another column to --time")
    if numbers:
        return _ranges(*found, whole=whole)
    spans_of = zip(PERIODS, found, strict=True)
    unit = next((unit for unit, span in spans_of if span < MOST_PERIODS and not (no_hours and unit == "hour")), "year")
    return Period(unit, f"CASE WHEN isfinite({{t}}) THEN {PERIODS[unit]} END")


def _ranges(low: float, high: float, *, whole: bool) -> Period:
    """Ranges of 1, 2 or 5 times a power of ten."""
    least = 1.0 if whole else max(abs(low), abs(high)) * 1e-12
    power = 10.0 ** math.floor(math.log10(max((high - low) / MOST_RANGES, least) or 1.0))
    width, first, last = next(
        (w, a, b)
        for w in (power, 2 * power, 5 * power, 10 * power, 20 * power)
        if (b := math.floor(high / w)) - (a := math.floor(low / w)) < MOST_RANGES
    )
    ends = [
        (f"{k * width:.0f}" if whole else f"{k * width:.12g}", f"{(k + 1) * width - whole:.12g}") for k in range(first, last + 1)
    ]
    names = [start if whole and width == 1 else f"{start} to {end}" for start, end in ends]
    names = names if sorted(names) == names else [f"{n:02}: {name}" for n, name in enumerate(names, 1)]
    place = f"CAST(floor({{t}} / '{width!r}'::DOUBLE) AS BIGINT) - {first - 1}"
    return Period(f"ranges of {width:.12g}", f"CASE WHEN isfinite({{t}}) THEN ([{', '.join(map(literal, names))}])[{place}] END")


def time_of(session: Session, source: Source, column: str, cell: str, relation: str, period: Period | None) -> tuple[str, Period]:
    """The SQL of a column of time, a number or a timestamp; and how it is cut, where an earlier file does not say it.

    Args:
        cell, relation: the column in a view of the source, and what follows FROM there.
    Raises:
        BadInput: the column has another type, or cells that are not a time.
    """
    kind, name = source.columns[column], f"{source.name}: column {column!r}"
    expected = "expected dates, timestamps or numbers; pass --by to take its values as they are"
    numbers = family(kind) in ("integer", "number")
    if numbers:
        t = f"{'TRY_CAST' if source.untyped else 'CAST'}({cell} AS DOUBLE)"
    elif family(kind) == "text" or kind.startswith(("DATE", "TIMESTAMP")):
        sql = f"SELECT count(*) FILTER (TRY_CAST({cell} AS TIMESTAMP) IS NULL AND {cell} IS NOT NULL) FROM {relation}"
        ((wrong,),) = session.rows(sql, doing=f"{name}: reading") if family(kind) == "text" else ((0,),)
        if wrong:
            raise BadInput(f"{name} has {wrong:,} cells that are not a time; {expected}")
        utc = f"timezone('UTC', {cell})" if kind == "TIMESTAMP WITH TIME ZONE" else cell
        t = f"CAST({utc} AS TIMESTAMP)"
    else:
        raise BadInput(f"{name} has type {kind}, {expected}")
    return t, period or period_of(session, relation, t, numbers=numbers, whole=family(kind) == "integer")
