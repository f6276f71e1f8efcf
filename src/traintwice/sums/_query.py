"""The query that makes a table of sums, for seven dialects of SQL.

The two tables are put below each other and grouped by id, which is a full join that also sees repeated ids. Rows become cells (one for
each combination of state, groups and cluster), cells become slices, and with clusters the slices of each cluster are multiplied
and added. The last step writes one line for each sum. No step is read twice, so that no engine computes one twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Literal, get_args

from traintwice.compare._operating import check_thresholds
from traintwice.errors import BadInput, require, unknown
from traintwice.predictions._checks import LEAST_WEIGHT, MOST_WEIGHT, PERCENT_TOLERANCE, SUM_TOLERANCE
from traintwice.predictions._session import all_of, any_of, identifier, literal
from traintwice.sums._format import (
    COLUMNS, CONFLICTS, DECISIONS, EMPTY, FAULTS, MEANS, VERSION, Description, Kind,
)  # fmt: skip

Dialect = Literal["duckdb", "postgres", "spark", "bigquery", "snowflake", "databricks", "trino"]
Sides = Literal["old", "new", "both"]

SIDES = {"old": (0,), "new": (1,), "both": (0, 1)}
ROLES = ("label", "weight", "by", "cluster")
PLAIN = re.compile(r"[A-Za-z_]\w*")
MOST = 1.7976931348623157e308
LARGEST_CLASS = 2**31


def query(
    old: str,
    new: str,
    *,
    dialect: Dialect,
    id: str | Sequence[str],
    score: str | None = None,
    probs: Sequence[str] | None = None,
    pred: str | None = None,
    label: str | None = None,
    weight: str | None = None,
    by: str | Sequence[str] = (),
    cluster: str | Sequence[str] = (),
    thresholds: Sequence[float] = (),
    classes: Sequence[str] | None = None,
    columns_of: Sides = "old",
) -> str:
    r"""The query whose result `read` takes: a few hundred lines, however many rows the tables have.

    Args:
        old, new: the tables of the old and the new model, or queries in parentheses, as the dialect writes them.
        dialect: "duckdb", "postgres", "spark", "bigquery", "snowflake", "databricks" or "trino".
        id: the columns that together name a row.
        score, probs, pred: one of the three: the column of the probability of class 1; one column for each class; the column of
            predicted labels.
        label, weight, by, cluster: columns of the rows.
        thresholds: decisions "probability of class 1 >= t" of a binary model.
        classes: names of the classes in their order, where labels are text or truth values; without them labels are whole numbers from 0.
        columns_of: the tables that have label, weight, by and cluster: "old", "new" or "both", which must then agree.
    Returns:
        SQL text. Names of columns are quoted (in Snowflake only where they are no plain word, or come in double quotes).
    Raises:
        BadInput: options that exclude each other, or a table that is not one. MissingExtra: SQLGlot is not installed.
    Source:
        Ours; docs/sums.md defines the lines of the result.
    Example:
        >>> text = query("analytics.pred_v1", "analytics.pred_v2", dialect="snowflake", id="id", score="p", label="y")
        >>> "analytics.pred_v1" in text, "UNION ALL" in text
        (True, True)
    """
    asked = query_of(
        (old, new), dialect=dialect, id=id, score=score, probs=probs, pred=pred, label=label, weight=weight, by=by, cluster=cluster,
        thresholds=thresholds, classes=classes, sides=dict.fromkeys(ROLES, SIDES.get(columns_of, ())),
    )  # fmt: skip
    return asked.render(dialect)


def query_of(
    tables: tuple[str, str],
    *,
    dialect: str,
    id: str | Sequence[str],
    score: str | None,
    probs: Sequence[str] | None,
    pred: str | None,
    label: str | None,
    weight: str | None,
    by: str | Sequence[str],
    cluster: str | Sequence[str],
    thresholds: Sequence[float],
    classes: Sequence[str] | None,
    sides: dict[str, tuple[int, ...]],
    names: tuple[str, str] | None = None,
) -> Query:
    """The checked query; see `query`.

    Args:
        sides: the tables that have each role, or "by COLUMN".
        names: of the tables, in the result; None: the tables themselves.
    """
    require("sqlglot", extra="sql", purpose="a query of sums")
    if dialect not in get_args(Dialect):
        raise unknown("dialect", str(dialect), get_args(Dialect))
    if not all(sides.values()):
        raise BadInput("columns_of (--in): expected old, new or both")
    given = {"score": score, "probs": probs, "pred": pred}
    kinds = [name for name, value in given.items() if value]
    if len(kinds) != 1:
        raise BadInput(f"got {' and '.join(kinds) or 'none'} of score, probs and pred; pass the one that says what the tables hold")
    kind: Kind = "score" if score else "probs" if probs else "pred"
    exact: set[str] = set()
    columns = {
        name: _names(name, value, exact)
        for name, value in (("id", id), (kind, given[kind]), ("label", label), ("weight", weight), ("by", by), ("cluster", cluster))
    }
    if not columns["id"]:
        raise BadInput("id: name the column, or the columns, that name a row")
    if kind == "probs" and len(columns[kind]) < 2:
        raise BadInput("probs: got one column, expected one for each class; pass the probability of class 1 as score")
    count = {"score": 2, "probs": len(columns[kind]), "pred": None}[kind]
    texts = None if classes is None else tuple(map(str, classes))
    if texts is not None and (len(set(texts)) < max(len(texts), 2) or count not in (None, len(texts))):
        raise BadInput(f"classes: got {len(texts)} names ({', '.join(texts)}), expected a name of its own for each class")
    count = len(texts) if texts is not None else count
    at = check_thresholds(thresholds)
    if at and (count != 2 or kind == "pred"):
        raise BadInput("thresholds: need the probabilities of two classes")
    one = {name: found[0] if found else None for name, found in columns.items() if name in ("label", "weight")}
    for text in tables:
        table_of(text, dialect, "t")
    description = Description(
        kind, count, texts, *(names or tables), id=columns["id"], predictions=columns[kind], label=one["label"],
        weight=one["weight"], by=columns["by"], cluster=columns["cluster"], thresholds=tuple(dict.fromkeys(at)),
    )  # fmt: skip
    return Query(description, sides, tables, frozenset(exact))


def _names(option: str, given: Any, exact: set[str]) -> tuple[str, ...]:
    """Names of columns; those in double quotes are exact."""
    listed = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    found = []
    for name in listed:
        if not isinstance(name, str) or not name or "\x00" in name:
            raise BadInput(f"{option}: got {name!r}, expected the name of a column")
        quoted = len(name) > 2 and name[0] == name[-1] == '"'
        found.append(name[1:-1].replace('""', '"') if quoted else name)
        exact.update(found[-1:] if quoted else ())
    if len(set(found)) < len(found):
        raise BadInput(f"{option}: a column is named twice ({', '.join(found)})")
    return tuple(found)


@dataclass(frozen=True)
class Query:
    """One query.

    Attributes:
        description: what its result is about.
        sides: for each column that belongs to the example (label, weight, cluster, by) the tables that have it: 0 old, 1 new.
        tables: FROM items of both tables, in the dialect.
        exact: names of columns that keep their case where the dialect would fold it.
    """

    description: Description
    sides: dict[str, tuple[int, ...]]
    tables: tuple[str, str]
    exact: frozenset[str] = frozenset()

    def render(self, dialect: str) -> str:
        """The SQL text in a dialect."""
        import sqlglot
        from sqlglot import exp

        tree = sqlglot.parse_one(self._text(), read="duckdb")
        for found in tree.find_all(exp.Identifier) if dialect == "snowflake" else ():
            if found.quoted and found.name not in self.exact and PLAIN.fullmatch(found.name):
                found.set("quoted", False)  # Snowflake reads it in upper case, as it created it
        for m, text in enumerate(self.tables):
            (place,) = (t for t in tree.find_all(exp.Table) if t.name == f"table_{m}")
            place.replace(table_of(text, dialect, f"t{m}"))
        return tree.sql(dialect=dialect, pretty=True)

    def _text(self) -> str:
        """The query in DuckDB's SQL."""
        d = self.description
        steps = {
            "tt_both_sides": " UNION ALL ".join(self._side(m) for m in (0, 1)),
            "tt_by_id": self._by_id(),
            "tt_judged": self._judged(),
            "tt_measured": self._measured(),
            "tt_cells": self._cells(),
            "tt_slices": self._slices(),
        }
        if d.cluster:
            steps["tt_totals"] = self._totals()
        lines = self._lines()
        parts = ", ".join(f"{name} AS ({sql})" for name, sql in steps.items())
        nothing = {name: "CAST(NULL AS VARCHAR)" for name in COLUMNS[:6]} | dict.fromkeys(COLUMNS[7:], "CAST(NULL AS DOUBLE)")
        head = nothing | {"kind": "'format'", "n": f"CAST({VERSION} AS BIGINT)", "value": literal(d.text())}
        first = ", ".join(f"{head[name]} AS {name}" for name in COLUMNS)
        return f"WITH {parts} SELECT {first} UNION ALL {lines}"

    def _side(self, m: int) -> str:
        """The columns of one table, each row with the number of its first fault, 0 for none."""
        d = self.description
        columns = {"side": str(m)} | {f"i{j}": identifier(name) for j, name in enumerate(d.id)}
        numbers = [f"CAST({identifier(name)} AS DOUBLE)" for name in d.predictions]
        if d.kind == "pred":
            columns["v"] = self._class(d.predictions[0], least=-LARGEST_CLASS)
        else:
            columns |= {f"p{k}": number for k, number in enumerate(numbers)}
        if d.label is not None:
            has = m in self.sides["label"]
            columns["y"] = self._class(d.label) if has else "CAST(NULL AS BIGINT)"
            columns["labelled"] = f"CASE WHEN {identifier(d.label)} IS NOT NULL THEN 1 ELSE 0 END" if has else "0"
        if d.weight is not None:
            columns["w"] = f"CAST({identifier(d.weight)} AS DOUBLE)" if m in self.sides["weight"] else "CAST(NULL AS DOUBLE)"
        for letter, names, role in (("g", d.by, "by"), ("c", d.cluster, "cluster")):
            for j, name in enumerate(names):
                has = m in self.sides.get(f"{role} {name}", self.sides[role])
                columns[f"{letter}{j}"] = f"CAST({identifier(name) if has else 'NULL'} AS VARCHAR)"
        read = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
        kept = [c for c in columns if c != "labelled"]
        return f"SELECT {', '.join(kept)}, {self._fault(m)} AS fault FROM (SELECT {read} FROM table_{m}) AS side_{m}"

    def _class(self, column: str, least: int = 0) -> str:
        """The class of a label; NULL where it is none."""
        names, cell = self.description.names, identifier(column)
        if names is not None:
            cases = " ".join(f"WHEN {literal(name)} THEN {k}" for k, name in enumerate(names))
            return f"CAST(CASE CAST({cell} AS VARCHAR) {cases} END AS BIGINT)"
        number = f"CAST({cell} AS DOUBLE)"
        fits = f"{number} >= {least} AND {number} < {self.description.classes or LARGEST_CLASS}"
        return f"CASE WHEN {fits} THEN CASE WHEN {number} = FLOOR({number}) THEN CAST({cell} AS BIGINT) END END"

    def _fault(self, m: int) -> str:
        """The number of the first fault of a row."""
        d = self.description
        faults = dict.fromkeys(FAULTS, "FALSE") | {"no_id": any_of(f"i{j} IS NULL" for j in range(len(d.id)))}
        empty = dict.fromkeys(EMPTY, "FALSE")
        if d.kind == "pred":
            empty["empty"], faults["outside"] = "v IS NULL", "v < 0"
        else:
            entries = [f"p{k}" for k in range(len(d.predictions))]
            nans = [_is_nan(p) for p in entries]
            missing = any_of(f"{p} IS NULL" for p in entries)
            nothing = all_of(f"({p} IS NULL OR {nan})" for p, nan in zip(entries, nans, strict=True))
            empty = {"empty": f"({nothing}) AND ({missing})", "empty_nan": nothing}
            faults["missing"] = missing
            faults["not_finite"] = any_of(f"NOT ({p} >= -{MOST!r} AND {p} <= {MOST!r})" for p in entries)
            low = any_of(f"{p} < 0" for p in entries)
            faults["outside"] = f"{low} OR {entries[0]} > 1" if d.kind == "score" else low
            if d.kind == "probs":
                total = " + ".join(entries)
                fine = any_of(f"ABS(100 * {p} - ROUND(100 * {p}, 0)) >= 0.0001" for p in entries)
                wide = f"ABS({total} - 1) > {PERCENT_TOLERANCE * len(entries) + 1e-9!r}"
                faults["sum"] = f"ABS({total} - 1) > {SUM_TOLERANCE!r} AND ({wide} OR {fine})"
        if d.label is not None:
            faults["label"] = "labelled = 1 AND y IS NULL"
        if d.weight is not None and m in self.sides["weight"]:
            faults["weight"] = f"w IS NULL OR NOT (w >= 0 AND w <= {MOST!r})"
            faults["weight_size"] = f"w > {MOST_WEIGHT!r} OR (w > 0 AND w < {LEAST_WEIGHT!r})"
        clusters = [j for j, name in enumerate(d.cluster) if m in self.sides.get(f"cluster {name}", self.sides["cluster"])]
        faults["cluster"] = any_of(f"c{j} IS NULL" for j in clusters)
        numbered = {name: len(FAULTS) + 1 + j for j, name in enumerate(EMPTY)} | {name: j + 1 for j, name in enumerate(FAULTS)}
        cases = [f"WHEN {sql} THEN {numbered[name]}" for name, sql in (empty | faults).items() if sql != "FALSE"]
        return f"CASE {' '.join(cases)} ELSE 0 END"

    def _by_id(self) -> str:
        """One row for each id, with the columns of both tables."""
        d, ids = self.description, [f"i{j}" for j in range(len(self.description.id))]
        columns = {i: i for i in ids}
        for m in (0, 1):
            columns[f"rows_{m}"] = _count(f"side = {m}")
            columns[f"copies_{m}"] = _count(f"side = {m} AND fault <= {len(FAULTS)}")
            columns[f"empty_{m}"] = _count(f"side = {m} AND fault = {len(FAULTS) + 1}")
            columns[f"fault_{m}"] = f"MAX(CASE WHEN side = {m} AND fault <= {len(FAULTS)} THEN fault ELSE 0 END)"
            held = ["v"] if d.kind == "pred" else [f"p{k}" for k in range(len(d.predictions))]
            columns |= {f"{p}_{m}": f"MAX(CASE WHEN side = {m} AND fault = 0 THEN {p} END)" for p in held}
        for name, role in self._shared().items():
            columns |= {f"{name}_{m}": f"MAX(CASE WHEN side = {m} AND fault = 0 THEN {name} END)" for m in self._sides_of(role)}
        return f"SELECT {_select(columns)} FROM tt_both_sides GROUP BY {', '.join(ids)}"

    def _shared(self) -> dict[str, str]:
        """The columns that belong to the example, and their roles."""
        d = self.description
        found = ({"y": "label"} if d.label is not None else {}) | ({"w": "weight"} if d.weight is not None else {})
        found |= {f"g{j}": f"by {name}" for j, name in enumerate(d.by)}
        return found | {f"c{j}": f"cluster {name}" for j, name in enumerate(d.cluster)}

    def _sides_of(self, role: str) -> tuple[int, ...]:
        return self.sides.get(role, self.sides[role.split(" ")[0]])

    def _judged(self) -> str:
        """Whether the id is once in both tables, without a fault; and its values."""
        d = self.description
        whole = all_of(f"copies_{m} = 1 AND fault_{m} = 0" for m in (0, 1))
        columns = {"fine": f"CASE WHEN {whole} THEN 1 ELSE 0 END"}
        for m in (0, 1):
            columns |= {f"{name}_{m}": f"{name}_{m}" for name in ("rows", "copies", "empty", "fault")}
            if d.kind != "pred":
                entries = [f"p{k}_{m}" for k in range(len(d.predictions))]
                entries = [f"(1 - {entries[0]})", *entries] if d.kind == "score" else entries
                columns |= {f"p{k}_{m}": sql for k, sql in enumerate(entries)}
            columns[f"v{m}"] = self._vote(m)
        conflicts: dict[str, list[str]] = {name: [] for name in CONFLICTS}
        for name, role in self._shared().items():
            sides = self._sides_of(role)
            columns[name] = f"COALESCE({name}_0, {name}_1)" if len(sides) == 2 else f"{name}_{sides[0]}"
            if len(sides) == 2:
                conflicts[role.split(" ")[0]].append(f"{name}_0 <> {name}_1")
        columns |= {f"conflict_{name}": f"CASE WHEN {any_of(c)} THEN 1 ELSE 0 END" for name, c in conflicts.items() if c}
        return f"SELECT {_select(columns)} FROM tt_by_id"

    def _vote(self, m: int) -> str:
        d, entries = self.description, [f"p{k}_{m}" for k in range(len(self.description.predictions))]
        if d.kind == "pred":
            return f"v_{m}"
        if d.kind == "score":
            return f"CASE WHEN p0_{m} > 0.5 THEN 1 ELSE 0 END"
        top = f"GREATEST({', '.join(entries)})"
        return f"CASE {' '.join(f'WHEN {p} = {top} THEN {k}' for k, p in enumerate(entries))} END"

    def _measured(self) -> str:
        """The state of each row, its decisions, and its soft numbers; of fine rows only."""
        d = self.description
        if d.binary:
            state = f"v0 * 6 + v1 * 3 + {'COALESCE(y, 2)' if d.label is not None else '2'}"
        else:
            cases = ["WHEN v0 = v1 THEN 5 ELSE 6"]
            if d.label is not None:
                right = ["y IS NULL AND v0 = v1 THEN 5", "y IS NULL THEN 6", "v0 = y AND v1 = y THEN 0", "v0 = y THEN 2"]
                cases = [f"WHEN {c}" for c in (*right, "v1 = y THEN 3", "v0 = v1 THEN 1")] + ["ELSE 4"]
            state = f"CASE {' '.join(cases)} END"
        columns = {"state": f"CASE WHEN fine = 1 THEN {state} ELSE -1 END"}
        for j, t in enumerate(d.thresholds):
            old, new = (f"CASE WHEN p1_{m} >= {t!r} THEN {2 - m} ELSE 0 END" for m in (0, 1))
            columns[f"d{j}"] = f"CASE WHEN fine = 1 THEN {old} + {new} ELSE -1 END"
        inner = "tt_judged"
        if d.means:
            of_classes = range(d.classes or 0)
            gaps = [f"ABS(p{k}_0 - p{k}_1)" for k in of_classes]
            columns["m0"] = gaps[1] if d.binary else f"({' + '.join(gaps)}) / 2"
        if len(d.means) > 1:
            q = {f"q{m}": f"CASE y {' '.join(f'WHEN {k} THEN p{k}_{m}' for k in of_classes)} END" for m in (0, 1)}
            inner = f"(SELECT *, {_select(q)} FROM tt_judged) AS with_label"
            losses = [f"CASE WHEN q{m} > 0 THEN -LN(q{m}) END" for m in (0, 1)]
            columns |= {"m1": losses[0], "m2": losses[1], "m3": f"{losses[1]} - ({losses[0]})"}
            columns |= {f"zero_{m}": f"CASE WHEN fine = 1 AND q{m} = 0 THEN 1 ELSE 0 END" for m in (0, 1)}
        return f"SELECT *, {_select(columns)} FROM {inner}"

    def _cells(self) -> str:
        """Sums over the rows, by state, classes, decisions, groups and cluster."""
        d, w = self.description, "w" if self.description.weight is not None else "1"
        keys = ["state", "v0", "v1", *(f"d{j}" for j in range(len(d.thresholds))), *self._of("g"), *self._of("c")]
        columns = {key: key for key in keys} | {"n": "SUM(fine)"}
        if d.weight is not None:
            columns |= {"w": "SUM(CASE WHEN fine = 1 THEN w ELSE 0 END)", "ww": "SUM(CASE WHEN fine = 1 THEN w * w ELSE 0 END)"}
        for j in range(len(d.means)):
            sums = {"t": f"{w} * m{j}"} if d.cluster else {"t": f"{w} * m{j}", "bt": f"{w} * {w} * m{j}"}
            sums |= {} if d.cluster else {"tt": f"{w} * {w} * m{j} * m{j}"}
            columns |= {f"{k}{j}": f"SUM(CASE WHEN fine = 1 THEN {sql} ELSE 0 END)" for k, sql in sums.items()}
        columns |= {f"zero_{m}": f"SUM(zero_{m})" for m in (0, 1) if len(d.means) > 1}
        return f"SELECT {_select(columns | self._checks())} FROM tt_measured GROUP BY {', '.join(keys)}"

    def _of(self, letter: str) -> list[str]:
        return [f"{letter}{j}" for j in range(len(self.description.by if letter == "g" else self.description.cluster))]

    def _checks(self) -> dict[str, str]:
        """Counts of what is wrong with rows, and of rows."""
        found = {}
        for m in (0, 1):
            found[f"rows_{m}"] = f"SUM(rows_{m})"
            found |= {f"{name}_{m}": _count(f"fault_{m} = {j + 1}") for j, name in enumerate(FAULTS)}
            found |= {f"empty_{m}": f"SUM(empty_{m})", f"empty_nan_{m}": f"SUM(rows_{m} - copies_{m} - empty_{m})"}
            found[f"repeated_{m}"] = _count(f"copies_{m} > 1")
            found[f"alone_{m}"] = _count(f"copies_{m} > 0 AND copies_{1 - m} = 0")
        both = {f"conflict_{role}": f"SUM(CASE WHEN fine = 1 THEN conflict_{role} ELSE 0 END)" for role in self._conflicts()}
        return found | both

    def _conflicts(self) -> list[str]:
        roles = {role.split(" ")[0] for role in self._shared().values() if len(self._sides_of(role)) == 2}
        return [role for role in CONFLICTS if role in roles]

    def _axes(self) -> list[tuple[str, str, str]]:
        """What rows are sliced by: the part, the name of the column, and the SQL of the value."""
        groups = [("by", name, f"g{j}") for j, name in enumerate(self.description.by)]
        axes = [("all", "", "NULL"), *groups, ("predicted", "", "CAST(v0 AS VARCHAR)")]
        return axes if self.description.binary else [*axes, ("flow", "", "CAST(v0 AS VARCHAR)")]

    def _vectors(self) -> dict[str, list[str]]:
        """The columns of each vector of disjoint states: the sums of the rows' weights are n…, w… and ww…."""
        d = self.description
        found = {"s": [f"s{s}" for s in range(len(d.states))]}
        return found | {f"d{j}": [f"d{j}_{s}" for s in range(len(DECISIONS))] for j in range(len(d.thresholds))}

    def _weighing(self) -> list[str]:
        return ["n", "w", "ww"] if self.description.weight is not None else ["n"]

    def _slices(self) -> str:
        """Cells by axis and value (and cluster), one column for each state."""
        d, axes = self.description, self._axes()
        values = " ".join(f"WHEN {a} THEN {sql}" for a, (_, _, sql) in enumerate(axes) if a)
        keys = {"axis": "axis", "value": f"CASE axis {values} END"}
        flow = len(axes) - 1
        keys["second"] = f"CASE WHEN axis = {flow} THEN CAST(v1 AS VARCHAR) END" if not d.binary else "CAST(NULL AS VARCHAR)"
        keys |= {c: c for c in self._of("c")}
        columns = dict(keys)
        for of in self._weighing():
            columns[f"{of}_all"] = f"SUM({of})"
            for vector, states in self._vectors().items():
                for s, column in enumerate(states):
                    when = f"state = {s}" if vector == "s" else f"axis = 0 AND {vector} = {s}"
                    columns[f"{of}_{column}"] = f"SUM(CASE WHEN {when} THEN {of} ELSE 0 END)"
        further = [f"{k}{j}" for j in range(len(d.means)) for k in (("t",) if d.cluster else ("t", "bt", "tt"))]
        further += [f"zero_{m}" for m in (0, 1) if len(d.means) > 1]
        columns |= {name: f"SUM(CASE WHEN axis = 0 THEN {name} ELSE 0 END)" for name in (*further, *self._checks())}
        numbers = " UNION ALL ".join(f"SELECT {a} AS axis" for a in range(len(axes)))
        by = ", ".join(dict.fromkeys(("axis", "value", "second", *self._of("c"))))
        inner = f"SELECT tt_cells.*, {_select({k: v for k, v in keys.items() if k not in self._of('c')})} FROM tt_cells CROSS JOIN ({numbers}) AS axes"
        outer = _select({name: name if name in keys else sql for name, sql in columns.items()})
        return f"SELECT {outer} FROM ({inner}) AS sliced GROUP BY {by}"

    def _totals(self) -> str:
        """Sums over clusters, and of the products of what each cluster has."""
        d, w = self.description, self._weighing()[-2] if self.description.weight is not None else "n"
        columns = {name: name for name in ("axis", "value", "second")}
        columns["units"] = _count("n_all > 0")
        for vector, states in self._vectors().items():
            columns |= {f"{of}_{s}": f"SUM({of}_{s})" for of in self._weighing() for s in states}
            for a, b in combinations_with_replacement(states, 2):
                columns[f"x_{a}_{b}"] = f"SUM({_double(f'{w}_{a}')} * {_double(f'{w}_{b}')})"
            del vector
        for j, mean in enumerate(d.means):
            base = self._base(w, mean)
            columns[f"units{j}"] = _count(f"{self._base('n', mean)} > 0")
            columns |= {f"t{j}": f"SUM(t{j})", f"tt{j}": f"SUM(t{j} * t{j})", f"bt{j}": f"SUM({_double(base)} * t{j})"}
            columns[f"bb{j}"] = f"SUM({_double(base)} * {_double(base)})"
        columns |= {f"zero_{m}": f"SUM(zero_{m})" for m in (0, 1) if len(d.means) > 1}
        columns |= {name: f"SUM({name})" for name in self._checks()}
        return f"SELECT {_select(columns)} FROM tt_slices GROUP BY axis, value, second"

    def _base(self, of: str, mean: str) -> str:
        """The weight of the rows that a mean is over."""
        states = [s for s, (_, _, label) in enumerate(self.description.states.values()) if mean == MEANS[0] or label is not None]
        return "(" + " + ".join(f"{of}_s{s}" for s in states) + ")"

    def _lines(self) -> str:
        """One line for each sum that is not zero, and for each count of a check."""
        d, axes, items = self.description, self._axes(), self._items()
        numbered = list(enumerate(items))
        heads = " UNION ALL ".join(
            f"SELECT {n} AS item, {literal(i.kind)} AS kind, {literal(i.part)} AS part, {literal(i.name)} AS name, "
            f"{literal(i.value)} AS value, {literal(i.state)} AS state, {literal(i.other)} AS other"
            for n, i in numbered
        )
        flow = len(axes) - 1 if not d.binary else len(axes)
        of_axis = {"slice": f"axis < {flow}", "flow": f"axis = {flow}"}
        of_group = "CASE WHEN s.value IS NULL THEN 'missing' ELSE 'by' END"
        parts = " ".join(f"WHEN {a} THEN {of_group if part == 'by' else literal(part)}" for a, (part, _, _) in enumerate(axes))
        names = " ".join(f"WHEN {a} THEN {literal(name)}" for a, (_, name, _) in enumerate(axes))
        columns = {
            "kind": "items.kind",
            "part": f"CASE WHEN items.part IN ('slice', 'flow') THEN CASE axis {parts} END ELSE items.part END",
            "name": f"CASE WHEN items.part = 'slice' THEN CASE axis {names} END ELSE items.name END",
            "value": "CASE WHEN items.part IN ('slice', 'flow') THEN COALESCE(s.value, '') ELSE items.value END",
            "state": "items.state",
            "other": "CASE WHEN items.part = 'flow' THEN second ELSE items.other END",
        }
        for name in COLUMNS[6:]:
            cases = " ".join(f"WHEN {n} THEN {sql}" for n, i in numbered if (sql := getattr(i, name)) is not None)
            kind = "BIGINT" if name == "n" else "DOUBLE"
            columns[name] = f"CAST(CASE item {cases} END AS {kind})"
        conditions = " OR ".join(f"(items.part = '{part}' AND {sql})" for part, sql in of_axis.items())
        where = f"{conditions} OR (items.part NOT IN ('slice', 'flow') AND axis = 0)"
        source = "tt_totals" if d.cluster else "tt_slices"
        whole = f"SELECT {_select(columns)} FROM {source} AS s CROSS JOIN ({heads}) AS items WHERE {where}"
        kept = "kind = 'check' OR n <> 0 OR total <> 0"
        return f"SELECT {', '.join(COLUMNS)} FROM ({whole}) AS lines WHERE {kept}"

    def _items(self) -> list[_Item]:
        d, found = self.description, []
        w, ww = ("w", "ww") if d.weight is not None else ("n", "n")
        vectors = {"s": ("slice", "", list(d.states))}
        vectors |= {f"d{j}": ("threshold", repr(t), list(DECISIONS)) for j, t in enumerate(d.thresholds)}
        for vector, columns in self._vectors().items():
            part, value, states = vectors[vector]
            for s, column in zip(states, columns, strict=True):
                found.append(_Item("sum", part, "", value, s, "", f"n_{column}", f"{w}_{column}", f"{ww}_{column}"))
            if d.cluster:
                for (a, x), (b, y) in combinations_with_replacement(list(zip(states, columns, strict=True)), 2):
                    found.append(_Item("product", part, "", value, a, b, None, f"x_{x}_{y}"))
        if d.cluster:
            found.append(_Item("units", "slice", "", "", "", "", "units"))
        for j, mean in enumerate(d.means):
            n, b, bb = (self._base(of, mean) for of in ("n", w, ww))
            found.append(_Item("sum", "mean", mean, "", "weight", "", n, b, bb))
            found.append(_Item("sum", "mean", mean, "", "value", "", n, f"t{j}"))
            products = {("weight", "weight"): f"bb{j}" if d.cluster else bb, ("weight", "value"): f"bt{j}"}
            products[("value", "value")] = f"tt{j}"
            found += [_Item("product", "mean", mean, "", a, c, None, sql) for (a, c), sql in products.items()]
            if d.cluster:
                found.append(_Item("units", "mean", mean, "", "", "", f"units{j}"))
        if len(d.means) > 1:
            found += [_Item("infinite", "mean", name, "", "", "", f"zero_{m}") for m, name in enumerate(MEANS[1:3])]
        if not d.binary:
            found.append(_Item("sum", "flow", "", "", "", "", "n_all"))
        for m, side in enumerate(("old", "new")):
            names = ("rows", *FAULTS, *EMPTY, "repeated", "alone")
            found += [_Item("check", side, "", "", name, "", f"{name}_{m}") for name in names]
        return found + [_Item("check", "both", "", "", role, "", f"conflict_{role}") for role in self._conflicts()]


@dataclass(frozen=True)
class _Item:
    """A line that is written for each slice: its key, and the SQL of its numbers."""

    kind: str
    part: str
    name: str
    value: str
    state: str
    other: str
    n: str | None = None
    total: str | None = None
    squares: str | None = None


def _select(columns: dict[str, str]) -> str:
    return ", ".join(sql if sql == name else f"{sql} AS {name}" for name, sql in columns.items())


def _count(condition: str) -> str:
    return f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)"


def _double(sql: str) -> str:
    return f"CAST({sql} AS DOUBLE)"


def _is_nan(p: str) -> str:
    """Whether a number is NaN, in engines where NaN equals itself and is above all numbers, and in engines where it is not."""
    return f"(1 / (1 + ABS({p})) > 1 OR {p} <> {p})"


def table_of(text: str, dialect: str, alias: str) -> Any:
    """A table, or a query in parentheses, of a dialect.

    Raises:
        BadInput: it is something else.
    """
    import sqlglot
    from sqlglot import exp

    try:
        (tree,) = sqlglot.parse(f"SELECT 1 FROM {text}", read=dialect)
    except (sqlglot.errors.SqlglotError, ValueError):
        tree = None
    found = None if tree is None else tree.find(exp.From)
    whole = tree is not None and {name for name, value in tree.args.items() if value} <= {"kind", "expressions", "from", "from_"}
    table = found.this if found is not None and whole else None
    if not isinstance(table, exp.Table | exp.Subquery) or table.args.get("joins") or not isinstance(tree, exp.Select):
        shown = text if len(text) <= 80 else f"{text[:80]}…"
        raise BadInput(f"{shown!r} is not a table of the dialect {dialect}; expected a name, or a query in parentheses")
    if not table.alias:
        table = exp.alias_(table, alias, table=True)
    return table
