"""Every file as a view with the same column names, whatever its layout, and what its cells must hold.

r is the row number; i0, i1 … the ids; y the label as a class; raw_y whether there is one; w the weight; g0, g1 … the groups, time
last; o0, o1 … columns to show; c the cluster; t the time; d the draw; k0, k1 … or l, s, v, x the predictions of the five layouts;
h draws of an item by class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from traintwice.errors import BadInput
from traintwice.predictions.checks import PERCENT_TOLERANCE, SUM_TOLERANCE
from traintwice.predictions.classes import Names
from traintwice.predictions.layout import Layout
from traintwice.predictions.reading import Reading, groups_of
from traintwice.predictions.session import Session, all_of, any_of, identifier, show_id
from traintwice.predictions.sources import WIDE, Source, family


@dataclass(frozen=True)
class View:
    """A file in canonical form, as the DuckDB view ``name``.

    Attributes:
        ids, predictions: the columns of the ids and of the predictions.
        table, row: what `scan` reads, and the SQL of its row number.
        cells: the SQL of each column over `scan`.
        names: what the file calls the columns y, w, c, t, g0 ….
        unanswered: rows that were left out because they hold no prediction.
    """

    name: str
    source: Source
    layout: Layout
    ids: tuple[str, ...]
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
        """The SQL of the predicted class: argmax, ties to the lowest class."""
        first, probs = self.predictions[0], self.probabilities(suffix)
        if not probs:
            return f"v{suffix}"
        if first == "s":  # s > 1 - s exactly where s > 1/2, in floating point too
            return f"CAST({probs[1]} > 0.5::DOUBLE AS INTEGER)"
        if len(probs) == 2:
            return f"CAST({probs[1]} > {probs[0]} AS INTEGER)"
        row = f"l{suffix}" if first == "l" else f"[{', '.join(probs)}]"
        return f"CAST(list_position({row}, list_max({row})) - 1 AS BIGINT)"

    def over(self, name: str, row: str = "r") -> View:
        """The same columns in a table or view that has them by name, with a row number."""
        return replace(self, name=name, table=name, row=row, cells={column: f"{name}.{column}" for column in self.cells})


def make_views(
    session: Session, sources: Sequence[Source], layouts: Sequence[Layout], names: Names | None, reading: Reading
) -> tuple[list[View], str | None]:
    """Create the view of every file, with labels as classes of these names.

    Returns:
        The views, and how time is cut ("week"); None without a time.
    Raises:
        BadInput: the ids of two files differ in type, or a column of time holds something else.
    """
    groups = groups_of(reading)
    ids = [_type_of_id(sources, [layout.id[j] for layout in layouts]) for j in range(len(layouts[0].id))]
    holding = [(source, layout.cluster) for source, layout in zip(sources, layouts, strict=True) if layout.cluster]
    clusters = [
        _common_type({s.columns[columns[j]] for s, columns in holding}) for j in range(len(holding[0][1] if holding else ()))
    ]
    views, period = [], None
    for number, (source, layout) in enumerate(zip(sources, layouts, strict=True)):
        name, relation = f"f{number}", f"{source.relation} AS f{number}"
        of = _Cells(name, source)
        cells = {"r": f"{name}.{source.row}"}
        for j, (column, kind) in enumerate(zip(layout.id, ids, strict=True)):
            cells[f"i{j}"] = of.cell(column) if kind is None else f"CAST({of.cell(column)} AS {kind})"
        if layout.label is not None:
            given = of.given(layout.label)
            cells["y"] = of.number(layout.label, given) if layout.kind == "regression" else of.class_of(layout.label, names)
            cells["raw_y"] = f"{given} IS NOT NULL"
        if layout.weight is not None:
            cells["w"] = of.number(layout.weight)
        if layout.cluster:
            cells["c"] = of.cluster(layout.cluster, clusters)
        if layout.draws is not None:
            cells["d"] = f"CAST({of.given(layout.draws)} AS VARCHAR)"
        if layout.time is not None:
            from traintwice.predictions.periods import time_of

            cells["t"], period = time_of(session, source, layout.time, of.cell(layout.time), relation, period)
            cells[f"g{len(groups) - 1}"] = period.sql.format(t=cells["t"])
        for letter, wanted, have in (("g", groups, layout.by), ("o", reading["show"], layout.show)):
            cells |= {f"{letter}{j}": f"CAST({of.cell(c)} AS VARCHAR)" for j, c in enumerate(wanted) if c in have}
        predicted = of.predictions(layout, names)
        cells |= predicted
        body = f"SELECT {', '.join(f'{sql} AS {column}' for column, sql in cells.items())} FROM {relation}"
        layered = layout.logits and layout.kind in ("columns", "list")
        body = _softmax(body, list(predicted)) if layered else body
        session.rows(f"CREATE VIEW {name} AS {body}", doing=f"{source.name}: reading")
        shared = {"y": layout.label, "w": layout.weight, "c": " + ".join(layout.cluster), "t": layout.time}
        shared |= {f"g{j}": group for j, group in enumerate(groups)}
        called = {column: of_user for column, of_user in shared.items() if of_user and column in cells}
        keys = tuple(c for c in cells if c[0] == "i")
        view = View(name, source, layout, keys, tuple(predicted), relation, source.row, cells, called)
        views.append(view.over(name) if layered else view)
    return views, None if period is None else period.name


def _type_of_id(sources: Sequence[Source], names: Sequence[str]) -> str | None:
    """The type in which an id column is compared without loss; None compares as it is."""
    kinds: dict[str, str] = {}
    text = ""
    types = [source.columns[name] for source, name in zip(sources, names, strict=True)]
    for source, name, kind in zip(sources, names, types, strict=True):
        if source.untyped:
            text = text or (f"{source.name} has text in {name!r}" if family(kind) != "integer" else "")
        elif family(kind) in ("integer", "text", "boolean", "time"):
            kinds.setdefault(kind if family(kind) == "time" else family(kind), f"{source.name} has {kind} in {name!r}")
        else:
            raise BadInput(
                f"{source.name}: id column {name!r} has type {kind}, which does not identify rows exactly; "
                "write ids as integers or text, or pass another column to --id"
            )
    if len(kinds) > 1 or (text and "integer" in kinds):
        told = ", ".join([*kinds.values(), text] if len(kinds) == 1 else kinds.values())
        advice = "7 and '7' are different ids, and so are a date and a time, or times of different precision or zone"
        raise BadInput(f"ids differ in type: {told}; {advice}. Write ids in the same type in all files")
    if "text" in kinds or text or "UHUGEINT" in types:
        return "VARCHAR"
    return None if len(set(types)) == 1 and not any(s.untyped for s in sources) else _common_type(set(types))


def _common_type(types: set[str]) -> str:
    """A type in which values of several types can be compared.

    >>> _common_type({"INTEGER"}), _common_type({"INTEGER", "BIGINT"}), _common_type({"BIGINT", "VARCHAR"})
    ('INTEGER', 'BIGINT', 'VARCHAR')
    """
    if len(types) == 1:
        return next(iter(types))
    if any(family(kind) != "integer" for kind in types):
        return "VARCHAR"
    return "HUGEINT" if types & {"HUGEINT", "UBIGINT", "UHUGEINT"} else "BIGINT"


@dataclass(frozen=True)
class _Cells:
    """SQL over the columns of a source that is in a FROM clause under a name."""

    name: str
    source: Source

    def cell(self, column: str) -> str:
        """A column as it is."""
        return self.source.cell(column, self.name)

    def number(self, column: str, cell: str | None = None) -> str:
        """A column (or its given cells) as a float64; what cannot be converted becomes NULL, which is only possible in text."""
        return f"{'TRY_CAST' if self.source.untyped else 'CAST'}({cell or self.cell(column)} AS DOUBLE)"

    def given(self, column: str) -> str:
        """A column as it is, NULL where a number is NaN. (DuckDB answers isnan from a file's statistics, which leave NaN out.)"""
        if family(self.source.columns[column]) != "number":
            return self.cell(column)
        number = self.number(column)
        return f"CASE WHEN isfinite({number}) OR isinf({number}) THEN {self.cell(column)} END"

    def cluster(self, columns: Sequence[str], types: Sequence[str]) -> str:
        """The cluster of a row; NULL where a part of it is missing."""
        parts = [f"CAST({self.given(column)} AS {kind})" for column, kind in zip(columns, types, strict=True)]
        if len(parts) == 1:
            return parts[0]
        fields = ", ".join(f"{identifier(column)} := {part}" for column, part in zip(columns, parts, strict=True))
        return f"CASE WHEN {all_of(f'{p} IS NOT NULL' for p in parts)} THEN struct_pack({fields}) END"

    def class_of(self, column: str, names: tuple[str, ...] | None) -> str:
        """The class 0 … K−1 of a label; NULL where it is none."""
        cell, kind, value = self.cell(column), family(self.source.columns[column]), self.number(column)
        if kind == "boolean":
            at = [name.lower() for name in names or ("false", "true")]
            codes = [at.index(truth) if truth in at else "NULL" for truth in ("true", "false")]
            return f"CASE CAST({cell} AS BOOLEAN) WHEN true THEN {codes[0]} WHEN false THEN {codes[1]} END"
        if names is not None and (kind == "text" or all(name.lstrip("-").isdigit() for name in names)):
            return f"CAST(enum_code(TRY_CAST(CAST({cell} AS VARCHAR) AS class_names)) AS BIGINT)"
        if kind == "number":
            return f"CASE WHEN isfinite({value}) AND {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
        whole = self.source.columns[column] in ("INTEGER", "BIGINT") and not self.source.untyped
        return cell if whole else f"TRY_CAST({cell} AS BIGINT)"

    def predictions(self, layout: Layout, names: tuple[str, ...] | None) -> dict[str, str]:
        """The columns of the predictions."""
        if layout.kind == "columns":
            return {f"k{k}": self.number(column) for k, column in enumerate(layout.columns)}
        column = layout.columns[0]
        if layout.kind == "list":
            cell, order = f"CAST({self.cell(column)} AS DOUBLE[])", layout.order or range(layout.classes or 0)
            fits = f"CASE WHEN len({cell}) = {layout.classes} THEN"
            if layout.logits:
                return {f"k{n}": f"{fits} {cell}[{k + 1}] END" for n, k in enumerate(order)}
            return {"l": f"{fits} [{', '.join(f'{cell}[{k + 1}]' for k in order)}] END" if layout.order else cell}
        if layout.kind == "votes":
            return {"v": self.class_of(column, names)}
        score = f"1 / (1 + exp(-{self.number(column)}))" if layout.logits else self.number(column)
        return {"x": self.number(column)} if layout.kind == "regression" else {"s": score}


def _softmax(body: str, every: Sequence[str]) -> str:
    """The same rows with k0 … turned from logits into probabilities; NULL and NaN stay so and are refused later."""
    total = " + ".join(every) if len(every) <= WIDE else f"list_sum([{', '.join(every)}])"
    shifted, divided = ", ".join(f"exp({k} - top) AS {k}" for k in every), ", ".join(f"{k} / total AS {k}" for k in every)
    return (
        f"SELECT * EXCLUDE (top, total) REPLACE ({divided}) FROM (SELECT *, {total} AS total FROM "
        f"(SELECT * REPLACE ({shifted}) FROM (SELECT *, greatest({', '.join(every)}) AS top FROM ({body}))))"
    )


def without_unanswered(session: Session, view: View) -> View:
    """The view without rows in which every prediction is missing or NaN: such rows hold no answer of the model."""
    name, doing = view.name, f"{view.source.name}: leaving out rows without a prediction"
    if view.predictions == ("l",):
        absent = "coalesce(len(list_filter(l, lambda e: NOT isnan(e))), 0) = 0"
    else:
        number = view.layout.kind != "votes"
        absent = all_of(f"{c} IS NULL{f' OR isnan({c})' if number else ''}" for c in view.predictions)
    # an aggregate, since a WHERE skips row groups by their statistics, which leave NaN out
    ((count,),) = session.rows(f"SELECT count(*) FILTER ({absent}) FROM {name}", doing=doing)
    if not count:
        return view
    sql = f"SELECT * EXCLUDE (absent) FROM (SELECT *, ({absent}) AS absent FROM {name}) WHERE NOT absent"
    session.rows(f"CREATE TABLE answered_{name} AS {sql}", doing=doing)
    return replace(view.over(f"answered_{name}", "rowid"), unanswered=count)


@dataclass(frozen=True)
class Fault:
    """A condition that no row may meet, the words for rows that do, what to show of the first of them, and what to do.

    Attributes:
        sum: a sum that is not finite where a row meets the condition: a cheaper test.
        once: the condition on the column that all files share, which suffices where the files agree on it.
    """

    condition: str
    says: str
    shows: str
    advice: str
    sum: str | None = None
    once: str | None = None


def faults(view: View, suffix: str = "") -> list[Fault]:
    """What the rows of a file may not hold, in the order in which it is reported, over columns whose names end in a suffix.

    DuckDB decides comparisons from a file's statistics where it can, and statistics leave NaN out: with minimum 0 and maximum 1 every
    row counts as "between 0 and 1". `isfinite` and sums read the rows, so NaN has a fault of its own.
    """
    layout, columns = view.layout, [k + suffix for k in view.predictions]
    kind, first, one, y, w = layout.kind, columns[0], layout.columns[0], f"y{suffix}", f"w{suffix}"
    every = "every replica must predict every row; --on-missing drop leaves these rows out"
    logits = "pass --logits if these are logits"
    emits = "find out why the model emits them, or leave those rows out of all files"
    found = []
    if view.ids:
        missing = any_of(f"{i}{suffix} IS NULL" for i in view.ids)
        found.append(Fault(missing, "have no id", "'NULL'", "every row needs one; remove them or choose another --id"))
    as_list = view.predictions == ("l",) or len(columns) > WIDE
    first = f"[{', '.join(columns)}]" if len(columns) > WIDE else first
    total = f"list_sum({first})" if as_list else " + ".join(columns)
    if kind == "votes":
        found.append(Fault(f"{first} IS NULL", f"have no predicted label in {one!r}", "'no class'", every))
        found.append(Fault(f"{first} < 0", "have a negative predicted label", first, "classes count from 0"))
    elif as_list:
        length, says = f"{first} IS NULL OR len({first}) <> {layout.classes}", f"do not have {layout.classes} probabilities"
        shown = f"coalesce(len({first}) || ' entries', 'missing')"
        found.append(Fault(length, f"{says}, as the first row has", shown, "every row needs one for each class"))
        some = f"({first})[1:12]"
        found.append(Fault(f"len({first}) <> list_count({first})", "have a missing probability", some, every))
        found.append(Fault(f"NOT isfinite({total})", "have a probability that is NaN or infinite", some, emits, sum=total))
        found.append(Fault(f"list_min({first}) < 0", "have a negative probability", some, logits))
    else:
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
        sums, advice = "have probabilities that do not sum to 1", f"choose the columns with --probs, or {logits}"
        entries = first if as_list else f"[{', '.join(columns)}]"
        fine = f"len(list_filter({entries}, lambda e: abs(100 * e - round(100 * e)) >= 1e-4)) > 0"
        wide = f"abs({total} - 1) > {PERCENT_TOLERANCE * (layout.classes or 0) + 1e-9}"
        found.append(Fault(f"abs({total} - 1) > {SUM_TOLERANCE} AND ({wide} OR {fine})", sums, f"'sum ' || ({total})", advice))
    if layout.label is not None and kind == "regression":
        bad = f"raw_y{suffix} AND ({y} IS NULL OR isinf({y}))"
        found.append(Fault(bad, "have a label that is not a finite number", y, "fix or remove them"))
    elif layout.label is not None:
        among = "0, 1, 2 …" if layout.classes is None else f"0 … {layout.classes - 1}"
        outside = f"{y} < 0" + (f" OR {y} >= {layout.classes}" if layout.classes is not None else "")
        whole = view.cells["raw_y"] == f"{view.cells['y']} IS NOT NULL"  # then no label is lost by being read as a class
        bad = outside if whole else f"raw_y{suffix} AND ({y} IS NULL OR {outside})"
        advice = "classes count from 0; pass another --label, or --classes with the names of the classes"
        once = outside.replace(y, "y") if whole else None
        found.append(Fault(bad, f"have a label in {layout.label!r} that is not one of the classes {among}", y, advice, once=once))
    if layout.weight is not None:
        bad, says = f"{w} IS NULL OR NOT isfinite({w}) OR {w} < 0", "that is missing, negative or not finite"
        found.append(Fault(bad, f"have a weight in {layout.weight!r} {says}", w, "weights are numbers >= 0"))
    if layout.cluster:
        says, advice = f"have no cluster in {view.names['c']!r}", "every row needs a cluster, or none: leave out --cluster"
        found.append(Fault(f"c{suffix} IS NULL", says, "'missing'", advice))
    if layout.draws is not None:
        says, advice = f"have no draw in {layout.draws!r}", "every row needs one, so that no draw of an item counts twice"
        found.append(Fault(f"d{suffix} IS NULL", says, "'missing'", advice))
    return found


def suspicious(view: View, suffix: str) -> str:
    """A cheap aggregate, 0 only where `check_contents` finds no fault without ``once``; above 0 also where a sum overflows."""
    every = faults(view, suffix)
    parts = [f"coalesce(count_if({any_of(fault.condition for fault in every if not fault.sum and not fault.once)}), 0)"]
    parts += [f"CAST(NOT isfinite(coalesce(sum({fault.sum}), 0)) AS BIGINT)" for fault in every if fault.sum is not None]
    parts += [f"CAST(coalesce(sum(w{suffix}), 0) = 0 AS BIGINT)"] if view.layout.weight else []
    return " + ".join(parts)


def check_contents(session: Session, view: View) -> None:
    """Read a file once, in parallel, and raise `BadInput` where a row cannot be measured, with a count and the first row."""
    name, doing, every = view.source.name, f"{view.source.name}: reading", faults(view)
    counts = ", ".join(f"count(*) FILTER ({fault.condition})" for fault in every)
    weight = "sum(w)" if view.layout.weight else "1"
    ((total, of_weight, *bad),) = session.rows(f"SELECT count(*), {weight}, {counts} FROM {view.name}", doing=doing)
    for fault, count in zip(every, bad, strict=True):
        if count:
            # by an aggregate: a WHERE skips row groups by their statistics, which leave NaN out
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
