"""Every file as a view with the same column names, whatever its layout, and what its cells must hold.

r is the row number; i0, i1 … the ids; y the label as a class; raw_y whether there is one; w the weight; g0, g1 … the groups, time
last; o0, o1 … columns to show; c the cluster; t the time; d the draw; k0, k1 … or l, s, v, x the predictions of the five layouts;
h draws of an item by class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from traintwice.errors import BadInput
from traintwice.predictions._classes import Names
from traintwice.predictions._layout import Layout
from traintwice.predictions._reading import Reading, groups_of
from traintwice.predictions._session import Session, all_of, identifier
from traintwice.predictions._source import WIDE, Source, family


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
            from traintwice.predictions._periods import time_of

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
            if layout.logits and (layout.classes or 0) <= WIDE:
                return {f"k{n}": f"{fits} {cell}[{k + 1}] END" for n, k in enumerate(order)}
            return {"l": f"{fits} [{', '.join(f'{cell}[{k + 1}]' for k in order)}] END" if layout.order else cell}
        if layout.kind == "votes":
            return {"v": self.class_of(column, names)}
        score = f"1 / (1 + exp(-{self.number(column)}))" if layout.logits else self.number(column)
        return {"x": self.number(column)} if layout.kind == "regression" else {"s": score}


def _softmax(body: str, every: Sequence[str]) -> str:
    """The same rows with k0 … turned from logits into probabilities; NULL and NaN stay so and are refused later."""
    if list(every) == ["l"]:
        shifted, divided = (f"list_transform(l, lambda e: {sql}) AS l" for sql in ("exp(e - top)", "e / total"))
        top, total = "list_max(l)", "list_sum(l)"
    else:
        top, total = (
            f"greatest({', '.join(every)})",
            " + ".join(every) if len(every) <= WIDE else f"list_sum([{', '.join(every)}])",
        )
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
        absent = all_of(f"{c} IS NULL{f' OR isnan({c})' if number else ''}" for c in view.predictions)
    # an aggregate, since a WHERE skips row groups by their statistics, which leave NaN out
    ((count,),) = session.rows(f"SELECT count(*) FILTER ({absent}) FROM {name}", doing=doing)
    if not count:
        return view
    sql = f"SELECT * EXCLUDE (absent) FROM (SELECT *, ({absent}) AS absent FROM {name}) WHERE NOT absent"
    session.rows(f"CREATE TABLE answered_{name} AS {sql}", doing=doing)
    return replace(view.over(f"answered_{name}", "rowid"), unanswered=count)
