"""Which row of one file belongs to which row of another: every id compared side by side, or a join."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from traintwice._database import Session, all_of, any_of
from traintwice.errors import BadInput
from traintwice.predictions._checks import conflict, duplicates, unmatched_in
from traintwice.predictions._faults import check_contents, faults
from traintwice.predictions._source import WIDE
from traintwice.predictions._views import View, shared_columns

Order = Literal["by position", "same order", "joined"]
Steps = Sequence[Mapping[str, str]]
Pass = Callable[..., dict[str, Any]]
"""`Passes._pass` for one table of cells."""

RANGE_ROWS = 10 * 122_880
"""The least rows that one thread reads side by side at a time, and a divisor of them: whole row groups of usual Parquet files, and
the same on every machine, so that sums are formed in the same order."""

RANGES = 8
"""The most ranges that are read side by side: each opens both files."""

PREFIX = 2048
"""Rows whose ids are compared before the way is chosen; every id is compared afterwards."""

STAGED, CELLS = "aligned", "cells"


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


class Passes:
    """The rows of views side by side, or joined by id, as SQL, and passes over them.

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
        self.side_by_side = False
        """Whether row n of every view is row n of the others."""
        self.keys: Collection[str] = ()
        """The keys of the table of cells that is stored."""
        self._unchecked = list(unchecked)
        self._faults = [fault for m, view in enumerate(views) if view in self._unchecked for fault in faults(view, f"_{m}")]
        """What the rows of files that are not yet checked may not hold."""

    def relation(self, source: str | None = None) -> str:
        """A SELECT of the aligned rows: i0 …, y, w, g0 …, o0 …, c, t, and for file m p{m}_{k} (or p{m}) and v{m}, x{m} or h{m}.

        Args:
            source: FROM item of some rows, with columns as in `_flat`, which are kept; None: all rows, after `cells`.
        """
        columns = {"y": "NULL::BIGINT", "w": "1.0::DOUBLE"} | {i: f"{i}_0" for i in self.views[0].ids}
        for name, files in shared_columns(self.views).items():
            cells = [f"{name}_{m}" for m in files]
            columns[name] = cells[0] if len(cells) == 1 or name == "w" else f"coalesce({', '.join(cells)})"
        for m, view in enumerate(self.views):
            if view.predictions[0] in ("x", "h"):
                columns[f"{view.predictions[0]}{m}"] = f"{view.predictions[0]}_{m}"
                continue
            if (view.layout.classes or 0) > WIDE:
                columns[f"p{m}"] = f"l_{m}" if view.predictions == ("l",) else f"[{', '.join(view.probabilities(f'_{m}'))}]"
            else:
                columns |= {f"p{m}_{k}": sql for k, sql in enumerate(view.probabilities(f"_{m}"))}
            columns[f"v{m}"] = view.vote(f"_{m}")
        select = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
        return f"SELECT {select} FROM {self.source()}" if source is None else f"SELECT {select}, * FROM {source}"

    def source(self, rows: tuple[int, int] | None = None) -> str:
        """FROM item of the matched rows, or of a range of them (joined rows must be staged for that); columns as in `_flat`."""
        if self.staged:
            return f"(SELECT * FROM {STAGED} WHERE rowid >= {rows[0]} AND rowid < {rows[1]})" if rows else STAGED
        joined = self.alignment is not None and not self.side_by_side
        return _flat(
            self.views, _joined(self.views) if joined else " POSITIONAL JOIN ".join(view.scan(rows) for view in self.views)
        )

    def stage(self, views: Sequence[View] = ()) -> None:
        """Store the matched rows once, or ``views`` joined by id; the table spills under the memory limit."""
        if not self.staged:
            columns = _flat(views, _joined(views)) if views else self.source()
            unused = [f"{c}_{m}" for m, v in enumerate(self.views) for c in v.cells if c == "raw_y" or (m and c in v.ids)]
            exclude = f" EXCLUDE ({', '.join(unused)})" if unused else ""
            self.session.rows(f"CREATE TABLE {STAGED} AS SELECT *{exclude} FROM {columns}", doing="joining the files by id")
            self.staged = True

    def _troubles(self) -> list[str]:
        """Conditions on rows on which files disagree, or whose cells must be looked at again."""
        found = []
        for name, files in shared_columns(self.views).items():
            if len(files) > 1 and name[0] != "o":
                of_files = [f"{name}_{m}" for m in files]
                ends = of_files if len(files) == 2 else [f"{end}({', '.join(of_files)})" for end in ("least", "greatest")]
                found.append(" <> ".join(ends))
        found += [fault.condition for fault in self._faults if not fault.once]
        return [*found, *dict.fromkeys(fault.once for fault in self._faults if fault.once)]

    def _pass(
        self,
        keys: Mapping[str, str],
        wanted: Mapping[str, str],
        steps: Steps,
        troubles: Sequence[str],
        source: str | None = None,
        *,
        rising: bool = False,
    ) -> dict[str, Any]:
        """One pass over the rows, which stores the cells: how many rows there are, have labels, and meet a condition.

        Args:
            source: FROM item with columns as in `_flat`; None: files side by side, in ranges of rows that run in parallel (DuckDB
                joins by position in one thread).
            rising: also count rows whose id is not above that of the row before. Where there are none, no id is repeated.
        """
        sources, ids = [source] if source is not None else [], [f"{i}_0" for i in self.views[0].ids]
        if source is None:
            one, ranges = ids[0] if len(ids) == 1 else f"row({', '.join(ids)})", self._ranges()
            again = f", {one} <= lag({one}) OVER () AS again" if rising else ""
            sources = [f"(SELECT *{again} FROM {self.source(rows if len(ranges) > 1 else None)})" for rows in ranges]
        whole = [self.relation(each) for each in sources]
        for step in steps:
            columns = ", ".join(f"{sql} AS {name}" for name, sql in step.items())
            whole = [f"SELECT *, {columns} FROM ({rows})" for rows in whole]
        unchecked = {view.name for view in self._unchecked}
        weighted = [m for m, view in enumerate(self.views) if view.layout.weight and view.name in unchecked]
        weights = {f"_weight{m}": f"coalesce(sum(w_{m}), 0)" for m in weighted}
        own = {"rows": "count(*)", "_labelled": "count(y)", "_trouble": f"count_if({any_of(dict.fromkeys(troubles))})"} | weights
        own |= {"_falls": "count_if(again)"} if rising else {}
        sums = self._sums_in_sql(whole[0], wanted) if wanted else {}
        columns = ", ".join(f"{sql} AS {name}" for name, sql in (*keys.items(), *own.items(), *sums.items()))
        queries = [f"SELECT {columns} FROM ({rows}) GROUP BY ALL" for rows in whole]
        made, doing = f"CREATE OR REPLACE TABLE {CELLS} AS", "reading the predictions"
        if len(queries) == 1:
            self.session.rows(f"{made} {queries[0]}", doing=doing)
        else:
            self.session.rows(f"{made} {queries[0]} WITH NO DATA", doing=doing)
            self.session.parallel([f"INSERT INTO {CELLS} {query}" for query in queries], doing=doing)
        self.keys = keys
        totals = ", ".join(f"coalesce(sum({name}), 0)" for name in own)
        found = dict(zip(own, *self.session.rows(f"SELECT {totals} FROM {CELLS}", doing=doing), strict=True))
        if not all(found[name] for name in weights):
            self._check_cells()
        return found

    def _sums_in_sql(self, inner: str, wanted: Mapping[str, str]) -> dict[str, str]:
        """Expressions as sums over a query in float64; truth is counted, which is faster than a sum of ones."""
        columns = ", ".join(f"{expression} AS e{i}" for i, expression in enumerate(wanted.values()))
        described = self.session.rows(f"DESCRIBE SELECT {columns} FROM ({inner})", doing="reading the expressions")
        found = {}
        for (name, e), (_, kind, *_) in zip(wanted.items(), described, strict=True):
            total = f"count_if({e})" if kind == "BOOLEAN" else f"sum(CAST({e} AS DOUBLE))"
            found[name] = f"CAST(coalesce({total}, 0) AS DOUBLE)"
        return found

    def _ranges(self) -> list[tuple[int, int]]:
        total = self.rows[0]
        size = RANGE_ROWS * math.ceil(total / (RANGE_ROWS * RANGES))
        return [(start, start + size) for start in range(0, total, size)]

    def _check_cells(self) -> None:
        while self._unchecked:
            check_contents(self.session, self._unchecked.pop(0))
        self._faults = []


class Matcher(Passes):
    """Matches the rows of views, once."""

    def cells(self, keys: Mapping[str, str], sums: Mapping[str, str], steps: Steps) -> None:
        """Store the table ``cells``; the first call matches the rows in the same pass, and sets ``alignment``."""
        run = partial(self._pass, keys, sums, steps)
        if self.alignment is not None:
            run([], None if self.side_by_side and not self.staged else self.source())
        elif not ((self._starts_alike() and self._in_order(run, "same order")) or self._in_order_of_ids(run)):
            self._join(run)

    def _starts_alike(self) -> bool:
        """Whether rows are matched by position, or the first ids are the same in all files."""
        if not self.views[0].ids or len(set(self.rows)) > 1:
            return not self.views[0].ids
        if self.rows[0] <= PREFIX:
            return True  # the pass compares them
        heads = (f"SELECT {', '.join(view.ids)} FROM {view.name} LIMIT {PREFIX}" for view in self.views)
        first, *others = (self.session.rows(head, doing="reading ids") for head in heads)
        return all(head == first for head in others)

    def _in_order_of_ids(self, run: Pass) -> bool:
        """Match two files of which one has rising ids, with the other sorted by id; False where they must be joined.

        This takes no longer than a join, and leaves rows of a cluster near each other, which makes sums by cluster much faster.
        """
        given, comparable = self.views, len(self.rows) == 2 and self.rows[0] == self.rows[1]
        rising = [self._starts_rising(view) for view in given] if comparable else []
        if sum(rising) != 1:
            return False
        self.views = tuple(view if first else self._sorted(view) for view, first in zip(given, rising, strict=True))
        if not self._in_order(run, "joined"):
            self.views = given
            for view in given:
                self.session.rows(f"DROP TABLE IF EXISTS sorted_{view.name}", doing="joining the files by id")
        return self.side_by_side

    def _starts_rising(self, view: View) -> bool:
        """Whether each of the first ids is above the one before."""
        one = f"row({', '.join(view.ids)})"
        head = f"SELECT {', '.join(view.ids)} FROM {view.name} LIMIT {PREFIX}"
        sql = f"SELECT count_if(again) FROM (SELECT {one} <= lag({one}) OVER () AS again FROM ({head}))"
        return not self.session.rows(sql, doing="reading ids")[0][0]

    def _sorted(self, view: View) -> View:
        """The same columns in a table sorted by id; row numbers are not kept."""
        columns, table = ", ".join(f"{sql} AS {c}" for c, sql in view.cells.items() if c != "r"), f"sorted_{view.name}"
        sql = f"CREATE TABLE {table} AS SELECT {columns} FROM {view.scan()} ORDER BY {', '.join(view.ids)}"
        self.session.rows(sql, doing=f"{view.source.name}: sorting by id")
        cells = {column: f"{view.name}.{column}" for column in view.cells}
        return replace(view, table=f"{table} AS {view.name}", row="rowid", cells=cells)

    def _in_order(self, run: Pass, order: Order) -> bool:
        """Match files side by side, by position or with every id compared; False where they must be joined."""
        first = self.views[0]
        if not first.ids and len(set(self.rows)) > 1:
            told = ", ".join(f"{v.source.name} has {n:,}" for v, n in zip(self.views, self.rows, strict=True))
            raise BadInput(f"rows cannot be matched by position: {told}; pass --id to match them by id")
        differ = any_of(f"{i}_0 <> {i}_{m}" for m, v in enumerate(self.views) if m for i in v.ids)
        found = run([differ, *self._troubles()], rising=bool(first.ids))
        if found["_trouble"]:
            if self.session.rows(f"SELECT count_if({differ}) FROM {self.source()}", doing="comparing the ids")[0][0]:
                return False
            self._check_cells()
        may_repeat = first.ids and (found["_falls"] or self._falls_between_ranges())
        if may_repeat and duplicates(self.session, first, self.rows[0], allowed=self.drop):
            return False
        self.side_by_side = True
        self._accept(order if first.ids else "by position", found)
        return True

    def _falls_between_ranges(self) -> bool:
        """Whether the first id of a range is not above the last id of the range before."""
        first = self.views[0]
        ids = ", ".join(first.cells[i] for i in first.ids)
        for start, _ in self._ranges()[1:]:
            sql = f"SELECT {ids} FROM {first.table} WHERE {first.row} IN ({start - 1}, {start}) ORDER BY {first.row}"
            before, after = self.session.rows(sql, doing="reading ids")
            if before >= after:
                return True
        return False

    def _join(self, run: Pass) -> None:
        """Join by id; for two files that hold the same ids once each, one full join also makes the cells.

        Where every row has a partner and there are as many pairs as each file has rows, no id is twice in either.
        """
        if len(self.views) == 2 and self.rows[0] == self.rows[1]:
            # Every cell of a prediction holds something, so that a row without a partner is one where some are missing.
            alone = [any_of([f"{view.predictions[0]}_{m} IS NULL"]) for m, view in enumerate(self.views)]
            found = run([*alone, *self._troubles()], _flat(self.views, _joined(self.views, how="FULL JOIN")))
            if found["rows"] == self.rows[0] and not found["_trouble"]:
                self._accept("joined", found)
                return
        self._check_cells()
        self.stage(self._what_to_store())
        found = run(self._troubles(), STAGED)
        if found["rows"] == 0:
            raise BadInput(f"no id is in all {len(self.views)} files; choose another --id")
        self._accept("joined", found)

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
                raise unmatched_in(self.session, (first, view), (missing, extra), (rows[0], rows[m]))
        return self.views

    def _without_duplicates(self, view: View, rows: int) -> View:
        """A file without the ids that several of its rows have."""
        duplicates(self.session, view, rows, allowed=self.drop)
        sql = f"SELECT * FROM {view.name} ANTI JOIN duplicated_{view.name} USING ({', '.join(view.ids)})"
        self.session.rows(f"CREATE VIEW unique_{view.name} AS {sql}", doing="leaving out duplicated ids")
        return view.over(f"unique_{view.name}")

    def _accept(self, order: Order, found: Mapping[str, Any]) -> None:
        if found["_trouble"]:
            self._check_cells()  # whether a label is a class is checked on the label that files agree on
            raise conflict(self.session, self.views, int(found["rows"]))
        rows, self._unchecked, self._faults = int(found["rows"]), [], []
        dropped = (count + view.unanswered - rows for count, view in zip(self.rows, self.views, strict=True))
        self.alignment = Alignment(order, rows, int(found["_labelled"]), tuple(dropped))


def _flat(views: Sequence[View], source: str) -> str:
    """FROM item with every column c of every file m, named c_m, over a FROM clause of their scans."""
    columns = [f"{sql} AS {c}_{m}" for m, view in enumerate(views) for c, sql in view.cells.items() if c != "r"]
    return f"(SELECT {', '.join(columns)} FROM {source})"


def _joined(views: Sequence[View], *, how: str = "JOIN") -> str:
    """FROM clause that joins every file to the first by id; a full join keeps the rows that only one file has."""
    first, *others = views
    same = (all_of(f"{first.cells[i]} = {view.cells[i]}" for i in view.ids) for view in others)
    return first.scan() + "".join(f" {how} {view.scan()} ON {ids}" for view, ids in zip(others, same, strict=True))
