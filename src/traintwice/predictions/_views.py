"""Every file as a view with the same column names, whatever its layout, and how a column of time is cut into periods.

r is the row number; i0, i1 … the ids; y the label as a class; raw_y whether there is one; w the weight; g0, g1 … the groups, time
last; o0, o1 … columns to show; c the cluster; t the time; d the draw; k0, k1 … or l, s, v, x the predictions of the five layouts;
h draws of an item by class.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from traintwice._database import Session, all_of, identifier, literal
from traintwice.errors import BadInput
from traintwice.predictions._classes import MOST_CLASSES, Names
from traintwice.predictions._layout import Layout, Recognised
from traintwice.predictions._reading import Reading, groups_of
from traintwice.predictions._source import WIDE, Source, described, family

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


ROLES = {"y": "label", "w": "weight", "c": "cluster", "t": "time"}


@dataclass(frozen=True)
class View:
    """A file in canonical form, as the DuckDB view ``name``.

    Attributes:
        ids, predictions: the columns of the ids, with their types; and of the predictions.
        table, row: what `scan` reads, and the SQL of its row number.
        cells: the SQL of each column over `scan`.
        names: what the file calls the columns y, w, c, t, g0 ….
        unanswered: rows that were left out because they hold no prediction.
    """

    name: str
    source: Source
    layout: Layout
    ids: Mapping[str, str]
    predictions: tuple[str, ...]
    table: str
    row: str
    cells: Mapping[str, str]
    names: Mapping[str, str]
    unanswered: int = 0

    def scan(self, rows: tuple[int, int] | None = None) -> str:
        """FROM item of all rows, or of a range, for ``cells``; it computes nothing, so that joins by position need no copy."""
        within = f" WHERE {self.row} >= {rows[0]} AND {self.row} < {rows[1]}" if rows else ""
        return f"(SELECT * FROM {self.table}{within}) AS {self.name}"

    def probabilities(self, suffix: str = "") -> list[str]:
        """The SQL of each class's probability, over columns whose names end in a suffix; none for predicted labels and regressions."""
        first = self.predictions[0]
        if first == "s":
            return [f"1 - s{suffix}", f"s{suffix}"]
        if first == "l":
            return [f"l{suffix}[{k + 1}]" for k in range(self.layout.classes or 0)]
        return [k + suffix for k in self.predictions] if first.startswith("k") else []

    def vote(self, suffix: str = "") -> str:
        """The SQL of the predicted class: argmax, ties to the lowest class.

        By CASE, from which DuckDB knows that classes are 0 and 1, so that it groups by them without a hash table.
        """
        first, probs = self.predictions[0], self.probabilities(suffix)
        if not probs:
            return f"v{suffix}"
        if first == "s":  # s > 1 - s exactly where s > 1/2, in floating point too
            return f"CASE WHEN {probs[1]} > 0.5::DOUBLE THEN 1 ELSE 0 END"
        if len(probs) == 2:
            return f"CASE WHEN {probs[1]} > {probs[0]} THEN 1 ELSE 0 END"
        row = f"l{suffix}" if first == "l" else f"[{', '.join(probs)}]"
        return f"CAST(list_position({row}, list_max({row})) - 1 AS BIGINT)"

    def over(self, name: str, row: str = "r") -> View:
        """The same columns in a table or view that has them by name, with a row number."""
        return replace(self, name=name, table=name, row=row, cells={column: f"{name}.{column}" for column in self.cells})


def make_views(
    session: Session, files: Sequence[Recognised], names: Names | None, reading: Reading
) -> tuple[list[View], str | None]:
    """Create the view of every file, with labels as classes of these names.

    Returns:
        The views, and how time is cut ("week"); None without a time.
    """
    groups = groups_of(reading)
    ids = {f"i{j}": _type_of_id([(source, layout.id[j]) for source, layout in files]) for j in range(len(files[0][1].id))}
    clusters = [
        _common_type({source.columns[layout.cluster[j]] for source, layout in files if layout.cluster})
        for j in range(len(reading["cluster"]))
    ]
    views, period = [], None
    for number, (source, layout) in enumerate(files):
        name = f"f{number}"
        source, relation = replace(source, table=name), f"{source.relation} AS {name}"
        cells = {"r": f"{name}.{source.row}"}
        for (i, kind), column in zip(ids.items(), layout.id, strict=True):
            as_it_is = kind == source.columns[column] and not source.untyped
            cells[i] = source.cell(column) if as_it_is else f"CAST({source.cell(column)} AS {kind})"
        if layout.label is not None:
            given = source.given(layout.label)
            cells["y"] = source.number(given) if layout.kind == "regression" else source.as_class(layout.label, names)
            cells["raw_y"] = f"{given} IS NOT NULL"
        if layout.weight is not None:
            cells["w"] = source.number(source.cell(layout.weight))
        if layout.cluster:
            cells["c"] = _cluster(source, layout.cluster, clusters)
        if layout.draws is not None:
            cells["d"] = f"CAST({source.given(layout.draws)} AS VARCHAR)"
        if layout.time is not None:
            cells["t"], period = _time_of(session, source, layout.time, relation, period)
            cells[f"g{len(groups) - 1}"] = period.sql.format(t=cells["t"])
        for letter, wanted, have in (("g", groups, layout.by), ("o", reading["show"], layout.show)):
            cells |= {f"{letter}{j}": f"CAST({source.cell(c)} AS VARCHAR)" for j, c in enumerate(wanted) if c in have}
        predicted = _predictions(source, layout, names)
        cells |= predicted
        body = f"SELECT {', '.join(f'{sql} AS {column}' for column, sql in cells.items())} FROM {relation}"
        layered = layout.logits and layout.kind in ("columns", "list")
        body = _softmax(body, list(predicted)) if layered else body
        session.rows(f"CREATE VIEW {name} AS {body}", doing=f"{source.name}: reading")
        shared = {"y": layout.label, "w": layout.weight, "c": " + ".join(layout.cluster), "t": layout.time}
        shared |= {f"g{j}": group for j, group in enumerate(groups)}
        called = {column: of_user for column, of_user in shared.items() if of_user and column in cells}
        view = View(name, source, layout, ids, tuple(predicted), relation, source.row, cells, called)
        views.append(view.over(name) if layered else view)
    return views, None if period is None else period.name


def _type_of_id(columns: Sequence[tuple[Source, str]]) -> str:
    """The type in which an id column is compared without loss."""
    kinds: dict[str, str] = {}
    text = ""
    types = [source.columns[name] for source, name in columns]
    for (source, name), kind in zip(columns, types, strict=True):
        if source.untyped:
            text = text or (f"{source.name} has text in {name!r}" if family(kind) != "integer" else "")
        elif family(kind) in ("integer", "text", "boolean", "time"):
            kinds.setdefault(kind if family(kind) == "time" else family(kind), f"{source.name} has {kind} in {name!r}")
        else:
            raise BadInput(
                f"{source.name}: id column {name!r} has type {described(name, kind)}, which does not identify rows exactly or in "
                "one way; write ids as integers or text, or pass another column to --id"
            )
    if len(kinds) > 1 or (text and "integer" in kinds):
        told = ", ".join([*kinds.values(), text] if len(kinds) == 1 else kinds.values())
        advice = "7 and '7' are different ids, and so are a date and a time, or times of different precision or zone"
        raise BadInput(f"ids differ in type: {told}; {advice}. Write ids in the same type in all files")
    return "VARCHAR" if "text" in kinds or text or "UHUGEINT" in types else _common_type(set(types))


def _common_type(types: set[str]) -> str:
    """A type in which values of several types can be compared.

    >>> _common_type({"INTEGER"}), _common_type({"INTEGER", "BIGINT"}), _common_type({"BIGINT", "VARCHAR"})
    ('INTEGER', 'BIGINT', 'VARCHAR')
    >>> _common_type({"DECIMAL(10,0)"}), _common_type({"BIGINT", "DECIMAL(38,0)"})
    ('BIGINT', 'HUGEINT')
    """
    digits = {kind: int(m[1]) for kind in types if (m := re.fullmatch(r"DECIMAL\((\d+),0\)", kind))}
    types = {("BIGINT" if digits[kind] <= 18 else "HUGEINT") if kind in digits else kind for kind in types}
    if len(types) == 1:
        return next(iter(types))
    if any(family(kind) != "integer" for kind in types):
        return "VARCHAR"
    return "HUGEINT" if types & {"HUGEINT", "UBIGINT", "UHUGEINT"} else "BIGINT"


def _cluster(source: Source, columns: Sequence[str], types: Sequence[str]) -> str:
    """The cluster of a row; NULL where a part of it is missing."""
    parts = [f"CAST({source.given(column)} AS {kind})" for column, kind in zip(columns, types, strict=True)]
    if len(parts) == 1:
        return parts[0]
    fields = ", ".join(f"{identifier(column)} := {part}" for column, part in zip(columns, parts, strict=True))
    return f"CASE WHEN {all_of(f'{p} IS NOT NULL' for p in parts)} THEN struct_pack({fields}) END"


def _predictions(source: Source, layout: Layout, names: Names | None) -> dict[str, str]:
    """The columns of the predictions."""
    if layout.kind == "columns":
        return {f"k{k}": source.number(source.cell(column)) for k, column in enumerate(layout.columns)}
    cell = source.cell(layout.columns[0])
    if layout.kind == "list":
        cell, order = f"CAST({cell} AS DOUBLE[])", layout.order or range(layout.classes or 0)
        fits = f"CASE WHEN len({cell}) = {layout.classes} THEN"
        if layout.logits and (layout.classes or 0) <= WIDE:
            return {f"k{n}": f"{fits} {cell}[{k + 1}] END" for n, k in enumerate(order)}
        return {"l": f"{fits} [{', '.join(f'{cell}[{k + 1}]' for k in order)}] END" if layout.order else cell}
    if layout.kind == "votes":
        return {"v": source.as_class(layout.columns[0], names)}
    number = source.number(cell)
    return {"x": number} if layout.kind == "regression" else {"s": f"1 / (1 + exp(-{number}))" if layout.logits else number}


def _softmax(body: str, every: Sequence[str]) -> str:
    """The same rows with k0 … turned from logits into probabilities; NULL and NaN stay so and are refused later."""
    if list(every) == ["l"]:
        shifted, divided = (f"list_transform(l, lambda e: {sql}) AS l" for sql in ("exp(e - top)", "e / total"))
        top, total = "list_max(l)", "list_sum(l)"
    else:
        together = ", ".join(every)
        top, total = f"greatest({together})", " + ".join(every) if len(every) <= WIDE else f"list_sum([{together}])"
        shifted, divided = (", ".join(sql.format(k, k) for k in every) for sql in ("exp({} - top) AS {}", "{} / total AS {}"))
    return (
        f"SELECT * EXCLUDE (top, total) REPLACE ({divided}) FROM (SELECT *, {total} AS total FROM "
        f"(SELECT * REPLACE ({shifted}) FROM (SELECT *, {top} AS top FROM ({body}))))"
    )


def without_unanswered(session: Session, view: View) -> View:
    """The view without rows in which every prediction is missing or NaN: such rows hold no answer of the model."""
    name, doing = view.name, f"{view.source.name}: leaving out rows without a prediction"
    if view.predictions == ("l",):
        absent = "coalesce(len(list_filter(l, lambda e: NOT isnan(e))), 0) = 0"
    else:
        number = view.layout.kind != "votes"
        absent = all_of(f"{c} IS NULL{f' OR NOT (isfinite({c}) OR isinf({c}))' if number else ''}" for c in view.predictions)
    # not isnan, which DuckDB answers from statistics that leave NaN out; an aggregate, since a WHERE skips row groups by them
    ((count,),) = session.rows(f"SELECT count(*) FILTER ({absent}) FROM {name}", doing=doing)
    if not count:
        return view
    sql = f"SELECT * EXCLUDE (absent) FROM (SELECT *, ({absent}) AS absent FROM {name}) WHERE NOT absent"
    session.rows(f"CREATE TABLE answered_{name} AS {sql}", doing=doing)
    return replace(view.over(f"answered_{name}", "rowid"), unanswered=count)


def items_of_draws(session: Session, views: Sequence[View]) -> tuple[list[View], list[int]]:
    """Views of items: what belongs to the item, and h, how often each class was drawn."""
    items, rows = [], []
    for m, view in enumerate(views):
        doing, ids, name = f"{view.source.name}: counting the draws", ", ".join(view.ids), view.source.name
        shared = list(shared_columns([view]))
        fixed = [c for c in shared if c[0] != "o"]
        repeated = f"SELECT {ids}, d FROM {view.name} GROUP BY {ids}, d HAVING count(*) > 1"
        ((twice,),) = session.rows(f"SELECT count(*) FROM ({repeated})", doing=doing)
        if twice:
            told = f"{name}: {twice:,} draws are on more than one row"
            raise BadInput(f"{told}; an id and a value of {view.layout.draws!r} must name one row")
        ends = ", ".join(f"min({c}) AS low_{c}, max({c}) AS high_{c}" for c in fixed)
        changes = ", ".join(f"count(*) FILTER (low_{c} <> high_{c})" for c in fixed)
        sql = f"SELECT {changes} FROM (SELECT {ends} FROM {view.name} GROUP BY {ids})"
        for column, count in zip(fixed, *(session.rows(sql, doing=doing) if fixed else [()]), strict=True):
            if count:
                raise BadInput(
                    f"{name}: {count:,} items have several values in {view.names[column]!r}; expected the same in all draws"
                )
        kept = ", ".join([ids, *(f"min({c}) AS {c}" for c in shared)])
        drawn = f"SELECT *, {view.vote()} AS drawn FROM {view.name}"
        select = f"SELECT {kept}, histogram(drawn) AS h FROM ({drawn}) GROUP BY {ids} ORDER BY min(r)"
        session.rows(f"CREATE TABLE d{m} AS {select}", doing=doing)
        session.rows(f"CREATE VIEW items{m} AS SELECT rowid AS r, * FROM d{m}", doing=doing)
        rows.append(session.rows(f"SELECT count(*) FROM d{m}", doing=doing)[0][0])
        cells = {c: f"items{m}.{c}" for c in (*view.ids, *shared, "h")}
        items.append(replace(view, name=f"items{m}", predictions=("h",), table=f"items{m}", row="r", cells=cells))
    if items[0].layout.classes is None:
        largest = [f"SELECT max(list_max(map_keys(h))) AS k FROM {view.table}" for view in items]
        largest += [f"SELECT max(y) AS k FROM {view.table}" for view in items if "y" in view.cells]
        ((most,),) = session.rows(f"SELECT max(k) FROM ({' UNION ALL '.join(largest)})", doing="reading the draws")
        if most >= MOST_CLASSES:
            raise BadInput(f"predicted labels go up to {most:,}, expected classes that count from 0, fewer than {MOST_CLASSES:,}")
        items = [replace(view, layout=replace(view.layout, classes=int(most) + 1)) for view in items]
    return items, rows


def shared_columns(views: Sequence[View]) -> dict[str, list[int]]:
    """Each column that belongs to the example and not to a model (y, w, c, t, g0 …, o0 …), and the files that have it."""
    names = dict.fromkeys(c for view in views for c in view.cells if c in ROLES or c[0] in "go")
    return {name: [m for m, view in enumerate(views) if name in view.cells] for name in names}


@dataclass(frozen=True)
class Period:
    """How a time is cut: what a period is ("week"), and the SQL over ``{t}`` of its text, which sorts as time does."""

    name: str
    sql: str


def period_of(session: Session, relation: str, t: str, *, numbers: bool, whole: bool = False) -> Period:
    """The finest of hour, day … year with at most `MOST_PERIODS`; for numbers (``whole``: integers) at most `MOST_RANGES` equal ranges."""
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


def _time_of(session: Session, source: Source, column: str, relation: str, period: Period | None) -> tuple[str, Period]:
    """The SQL of a column of time, a number or a timestamp; and how it is cut, where an earlier file does not say it."""
    kind, cell, name = source.columns[column], source.cell(column), f"{source.name}: column {column!r}"
    expected = "expected dates, timestamps or numbers; pass --by to take its values as they are"
    numbers = family(kind) in ("integer", "number")
    if numbers:
        t = source.number(cell)
    elif family(kind) == "text" or kind.startswith(("DATE", "TIMESTAMP")):
        # A text may name its zone, as 12:00+02:00 does; one without a zone, like a date, is in UTC, the zone of the session.
        utc = f"TRY_CAST({cell} AS TIMESTAMPTZ)"
        sql = f"SELECT count(*) FILTER ({utc} IS NULL AND {cell} IS NOT NULL) FROM {relation}"
        ((wrong,),) = session.rows(sql, doing=f"{name}: reading") if family(kind) == "text" else ((0,),)
        if wrong:
            raise BadInput(f"{name} has {wrong:,} cells that are not a time; {expected}")
        t = f"timezone('UTC', {utc})"
    else:
        raise BadInput(f"{name} has type {kind}, {expected}")
    return t, period or period_of(session, relation, t, numbers=numbers, whole=family(kind) == "integer")
