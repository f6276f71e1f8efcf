"""Every file as a view with the same column names, whatever its layout: what the rest of the package reads.

r is the row number; i0, i1 … the ids; y the label as a class; raw_y whether one was given; w the weight; g0, g1 … the
groups, time last; c the cluster; t the time; k0, k1 … or l, s, v, x the predictions of the five layouts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from traintwice.errors import BadInput
from traintwice.predictions.layout import Layout
from traintwice.predictions.session import Session
from traintwice.predictions.sources import Source
from traintwice.predictions.sql import all_of, identifier
from traintwice.predictions.types_of_columns import family


@dataclass(frozen=True)
class View:
    """A file in canonical form, as the DuckDB view ``name``.

    Attributes:
        over_source: the SQL of each of its columns over ``source.relation AS name``; None where the view has further layers.
    """

    name: str
    source: Source
    layout: Layout
    classes: int | None
    over_source: Mapping[str, str] | None = None

    @property
    def predictions(self) -> tuple[str, ...]:
        """The columns of the predictions."""
        if self.layout.kind == "columns":
            return tuple(f"k{k}" for k in range(len(self.layout.columns)))
        if self.layout.kind == "list":
            return tuple(f"k{k}" for k in range(self.classes or 0)) if self.layout.logits else ("l",)
        return {"score": ("s",), "votes": ("v",), "regression": ("x",)}[self.layout.kind]

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns of the ids."""
        return tuple(f"i{j}" for j in range(len(self.layout.id)))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns but the row number, and raw_y."""
        there = (("y", self.layout.label), ("w", self.layout.weight), ("c", self.layout.cluster), ("t", self.layout.time))
        groups = (f"g{j}" for j in range(len(self.layout.groups)))
        return (*self.ids, *self.predictions, *(c for c, name in there if name), *groups)

    @property
    def label_is_class(self) -> bool:
        """True where labels are read as they stand, so that one that is given is never lost."""
        return self.over_source is not None and self.over_source["raw_y"] == f"{self.over_source['y']} IS NOT NULL"

    def scan(self, rows: tuple[int, int] | None = None) -> str:
        """FROM item of all rows, or of those in a range, over which `cell` is the SQL of a column.

        Nothing is computed below it, so that DuckDB can join files by position as it reads them, without a copy.
        """
        if self.over_source is None:
            table, row = self.name, "r"
        else:
            table, row = f"{self.source.relation} AS {self.name}", self.source.row
        within = f" WHERE {row} >= {rows[0]} AND {row} < {rows[1]}" if rows else ""
        return f"(SELECT * FROM {table}{within}) AS {self.name}"

    def cell(self, column: str) -> str:
        """The SQL of a column over `scan`."""
        return f"{self.name}.{column}" if self.over_source is None else self.over_source[column]


def types_of_ids(sources: Sequence[Source], layouts: Sequence[Layout]) -> tuple[str | None, ...]:
    """The type in which each id column is compared; None compares as it is.

    Raises:
        BadInput: the ids of two files differ in type (7 and "7"), or have a type that cannot identify rows.
    """
    return tuple(_type_of_id(sources, [layout.id[j] for layout in layouts]) for j in range(len(layouts[0].id)))


def _type_of_id(sources: Sequence[Source], names: Sequence[str]) -> str | None:
    kinds: dict[str, tuple[Source, str]] = {}
    untyped_text = False
    types = set()
    for source, name in zip(sources, names, strict=True):
        kind = family(source.columns[name])
        if source.untyped:
            untyped_text |= kind != "integer"
        elif kind in ("integer", "text", "boolean", "time"):
            kinds.setdefault(kind, (source, name))
        else:
            raise BadInput(
                f"{source.name}: id column {name!r} has type {source.columns[name]}, which does not identify rows exactly; "
                "write ids as integers or text, or pass another column to --id"
            )
        types.add(source.columns[name])
    if len(kinds) > 1 or (untyped_text and "integer" in kinds):
        told = [f"{s.name} has {s.columns[n]} in {n!r}" for s, n in kinds.values()]
        if len(told) == 1:
            told += [f"{s.name} has text in {n!r}" for s, n in zip(sources, names, strict=True) if s.untyped][:1]
        raise BadInput(f"ids differ in type: {', '.join(told)}; 7 and '7' are different ids, so write them alike in all files")
    if "text" in kinds or untyped_text or "UHUGEINT" in types:
        return "VARCHAR"
    if len(types) == 1 and not any(source.untyped for source in sources):
        return None
    if "time" in kinds or "boolean" in kinds:
        return next(s.columns[n] for s, n in kinds.values())
    return common_type(types)


def common_type(types: Collection[str]) -> str:
    """A type to which values of several types are brought to be compared.

    >>> common_type({"INTEGER"}), common_type({"INTEGER", "BIGINT"}), common_type({"BIGINT", "VARCHAR"})
    ('INTEGER', 'BIGINT', 'VARCHAR')
    """
    if len(set(types)) == 1:
        return next(iter(types))
    if all(family(t) == "integer" for t in types):
        return "HUGEINT" if set(types) & {"HUGEINT", "UBIGINT", "UHUGEINT"} else "BIGINT"
    return "VARCHAR"


def types_of_clusters(sources: Sequence[Source], layouts: Sequence[Layout]) -> tuple[str, ...]:
    """The type in which each cluster column is read, the same in all files that have it."""
    holding = [(source, layout.cluster) for source, layout in zip(sources, layouts, strict=True) if layout.cluster]
    return tuple(common_type({s.columns[names[j]] for s, names in holding}) for j in range(len(holding[0][1] if holding else ())))


def make_view(
    session: Session,
    number: int,
    source: Source,
    layout: Layout,
    id_types: Sequence[str | None],
    cluster_types: Sequence[str],
    names: tuple[str, ...] | None,
) -> View:
    """Create the view of one file."""
    name = f"f{number}"
    table = Table(name, source)
    select = {"r": f"{name}.{source.row}"}
    for j, (column, kind) in enumerate(zip(layout.id, id_types, strict=True)):
        select[f"i{j}"] = table.cell(column) if kind is None else f"CAST({table.cell(column)} AS {kind})"
    if layout.label is not None:
        as_number = f"CASE WHEN {table.is_number(layout.label)} THEN {table.number(layout.label)} END"
        number_or_nan = family(source.columns[layout.label]) == "number"
        select["raw_y"] = f"{table.cell(layout.label)} IS NOT NULL" + (
            f" AND {table.is_number(layout.label)}" if number_or_nan else ""
        )
        select["y"] = as_number if layout.kind == "regression" else table.class_of(layout.label, names)
    if layout.weight is not None:
        select["w"] = table.number(layout.weight)
    select |= {f"g{j}": f"CAST({table.cell(column)} AS VARCHAR)" for j, column in enumerate(layout.groups)}
    if layout.cluster:
        select["c"] = table.cluster(layout.cluster, cluster_types)
    if layout.time is not None:
        select["t"] = table.cell(layout.time)
    classes = layout.classes
    select |= _predictions(table, layout, classes, names)
    body = f"SELECT {', '.join(f'{sql} AS {column}' for column, sql in select.items())} FROM {source.relation} AS {name}"
    layered = layout.logits and layout.kind in ("columns", "list")
    if layered:
        body = _softmax(body, classes or 0)
    session.rows(f"CREATE VIEW {name} AS {body}", doing=f"{source.name}: reading")
    if classes is None and names is not None:
        classes = len(names)
    return View(name, source, layout, classes, None if layered else select)


def length_of_first(session: Session, source: Source, layout: Layout) -> int:
    """Entries of the first list of a file.

    Raises:
        BadInput: fewer than two.
    """
    cell = identifier(layout.columns[0])
    found = session.rows(
        f"SELECT len({cell}) FROM {source.relation} WHERE {cell} IS NOT NULL LIMIT 1", doing=f"{source.name}: reading"
    )
    if not found or found[0][0] < 2:
        what = f"has {found[0][0]} entries in its first row" if found else "is missing in every row"
        raise BadInput(
            f"{source.name}: the list {layout.columns[0]!r} {what}; expected one probability for each of two or more classes"
        )
    return int(found[0][0])


@dataclass(frozen=True)
class Table:
    """SQL over the columns of a source that stands in a FROM clause under a name."""

    name: str
    source: Source

    def cell(self, column: str) -> str:
        """A column as it is."""
        return f"{self.name}.{identifier(column)}"

    def number(self, column: str) -> str:
        """A column as a float64; what cannot be converted becomes NULL, which is only possible in text."""
        return f"{'TRY_CAST' if self.source.untyped else 'CAST'}({self.cell(column)} AS DOUBLE)"

    def cluster(self, columns: Sequence[str], types: Sequence[str]) -> str:
        """The cluster of a row; NULL where a part of it is missing."""
        parts = []
        for column, kind in zip(columns, types, strict=True):
            cell = self.cell(column)
            if family(self.source.columns[column]) == "number":
                cell = f"CASE WHEN {self.is_number(column)} THEN {cell} END"
            parts.append(cell if kind == self.source.columns[column] and not self.source.untyped else f"CAST({cell} AS {kind})")
        if len(parts) == 1:
            return parts[0]
        return f"CASE WHEN {all_of(f'{p} IS NOT NULL' for p in parts)} THEN row({', '.join(parts)}) END"

    def is_number(self, column: str) -> str:
        """True where a number is not NaN. (DuckDB answers isnan from a file's statistics, which leave NaN out.)"""
        value = self.number(column)
        return f"(isfinite({value}) OR isinf({value}))"

    def class_of(self, column: str, names: tuple[str, ...] | None) -> str:
        """The class 0 … K−1 of a label; NULL where it is none."""
        cell, kind = self.cell(column), family(self.source.columns[column])
        if kind == "boolean" and names is not None:
            at = [name.lower() for name in names]
            codes = [at.index(truth) if truth in at else "NULL" for truth in ("true", "false")]
            return f"CASE CAST({cell} AS BOOLEAN) WHEN true THEN {codes[0]} WHEN false THEN {codes[1]} END"
        if kind == "boolean":
            return f"CAST(CAST({cell} AS BOOLEAN) AS BIGINT)"
        if names is not None and (kind == "text" or all(name.lstrip("-").isdigit() for name in names)):
            return f"CAST(enum_code(TRY_CAST(CAST({cell} AS VARCHAR) AS class_names)) AS BIGINT)"
        if kind == "number":
            value = self.number(column)
            return f"CASE WHEN isfinite({value}) AND {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
        whole = self.source.columns[column] in ("INTEGER", "BIGINT") and not self.source.untyped
        return cell if whole else f"TRY_CAST({cell} AS BIGINT)"


def _predictions(table: Table, layout: Layout, classes: int | None, names: tuple[str, ...] | None) -> dict[str, str]:
    if layout.kind == "columns":
        return {f"k{k}": table.number(column) for k, column in enumerate(layout.columns)}
    (column,) = layout.columns
    if layout.kind == "list":
        cell = table.cell(column)
        whole = f"CAST({cell} AS DOUBLE[])"
        order = layout.order or range(classes or 0)
        if not layout.logits:
            entries = ", ".join(f"{whole}[{k + 1}]" for k in order)
            return {"l": f"CASE WHEN len({cell}) = {classes} THEN [{entries}] END" if layout.order else whole}
        return {f"k{n}": f"CASE WHEN len({cell}) = {classes} THEN {whole}[{k + 1}] END" for n, k in enumerate(order)}
    if layout.kind == "votes":
        return {"v": table.class_of(column, names)}
    value = table.number(column)
    if layout.kind == "score" and layout.logits:
        value = f"1 / (1 + exp(-{value}))"
    return {"s" if layout.kind == "score" else "x": value}


def _softmax(body: str, classes: int) -> str:
    """The same rows with k0 … turned from logits into probabilities; NULL and NaN stay so and are refused later."""
    every = [f"k{k}" for k in range(classes)]
    shifted = ", ".join(f"exp({k} - top) AS {k}" for k in every)
    divided = ", ".join(f"{k} / total AS {k}" for k in every)
    return (
        f"SELECT * EXCLUDE (top, total) REPLACE ({divided}) FROM (SELECT *, {' + '.join(every)} AS total FROM "
        f"(SELECT * REPLACE ({shifted}) FROM (SELECT *, greatest({', '.join(every)}) AS top FROM ({body}))))"
    )
