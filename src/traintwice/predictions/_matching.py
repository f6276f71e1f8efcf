"""Which row of one file belongs to which row of another: every id compared where files are in the same order, otherwise a join."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from traintwice.errors import BadInput
from traintwice.predictions._columns import WIDE
from traintwice.predictions._faults import check_contents, faults, suspicious
from traintwice.predictions._session import Session, all_of, any_of, show_id
from traintwice.predictions._views import View

Order = Literal["by position", "same order", "joined"]
Steps = Sequence[Mapping[str, str]]

RANGE_ROWS = 10 * 122_880
"""The least rows that one thread reads side by side at a time, and a divisor of them: whole row groups of usual Parquet files, and
the same on every machine, so that sums are formed in the same order."""

RANGES = 8
"""The most ranges that are read side by side: each opens both files."""

PREFIX, SHOWN = 2048, 5
"""Rows whose ids are compared before the way is chosen (every id is compared afterwards); ids shown in a message."""

STAGED = "aligned"
ROLES = {"y": "label", "w": "weight", "c": "cluster", "t": "time"}


@dataclass(frozen=True)
class Alignment:
    """How rows were matched.

    Attributes:
        order: rows matched by position as requested; found in the same order, every id compared; or joined by id.
        rows, labelled: rows that all files share, and how many of them have a label.
        dropped: for each file the rows that were left out, with ``on_missing="drop"``.
    """

    order: Order
    rows: int
    labelled: int
    dropped: tuple[int, ...]


class Matcher:
    """Matches the rows of views, once.

    Args:
        session: where the views are.
        views, rows: the files, and how many rows each has.
        unchecked: views whose cells are checked in the pass that matches the rows.
        drop: leave out ids that are missing elsewhere or are on several rows, instead of refusing them.
    """

    def __init__(
        self, session: Session, views: Sequence[View], rows: Sequence[int], *, unchecked: Sequence[View] = (), drop: bool
    ) -> None:
        self.session, self.views, self.rows, self.drop, self.staged = session, tuple(views), tuple(rows), drop, False
        self.alignment: Alignment | None = None
        self._unchecked = list(unchecked)

    def relation(self, source: str | None = None) -> str:
        """A SELECT of the aligned rows: i0 …, y, w, g0 …, o0 …, c, t, and for file m p{m}_{k} (or p{m}) and v{m}, x{m} or h{m}.

        Args:
            source: FROM item of some rows, with columns as in `_flat`, which are kept; None: all rows, after `match`.
        """
        columns = {"y": "NULL::BIGINT", "w": "1.0::DOUBLE"} | {i: f"{i}_0" for i in self.views[0].ids}
        for name, files in shared_columns(self.views).items():
            cells = [f"{name}_{m}" for m in files]
            columns[name] = cells[0] if len(cells) == 1 or name == "w" else f"coalesce({', '.join(cells)})"
        for m, view in enumerate(self.views):
            if view.predictions[0] in ("x", "h"):
                columns[f"{view.predictions[0]}{m}"] = f"{view.predictions[0]}_{m}"
                continue
            if (view.layout.classes or 0) > WIDE and view.predictions[0] == "l":
                columns[f"p{m}"] = f"l_{m}"
            else:
                columns |= {f"p{m}_{k}": sql for k, sql in enumerate(view.probabilities(f"_{m}"))}
            columns[f"v{m}"] = view.vote(f"_{m}")
        select = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
        return f"SELECT {select} FROM {self.source()}" if source is None else f"SELECT {select}, * FROM {source}"

    def source(self, rows: tuple[int, int] | None = None) -> str:
        """FROM item of the matched rows, or of a range of them (joined rows must be staged for that); columns as in `_flat`."""
        if self.staged:
            return f"(SELECT * FROM {STAGED} WHERE rowid >= {rows[0]} AND rowid < {rows[1]})" if rows else STAGED
        joined = self.alignment is not None and self.alignment.order == "joined"
        return _flat(
            self.views, _joined(self.views) if joined else " POSITIONAL JOIN ".join(view.scan(rows) for view in self.views)
        )

    def stage(self, views: Sequence[View] = ()) -> None:
        """Store the matched rows once, or ``views`` joined by id; the table spills under the memory limit."""
        if not self.staged:
            columns = _flat(views, _joined(views)) if views else self.source()
            unused = [f"{c}_{m}" for m, v in enumerate(self.views) for c in v.cells if c == "raw_y" or (m and c in v.ids)]
            select = f"SELECT *{f' EXCLUDE ({chr(44).join(unused)})' if unused else ''} FROM {columns}"
            self.session.rows(f"CREATE TABLE {STAGED} AS {select}", doing="joining the files by id")
            self.staged = True

    def match(self, sums: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Match the rows, setting ``alignment``; the sums of the expressions over them come from the same pass.

        Raises:
            BadInput: ids that are on several rows, or in one file only, cells that cannot be measured, or rows on which two
                files disagree.
        """
        in_order = not self.views[0].ids
        if not in_order and len(set(self.rows)) == 1:
            heads = (f"SELECT {', '.join(view.ids)} FROM {view.name} LIMIT {PREFIX}" for view in self.views)
            first, *others = (self.session.rows(head, doing="reading ids") for head in heads)
            in_order = all(head == first for head in others)
        found = self._in_order(sums, steps) if in_order else None
        found = self._join(sums, steps) if found is None else found
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def sums(self, sums: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Sums of expressions over rows that are matched already."""
        in_ranges = self.alignment is not None and self.alignment.order != "joined" and not self.staged
        found = self._pass({}, sums, steps, None if in_ranges else self.source())
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def _in_order(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any] | None:
        """Files side by side, by position or with every id compared; None where they must be joined."""
        first = self.views[0]
        if not first.ids and len(set(self.rows)) > 1:
            told = ", ".join(f"{v.source.name} has {n:,}" for v, n in zip(self.views, self.rows, strict=True))
            raise BadInput(f"rows cannot be matched by position: {told}; pass --id to match them by id")
        differ = any_of(f"{i}_0 <> {i}_{m}" for m, v in enumerate(self.views) if m for i in v.ids)
        found = self._pass(self._checks() | {"differ": _count(differ)}, sums, steps, rising=bool(first.ids))
        if found["differ"]:
            return None
        if found.get("not_rising"):
            repeated, shown = _duplicates(self.session, first)
            if repeated and self.drop:
                return None
            if repeated:
                raise _repeated(first, repeated, shown, self.rows[0])
        return self._accept("same order" if first.ids else "by position", found)

    def _join(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any]:
        """Join by id; for two files that hold the same ids once each, one full join also takes the sums.

        Where every row has a partner and there are as many pairs as each file has rows, no id is twice in either.
        """
        if len(self.views) == 2 and self.rows[0] == self.rows[1]:
            # Every cell of a prediction holds something, so that a row without a partner is one where some are missing.
            partners = {f"paired_{m}": f"count({v.predictions[0]}_{m})" for m, v in enumerate(self.views)}
            found = self._pass(partners | self._checks(), sums, steps, _flat(self.views, _joined(self.views, how="FULL JOIN")))
            if all(found[name] == found["total"] == self.rows[0] for name in partners):
                return self._accept("joined", found)
        self._check_cells()
        self.stage(self._what_to_store())
        found = self._pass(self._checks(), sums, steps, STAGED)
        if found["total"] == 0:
            raise BadInput(f"no id is in all {len(self.views)} files; choose another --id")
        return self._accept("joined", found)

    def _what_to_store(self) -> Sequence[View]:
        """Views of the files to be joined, after a full join has compared the ids of each file with those of the first.

        With M matched pairs and U rows without a partner, M + U equals the rows of a file exactly where no id that both
        have is twice in either.
        """
        first, rows = self.views[0], self.rows
        for m, view in enumerate(self.views[1:], start=1):
            counts = f"count(*), count({first.cells['i0']}), count({view.cells['i0']})"
            sql = f"SELECT {counts} FROM {_joined((first, view), how='FULL JOIN')}"
            ((total, in_first, in_other),) = self.session.rows(sql, doing="comparing the ids")
            missing, extra = total - in_other, total - in_first
            shared = total - missing - extra
            if shared != rows[0] - missing or shared != rows[m] - extra:
                return [self._without_duplicates(each, count) for each, count in zip(self.views, rows, strict=True)]
            if (missing or extra) and not self.drop:
                raise _unmatched(self.session, (first, view), (missing, extra), (rows[0], rows[m]))
        return self.views

    def _without_duplicates(self, view: View, rows: int) -> View:
        """A file without the ids that several of its rows have."""
        repeated, shown = _duplicates(self.session, view)
        if repeated and not self.drop:
            raise _repeated(view, repeated, shown, rows)
        sql = f"SELECT * FROM {view.name} ANTI JOIN duplicated_{view.name} USING ({', '.join(view.ids)})"
        self.session.rows(f"CREATE VIEW unique_{view.name} AS {sql}", doing="leaving out duplicated ids")
        return view.over(f"unique_{view.name}")

    def _checks(self) -> dict[str, str]:
        """Aggregates: on how many rows files disagree, and whether the cells must be looked at again."""
        shared = [
            [f"{c}_{m}" for m in files] for c, files in shared_columns(self.views).items() if len(files) > 1 and c[0] != "o"
        ]
        disagree = any_of(
            f"{c[0]} <> {c[1]}" if len(c) == 2 else f"least({', '.join(c)}) <> greatest({', '.join(c)})" for c in shared
        )
        of_cells = [suspicious(view, f"_{m}") for m, view in enumerate(self.views) if view in self._unchecked]
        once = dict.fromkeys(fault.once for view in self._unchecked for fault in faults(view) if fault.once)
        return {"disagree": _count(disagree), "suspicious": " + ".join([*of_cells, _count(any_of(once))])}

    def _pass(
        self, checks: Mapping[str, str], sums: Mapping[str, str], steps: Steps, source: str | None = None, *, rising: bool = False
    ) -> dict[str, Any]:
        """One pass over the rows: how many there are and have labels, what the checks count, and the sums.

        Args:
            source: FROM item with columns as in `_flat`; None: files side by side, in ranges of rows that run in parallel (DuckDB
                joins by position in one thread).
            rising: also count rows whose id is not above that of the row before. Where there are none, no id is repeated.
        """
        sources, now = [source] if source is not None else [], [f"{i}_0" for i in self.views[0].ids]
        one = now[0] if len(now) == 1 else f"row({', '.join(now)})"
        if source is None:
            total, again = self.rows[0], f", {one} <= lag({one}) OVER () AS again" if rising else ""
            size = RANGE_ROWS * math.ceil(total / (RANGE_ROWS * RANGES))
            for rows in [(start, start + size) for start in range(0, total, size)] if total > size else [None]:
                sources.append(f"(SELECT *{again} FROM {self.source(rows)})")
        whole = [self.relation(each) for each in sources]
        for step in steps:
            columns = ", ".join(f"{sql} AS {name}" for name, sql in step.items())
            whole = [f"SELECT *, {columns} FROM ({rows})" for rows in whole]
        wanted = ["count(*) AS total", "count(y) AS labelled", *[f"{sql} AS {name}" for name, sql in checks.items()]]
        wanted += [f"{_count('again')} AS not_rising, min({one}) AS low, max({one}) AS high"] if rising else []
        wanted += [f"{sql} AS sum_{i}" for i, sql in enumerate(aggregates(self.session, whole[0], sums))]
        queries = [f"SELECT {', '.join(wanted)} FROM ({rows})" for rows in whole]
        parts = self.session.parallel_records(queries, doing="reading the predictions")
        ends = [(part.pop("low"), part.pop("high")) for part in parts] if rising else []
        found = {name: _total([part[name] for part in parts]) for name in parts[0]}
        if found.get("suspicious"):
            self._check_cells()
        if rising:  # where one range ends and the next starts
            found["not_rising"] += sum(a >= b for (_, a), (b, _) in itertools.pairwise(ends))
        return found

    def _check_cells(self) -> None:
        while self._unchecked:
            check_contents(self.session, self._unchecked.pop(0))

    def _accept(self, order: Order, found: dict[str, Any]) -> dict[str, Any]:
        if found["disagree"]:
            self._check_cells()  # whether a label is a class is checked on the label that files agree on
            raise _conflict(self.session, self.views, found["total"])
        dropped = (rows + view.unanswered - found["total"] for rows, view in zip(self.rows, self.views, strict=True))
        self.alignment = Alignment(order, found["total"], found["labelled"], tuple(dropped))
        return found


def aggregates(session: Session, inner: str, expressions: Mapping[str, str]) -> list[str]:
    """The SQL that sums each expression over a query in float64; truth is counted (faster than a sum of ones), NULL counts nothing."""
    if not expressions:
        return []
    columns = ", ".join(f"{expression} AS e{i}" for i, expression in enumerate(expressions.values()))
    described = session.rows(f"DESCRIBE SELECT {columns} FROM ({inner})", doing="reading the expressions")
    return [
        f"CAST(coalesce({f'count_if({e})' if row[1] == 'BOOLEAN' else f'sum(CAST({e} AS DOUBLE))'}, 0) AS DOUBLE)"
        for e, row in zip(expressions.values(), described, strict=True)
    ]


def shared_columns(views: Sequence[View]) -> dict[str, list[int]]:
    """Each column that belongs to the example and not to a model (y, w, c, t, g0 …, o0 …), and the files that have it."""
    names = dict.fromkeys(c for view in views for c in view.cells if c in ROLES or c[0] in "go")
    return {name: [m for m, view in enumerate(views) if name in view.cells] for name in names}


def _flat(views: Sequence[View], source: str) -> str:
    """FROM item with every column c of every file m, named c_m, over a FROM clause of their scans."""
    columns = [f"{sql} AS {c}_{m}" for m, view in enumerate(views) for c, sql in view.cells.items() if c != "r"]
    return f"(SELECT {', '.join(columns)} FROM {source})"


def _joined(views: Sequence[View], *, how: str = "JOIN") -> str:
    """FROM clause that joins every file to the first by id; a full join keeps the rows that only one file has."""
    first, *others = views
    same = (all_of(f"{first.cells[i]} = {view.cells[i]}" for i in view.ids) for view in others)
    return first.scan() + "".join(f" {how} {view.scan()} ON {ids}" for view, ids in zip(others, same, strict=True))


def _count(condition: str) -> str:
    return f"coalesce(count_if({condition}), 0)"


def _total(parts: list[Any]) -> Any:
    return math.fsum(parts) if isinstance(parts[0], float) and all(map(math.isfinite, parts)) else sum(parts)


def _duplicates(session: Session, view: View) -> tuple[int, str]:
    """How many ids are on more than one row, and the first few; by hash, spilling under the memory limit."""
    ids, table, doing = ", ".join(view.ids), f"duplicated_{view.name}", f"{view.source.name}: looking for duplicated ids"
    sql = f"SELECT {ids}, min(r) AS r FROM {view.name} GROUP BY {ids} HAVING count(*) > 1"
    session.rows(f"CREATE OR REPLACE TABLE {table} AS {sql}", doing=doing)
    ((count,),) = session.rows(f"SELECT count(*) FROM {table}", doing=doing)
    shown = session.rows(f"SELECT {ids} FROM {table} ORDER BY r LIMIT {SHOWN}", doing=doing)
    return int(count), ", ".join(map(show_id, shown))


def _repeated(view: View, count: int, shown: str, rows: int) -> BadInput:
    told = f"{view.source.name}: {count:,} ids are on more than one of its {rows:,} rows"
    advice = (
        "an id must name one row. Pass to --id the columns that together name a row (and to --cluster the column by which rows belong "
        "together), or --draws COLUMN where a model answered an item several times, or --on-missing drop to leave those ids out"
    )
    return BadInput(f"{told} (first: {shown}); {advice}", without_cells=f"{told}; {advice}")


def _unmatched(session: Session, views: tuple[View, View], alone: tuple[int, int], rows: tuple[int, int]) -> BadInput:
    """The error for ids that only one of two files has."""
    told, shown = [], []
    what = (f"are missing from {views[1].source.name}", f"are extra, not in {views[0].source.name}")
    for m, view in enumerate(views):
        if alone[m]:
            same, ids = all_of(f"a.{i} = b.{i}" for i in view.ids), ", ".join(f"a.{i}" for i in view.ids)
            sql = f"SELECT {ids} FROM {view.name} a ANTI JOIN {views[1 - m].name} b ON {same} ORDER BY a.r LIMIT {SHOWN}"
            told.append(f"{alone[m]:,} of {rows[m]:,} ids of {view.source.name} {what[m]}")
            shown.append(f" (first: {', '.join(map(show_id, session.rows(sql, doing='comparing ids')))})")
    shared = f"Pass --on-missing drop to compare the {rows[0] - alone[0]:,} rows that both have"
    advice = shared if rows[0] > alone[0] else "They share no id: choose another --id"
    whole = "; ".join(part + ids for part, ids in zip(told, shown, strict=True))
    return BadInput(f"{whole}. {advice}", without_cells=f"{'; '.join(told)}. {advice}")


def _conflict(session: Session, views: Sequence[View], rows: int) -> BadInput:
    """The error for rows on which two files have different values in a column that belongs to the example."""
    keys = views[0].ids or ("r",)
    same, ids = all_of(f"a.{i} = b.{i}" for i in keys), ", ".join(f"a.{i}" for i in keys)
    told = "the files disagree"
    for column, files in shared_columns(views).items():
        for one, other in itertools.combinations([views[m] for m in files], 2):
            sql = f"SELECT count(*) OVER (), a.r, a.{column}, b.{column}, {ids} FROM {one.name} a JOIN {other.name} b ON {same}"
            sql += f" WHERE a.{column} <> b.{column} ORDER BY a.r LIMIT 1"
            for count, row, a, b, *values in session.rows(sql, doing="comparing the files") if column[0] != "o" else []:
                role, called = ROLES.get(column, "group"), other.names[column]
                told = (
                    f"{other.source.name}: {count:,} of {rows:,} rows have another {role} in {called!r} than in {one.source.name}"
                )
                where, advice = f", id {show_id(values)}" if views[0].ids else "", "the files must be about the same examples"
                return BadInput(f"{told} (first: row {row:,}{where}: {a} and {b}); {advice}", without_cells=f"{told}; {advice}")
    return BadInput(told)
