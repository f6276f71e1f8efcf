"""Every file as a view with the same column names, whatever its layout; what its cells must hold; the aligned rows as SQL.

r is the row number; i0, i1 … the ids; y the label as a class; raw_y whether there is one; w the weight; g0, g1 … the groups, time
last; c the cluster; t the time; d the draw; k0, k1 … or l, s, v, x the predictions of the five layouts; h draws of an item by class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from traintwice.errors import BadInput
from traintwice.predictions.layout import Classes, Layout
from traintwice.predictions.predictions import SUM_TOLERANCE
from traintwice.predictions.session import Session, all_of, any_of, literal
from traintwice.predictions.sources import Source, family

MOST_PERIODS, MOST_RANGES = 60, 20

NUMBERS: dict[str, Literal["whole", "any"]] = {"integer": "whole", "number": "any"}

PERIODS = {
    "hour": "strftime({t}, '%Y-%m-%d %H:00')",
    "day": "strftime({t}, '%Y-%m-%d')",
    "week": "strftime({t}, '%G-W%V')",
    "month": "strftime({t}, '%Y-%m')",
    "quarter": "strftime({t}, '%Y-Q') || quarter({t})",
    "year": "strftime({t}, '%Y')",
}
"""Name of a period to the SQL of its text, the finest first."""

Cell = Callable[[str], str]
"""Gives the SQL of a column."""


@dataclass(frozen=True)
class View:
    """A file in canonical form, as the DuckDB view ``name``.

    Attributes:
        predictions: the columns of the predictions.
        table, row: what `scan` reads, and the SQL of its row number.
        cells: the SQL of each column over `scan`.
        names: what the file calls the columns y, w, c, t, g0 ….
    """

    name: str
    source: Source
    layout: Layout
    predictions: tuple[str, ...]
    table: str
    row: str
    cells: Mapping[str, str]
    names: Mapping[str, str]

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns of the ids."""
        return tuple(f"i{j}" for j in range(len(self.layout.id)))

    def scan(self, rows: tuple[int, int] | None = None) -> str:
        """FROM item of all rows, or of those in a range, over which ``cells`` hold.

        Nothing is computed below it, so that DuckDB can join files by position as it reads them, without a copy.
        """
        within = f" WHERE {self.row} >= {rows[0]} AND {self.row} < {rows[1]}" if rows else ""
        return f"(SELECT * FROM {self.table}{within}) AS {self.name}"

    def over(self, name: str) -> View:
        """The same columns in a table or view that has them by name, with the row number r."""
        return replace(self, name=name, table=name, row="r", cells={column: f"{name}.{column}" for column in self.cells})


def make_views(
    session: Session, sources: Sequence[Source], layouts: Sequence[Layout], classes: Classes, groups: Sequence[str]
) -> tuple[list[View], str | None]:
    """Create the view of every file.

    Args:
        groups: names of the group columns, time last.
    Returns:
        The views, and how time is cut ("week"); None without a time.
    Raises:
        BadInput: the ids of two files differ in type, or a column of time holds something else.
    """
    ids = [_type_of_id(sources, [layout.id[j] for layout in layouts]) for j in range(len(layouts[0].id))]
    holding = [(source, layout.cluster) for source, layout in zip(sources, layouts, strict=True) if layout.cluster]
    clusters = [_common_type({s.columns[names[j]] for s, names in holding}) for j in range(len(holding[0][1] if holding else ()))]
    views, period = [], None
    for number, (source, layout) in enumerate(zip(sources, layouts, strict=True)):
        name = f"f{number}"
        of = _Cells(name, source)
        cells = {"r": f"{name}.{source.row}"}
        for j, (column, kind) in enumerate(zip(layout.id, ids, strict=True)):
            cells[f"i{j}"] = of.cell(column) if kind is None else f"CAST({of.cell(column)} AS {kind})"
        if layout.label is not None:
            is_float = source.family(layout.label) == "number"
            as_number = f"CASE WHEN {of.is_number(layout.label)} THEN {of.number(layout.label)} END"
            cells["y"] = as_number if layout.kind == "regression" else of.class_of(layout.label, classes.names)
            cells["raw_y"] = f"{of.cell(layout.label)} IS NOT NULL" + (f" AND {of.is_number(layout.label)}" if is_float else "")
        if layout.weight is not None:
            cells["w"] = of.number(layout.weight)
        if layout.cluster:
            cells["c"] = of.cluster(layout.cluster, clusters)
        if layout.draws is not None:
            cells["d"] = f"CAST({of.cell(layout.draws)} AS VARCHAR)"
        if layout.time is not None:
            cells["t"] = of.time(layout.time)
            numbers = NUMBERS.get(source.family(layout.time))
            period = period or period_of(session, f"{source.relation} AS {name}", cells["t"], numbers)
            cells[f"g{len(groups) - 1}"] = period.sql.format(t=cells["t"])
        cells |= {f"g{j}": f"CAST({of.cell(group)} AS VARCHAR)" for j, group in enumerate(groups) if group in layout.by}
        predicted = of.predictions(layout, classes.names)
        cells |= predicted
        body = f"SELECT {', '.join(f'{sql} AS {column}' for column, sql in cells.items())} FROM {source.relation} AS {name}"
        layered = layout.logits and layout.kind in ("columns", "list")
        session.rows(
            f"CREATE VIEW {name} AS {_softmax(body, list(predicted)) if layered else body}", doing=f"{source.name}: reading"
        )
        shared = {"y": layout.label, "w": layout.weight, "c": " + ".join(layout.cluster), "t": layout.time}
        shared |= {f"g{j}": group for j, group in enumerate(groups) if f"g{j}" in cells}
        names = {column: called for column, called in shared.items() if called}
        view = View(name, source, layout, tuple(predicted), f"{source.relation} AS {name}", source.row, cells, names)
        views.append(view.over(name) if layered else view)
    return views, None if period is None else period.name


@dataclass(frozen=True)
class Period:
    """How a time is cut: what a period is ("week"), and the SQL of its name over ``{t}``, which sorts as time does."""

    name: str
    sql: str


def period_of(session: Session, relation: str, t: str, numbers: Literal["whole", "any"] | None) -> Period:
    """The finest of hour, day … year that gives at most `MOST_PERIODS`; for numbers at most `MOST_RANGES` ranges of equal width.

    Args:
        relation, t: what follows FROM, and the SQL of the time over it: a timestamp or a number.
        numbers: times are whole numbers, or any numbers; None for timestamps.
    """
    spans = ", ".join(["min(t), max(t)"] if numbers else (f"date_diff('{unit}', min(t), max(t))" for unit in PERIODS))
    midnight = "true" if numbers else "bool_and(t = date_trunc('day', t))"
    sql = f"SELECT {midnight}, {spans} FROM (SELECT {t} AS t FROM {relation}) WHERE isfinite(t)"
    ((no_hours, *found),) = session.rows(sql, doing="reading the times")
    if found[0] is None:
        raise BadInput("no row has a time; pass another column to --time")
    if not numbers:
        units = [
            unit for unit, span in zip(PERIODS, found, strict=True) if span < MOST_PERIODS and not (no_hours and unit == "hour")
        ]
        unit = next(iter(units), "year")
        return Period(unit, f"CASE WHEN isfinite({{t}}) THEN {PERIODS[unit]} END")
    low, high = found
    least = max((high - low) / MOST_RANGES, 1.0 if numbers == "whole" else 1e-300)
    power = 10.0 ** math.floor(math.log10(least))
    width = next(w for w in (power, 2 * power, 5 * power, 10 * power, 20 * power) if high // w - low // w < MOST_RANGES)
    first, last, less = int(low // width), int(high // width), int(numbers == "whole")
    ends = [f"{k * width:.0f}" if width >= 1 else f"{k * width:.12g}" for k in range(first, last + 1)]
    names = [f"{end} to {(k + 1) * width - less:.12g}" for k, end in enumerate(ends, first)] if width > less else ends
    names = names if sorted(names) == names else [f"{n:02}: {name}" for n, name in enumerate(names, 1)]
    texts, place = ", ".join(map(literal, names)), f"CAST(floor({{t}} / '{width!r}'::DOUBLE) AS BIGINT) - {first - 1}"
    return Period(f"ranges of {width:.12g}", f"CASE WHEN isfinite({{t}}) THEN ([{texts}])[{place}] END")


def _type_of_id(sources: Sequence[Source], names: Sequence[str]) -> str | None:
    """The type in which an id column is compared; None compares as it is."""
    kinds: dict[str, str] = {}
    untyped_text = ""
    for source, name in zip(sources, names, strict=True):
        kind = source.family(name)
        if source.untyped:
            untyped_text = untyped_text or (f"{source.name} has text in {name!r}" if kind != "integer" else "")
        elif kind in ("integer", "text", "boolean", "time"):
            kinds.setdefault(kind, f"{source.name} has {source.columns[name]} in {name!r}")
        else:
            raise BadInput(
                f"{source.name}: id column {name!r} has type {source.columns[name]}, which does not identify rows exactly; "
                "write ids as integers or text, or pass another column to --id"
            )
    if len(kinds) > 1 or (untyped_text and "integer" in kinds):
        told = ", ".join([*kinds.values(), untyped_text] if len(kinds) == 1 else kinds.values())
        raise BadInput(f"ids differ in type: {told}; 7 and '7' are different ids, so write them alike in all files")
    types = {source.columns[name] for source, name in zip(sources, names, strict=True)}
    if "text" in kinds or untyped_text or "UHUGEINT" in types:
        return "VARCHAR"
    if len(types) == 1 and not any(source.untyped for source in sources):
        return None
    typed = [source.columns[name] for source, name in zip(sources, names, strict=True) if not source.untyped]
    return typed[0] if "time" in kinds or "boolean" in kinds else _common_type(types)


def _common_type(types: Collection[str]) -> str:
    """A type in which values of several types can be compared.

    >>> _common_type({"INTEGER"}), _common_type({"INTEGER", "BIGINT"}), _common_type({"BIGINT", "VARCHAR"})
    ('INTEGER', 'BIGINT', 'VARCHAR')
    """
    if len(set(types)) == 1:
        return next(iter(types))
    if any(family(kind) != "integer" for kind in types):
        return "VARCHAR"
    return "HUGEINT" if set(types) & {"HUGEINT", "UBIGINT", "UHUGEINT"} else "BIGINT"


@dataclass(frozen=True)
class _Cells:
    """SQL over the columns of a source that is in a FROM clause under a name."""

    name: str
    source: Source

    def cell(self, column: str) -> str:
        """A column as it is."""
        return f"{self.name}.{self.source.cell(column)}"

    def number(self, column: str) -> str:
        """A column as a float64; what cannot be converted becomes NULL, which is only possible in text."""
        return f"{'TRY_CAST' if self.source.untyped else 'CAST'}({self.cell(column)} AS DOUBLE)"

    def is_number(self, column: str) -> str:
        """True where a number is not NaN. (DuckDB answers isnan from a file's statistics, which leave NaN out.)"""
        return f"(isfinite({self.number(column)}) OR isinf({self.number(column)}))"

    def time(self, column: str) -> str:
        """A column of time: a number, or a timestamp."""
        kind, cell = self.source.columns[column], self.cell(column)
        if self.source.family(column) in ("integer", "number"):
            return self.number(column)
        return f"CAST({f'timezone({chr(39)}UTC{chr(39)}, {cell})' if kind == 'TIMESTAMP WITH TIME ZONE' else cell} AS TIMESTAMP)"

    def cluster(self, columns: Sequence[str], types: Sequence[str]) -> str:
        """The cluster of a row; NULL where a part of it is missing."""
        parts = []
        for column, kind in zip(columns, types, strict=True):
            cell = self.cell(column)
            if self.source.family(column) == "number":
                cell = f"CASE WHEN {self.is_number(column)} THEN {cell} END"
            parts.append(cell if kind == self.source.columns[column] and not self.source.untyped else f"CAST({cell} AS {kind})")
        return (
            parts[0]
            if len(parts) == 1
            else f"CASE WHEN {all_of(f'{p} IS NOT NULL' for p in parts)} THEN row({', '.join(parts)}) END"
        )

    def class_of(self, column: str, names: tuple[str, ...] | None) -> str:
        """The class 0 … K−1 of a label; NULL where it is none."""
        cell, kind = self.cell(column), self.source.family(column)
        if kind == "boolean":
            at = [name.lower() for name in names or ("false", "true")]
            codes = [at.index(truth) if truth in at else "NULL" for truth in ("true", "false")]
            return f"CASE CAST({cell} AS BOOLEAN) WHEN true THEN {codes[0]} WHEN false THEN {codes[1]} END"
        if names is not None and (kind == "text" or all(name.lstrip("-").isdigit() for name in names)):
            return f"CAST(enum_code(TRY_CAST(CAST({cell} AS VARCHAR) AS class_names)) AS BIGINT)"
        if kind == "number":
            value = self.number(column)
            return f"CASE WHEN isfinite({value}) AND {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
        whole = self.source.columns[column] in ("INTEGER", "BIGINT") and not self.source.untyped
        return cell if whole else f"TRY_CAST({cell} AS BIGINT)"

    def predictions(self, layout: Layout, names: tuple[str, ...] | None) -> dict[str, str]:
        """The columns of the predictions."""
        if layout.kind == "columns":
            return {f"k{k}": self.number(column) for k, column in enumerate(layout.columns)}
        column = layout.columns[0]
        if layout.kind == "list":
            cell = f"CAST({self.cell(column)} AS DOUBLE[])"
            fits = f"CASE WHEN len({cell}) = {layout.classes} THEN"
            order = layout.order or range(layout.classes or 0)
            if layout.logits:
                return {f"k{n}": f"{fits} {cell}[{k + 1}] END" for n, k in enumerate(order)}
            return {"l": f"{fits} [{', '.join(f'{cell}[{k + 1}]' for k in order)}] END" if layout.order else cell}
        if layout.kind == "votes":
            return {"v": self.class_of(column, names)}
        if layout.kind == "regression":
            return {"x": self.number(column)}
        return {"s": f"1 / (1 + exp(-{self.number(column)}))" if layout.logits else self.number(column)}


def _softmax(body: str, every: Sequence[str]) -> str:
    """The same rows with k0 … turned from logits into probabilities; NULL and NaN stay so and are refused later."""
    shifted, divided = (", ".join(f"{sql.format(k=k)} AS {k}" for k in every) for sql in ("exp({k} - top)", "{k} / total"))
    return (
        f"SELECT * EXCLUDE (top, total) REPLACE ({divided}) FROM (SELECT *, {' + '.join(every)} AS total FROM "
        f"(SELECT * REPLACE ({shifted}) FROM (SELECT *, greatest({', '.join(every)}) AS top FROM ({body}))))"
    )


def probabilities(view: View, cell: Cell) -> list[str]:
    """The SQL of each class's probability; none for predicted labels and regressions."""
    first = view.predictions[0]
    if first == "s":
        return [f"1 - {cell('s')}", cell("s")]
    if first == "l":
        return [f"{cell('l')}[{k + 1}]" for k in range(view.layout.classes or 0)]
    return [cell(k) for k in view.predictions] if first.startswith("k") else []


def vote(view: View, cell: Cell) -> str:
    """The SQL of the predicted class: argmax, ties to the lowest class."""
    first, probs = view.predictions[0], probabilities(view, cell)
    if not probs:
        return cell("v")
    if first == "s":  # s > 1 - s exactly where s > 1/2, in floating point too
        return f"CAST({probs[1]} > 0.5::DOUBLE AS INTEGER)"
    if len(probs) == 2:
        return f"CAST({probs[1]} > {probs[0]} AS INTEGER)"
    row = cell("l") if first == "l" else f"[{', '.join(probs)}]"
    return f"CAST(list_position({row}, list_max({row})) - 1 AS BIGINT)"


def flat(views: Sequence[View], source: str) -> str:
    """The SQL of every column c of every file m, named c_m, over a FROM clause of their scans."""
    columns = [f"{sql} AS {c}_{m}" for m, view in enumerate(views) for c, sql in view.cells.items() if c != "r"]
    return f"SELECT {', '.join(columns)} FROM {source}"


def shared_columns(views: Sequence[View]) -> dict[str, list[int]]:
    """Each column that belongs to the example and not to a model (y, w, c, t, g0 …), and the files that have it."""
    names = dict.fromkeys(c for view in views for c in view.cells if c in ("y", "w", "c", "t") or c.startswith("g"))
    return {name: [m for m, view in enumerate(views) if name in view.cells] for name in names}


def relation(views: Sequence[View], source: str, *, first_suffices: bool, everything: bool = False) -> str:
    """A SELECT of the aligned rows: i0 …, y, w, g0 …, c, t, and for file m p{m}_{k} and v{m}, x{m} or h{m}.

    Args:
        source: what follows FROM; its columns are named as `flat` names them.
        first_suffices: the first file with labels has one in every row, so that no other is read for them.
        everything: also the columns of the source.
    """
    columns = {"y": "NULL::BIGINT", "w": "1.0::DOUBLE"} | {i: f"{i}_0" for i in views[0].ids}
    for name, files in shared_columns(views).items():
        cells = [f"{name}_{m}" for m in files]
        alone = len(cells) == 1 or name == "w" or (name == "y" and first_suffices)
        columns[name] = cells[0] if alone else f"coalesce({', '.join(cells)})"
    for m, view in enumerate(views):
        cell = f"{{}}_{m}".format
        if view.predictions[0] in ("x", "h"):
            columns[f"{view.predictions[0]}{m}"] = cell(view.predictions[0])
            continue
        columns |= {f"p{m}_{k}": sql for k, sql in enumerate(probabilities(view, cell))}
        columns[f"v{m}"] = vote(view, cell)
    return f"SELECT {', '.join([*(f'{sql} AS {name}' for name, sql in columns.items()), *(['*'] if everything else [])])} FROM {source}"


@dataclass(frozen=True)
class Fault:
    """A condition no row may meet, what to report of the rows that do, what to show of the first, and what to do.

    Attributes:
        sum: where all rows meet it only if this sum is not finite, the cheaper test of many rows.
    """

    condition: str
    says: str
    shows: str
    advice: str
    sum: str | None = None


def faults(view: View, cell: Cell) -> list[Fault]:
    """What the rows of a file may not hold, in the order in which it is reported.

    DuckDB decides comparisons from a file's statistics where it can, and these leave NaN out: a column with minimum 0 and maximum 1
    passes "between 0 and 1" unread. `isfinite` and sums have no such short cut, so NaN has a fault of its own.
    """
    layout, columns = view.layout, [cell(k) for k in view.predictions]
    first, kind, one = columns[0], layout.kind, layout.columns[0]
    found = []
    if view.ids:
        missing = any_of(f"{cell(i)} IS NULL" for i in view.ids)
        found.append(Fault(missing, "have no id", "'NULL'", "every row needs one; remove them or choose another --id"))
    every, emits = (
        "every replica must predict every row",
        "find out why the model emits them, or leave those rows out of all files",
    )
    logits, sums = "pass --logits if these are logits", "choose the columns with --probs, or pass --logits if these are logits"
    if view.predictions == ("l",):
        length = f"{first} IS NULL OR len({first}) <> {layout.classes}"
        total, unequal = f"list_sum({first})", f"do not have {layout.classes} probabilities, as the first row has"
        found += [
            Fault(length, unequal, f"coalesce(len({first}) || ' entries', 'missing')", "every row needs one for each class"),
            Fault(f"len({first}) <> list_count({first})", "have a missing probability", first, every),
            Fault(f"NOT isfinite({total})", "have a probability that is NaN or infinite", first, emits, sum=total),
            Fault(f"list_min({first}) < 0", "have a negative probability", first, logits),
        ]
    elif kind == "votes":
        found.append(Fault(f"{first} IS NULL", f"have no predicted label in {one!r}", "'no class'", every))
        found.append(Fault(f"{first} < 0", "have a negative predicted label", first, "classes count from 0"))
    else:
        total = " + ".join(columns)
        what = "a logit" if layout.logits else "a prediction" if kind == "regression" else "a probability"
        no_number = "is missing or not a number" if view.source.untyped else "is missing"
        shown = f"concat_ws(', ', {', '.join(f'coalesce({c}::VARCHAR, {chr(39)}missing{chr(39)})' for c in columns[:12])})"
        found.append(Fault(any_of(f"{c} IS NULL" for c in columns), f"have {what} that {no_number}", shown, every))
        infinite = any_of(f"NOT isfinite({c})" for c in columns)
        found.append(Fault(infinite, f"have {what} that is NaN or infinite", shown, emits, sum=total))
        if kind == "score":
            advice = "pass --logits if it is a logit, --regression if it is not a probability"
            found.append(Fault(f"{first} < 0 OR {first} > 1", f"have a score in {one!r} outside [0, 1]", first, advice))
        elif kind == "columns":
            found.append(Fault(any_of(f"{c} < 0" for c in columns), "have a negative probability", shown, logits))
    if kind in ("columns", "list"):
        unequal = "have probabilities that do not sum to 1"
        found.append(Fault(f"abs({total} - 1) > {SUM_TOLERANCE}", unequal, f"'sum ' || ({total})", sums))
    if layout.label is not None and kind == "regression":
        bad = f"{cell('raw_y')} AND ({cell('y')} IS NULL OR isinf({cell('y')}))"
        found.append(Fault(bad, "have a label that is not a finite number", cell("y"), "fix or remove them"))
    elif layout.label is not None:
        top = layout.classes
        outside = f"{cell('y')} < 0" + (f" OR {cell('y')} >= {top}" if top is not None else "")
        whole = view.cells["raw_y"] == f"{view.cells['y']} IS NOT NULL"  # then no label is lost by being read as a class
        condition = outside if whole else f"{cell('raw_y')} AND ({cell('y')} IS NULL OR {outside})"
        says = f"have a label in {layout.label!r} that is not one of the classes {f'0 … {top - 1}' if top is not None else '0, 1, 2 …'}"
        advice = "classes count from 0; pass another --label, or --classes with the names of the classes"
        found.append(Fault(condition, says, cell("y"), advice))
    if layout.weight is not None:
        bad, says = (
            f"{cell('w')} IS NULL OR NOT isfinite({cell('w')}) OR {cell('w')} < 0",
            "that is missing, negative or not finite",
        )
        found.append(Fault(bad, f"have a weight in {layout.weight!r} {says}", cell("w"), "weights are numbers >= 0"))
    for role, columns, advice in (
        (
            "cluster",
            layout.cluster,
            "every row needs a cluster; give rows that stand alone a cluster of their own, or leave out --cluster",
        ),
        ("draw", (layout.draws,) if layout.draws else (), "every row needs a draw, so that no draw of an item counts twice"),
    ):
        if columns:
            says = f"have no {role} in {' + '.join(map(repr, columns))}"
            found.append(Fault(f"{cell(role[0])} IS NULL", says, "'missing'", advice))
    return found


def suspicious(view: View, cell: Cell) -> str:
    """An aggregate over all rows, cheap in one pass with other sums, that is 0 only where `check_contents` finds no fault.

    It may be above 0 without a fault: a sum overflows, or a join found no partner for a row.
    """
    every = faults(view, cell)
    parts = [f"coalesce(count_if({any_of(fault.condition for fault in every if fault.sum is None)}), 0)"]
    parts += [f"CAST(NOT isfinite(coalesce(sum({fault.sum}), 0)) AS BIGINT)" for fault in every if fault.sum is not None]
    parts += [f"CAST(coalesce(sum({cell('w')}), 0) = 0 AS BIGINT)"] if view.layout.weight else []
    return " + ".join(parts)


def check_contents(session: Session, view: View) -> None:
    """Read a file once, in parallel, and raise `BadInput` where a row cannot be measured, with a count and the first row."""
    name, doing, every = view.source.name, f"{view.source.name}: reading", faults(view, str)
    counts = ", ".join(f"count(*) FILTER ({fault.condition})" for fault in every)
    weight = "sum(w)" if view.layout.weight else "1"
    ((total, of_weight, *bad),) = session.rows(f"SELECT count(*), {weight}, {counts} FROM {view.name}", doing=doing)
    for fault, count in zip(every, bad, strict=True):
        if count:
            # found by an aggregate: a WHERE would skip row groups whose statistics know nothing of NaN
            ((row,),) = session.rows(f"SELECT min(r) FILTER ({fault.condition}) FROM {view.name}", doing=doing)
            ids = "".join(f", {i}" for i in view.ids)
            sql = f"SELECT CAST({fault.shows} AS VARCHAR){ids} FROM {view.name} WHERE r = {row}"
            shown, *values = session.rows(sql, doing=doing)[0]
            where = f", id {show_id(values)}" if values and None not in values else ""
            told = f"{name}: {count:,} of {total:,} rows {fault.says}"
            raise BadInput(
                f"{told} (first: row {row:,}{where}: {shown}); {fault.advice}", without_cells=f"{told}; {fault.advice}"
            )
    if of_weight == 0:
        raise BadInput(f"{name}: all weights in {view.layout.weight!r} are zero; at least one row must count")


def show_id(values: Sequence[Any]) -> str:
    """An id for messages.

    >>> show_id(("a17",)), show_id((3, "x"))
    ("'a17'", "(3, 'x')")
    """
    shown = [repr(v) if isinstance(v, int | str) else str(v) for v in values]
    shown = [text if len(text) <= 60 else text[:60] + "…" for text in shown]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
