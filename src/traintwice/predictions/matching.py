"""Which row of one file belongs to which row of another: verified where files are in the same order, joined where not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from traintwice.errors import BadInput
from traintwice.predictions.session import Session, all_of, any_of
from traintwice.predictions.views import View, check_contents, flat, relation, shared_columns, show_id, suspicious

Order = Literal["by position", "same order", "joined"]
Steps = Sequence[Mapping[str, str]]

RANGE_ROWS = 10 * 122_880
"""The least rows that one thread reads side by side at a time, and a divisor of them: whole row groups of usual Parquet files, and
the same on every machine, so that sums are formed in the same order."""

RANGES = 8
"""The most ranges that are read side by side: each costs a look at both files."""

PREFIX = 2048
"""Rows whose ids are compared before the way is chosen; every id is compared afterwards."""

SHOWN = 5
"""Ids shown in a message."""

STAGED = "aligned"
"""The temporary table that holds joined rows."""


@dataclass(frozen=True)
class Alignment:
    """How rows were matched.

    Attributes:
        order: rows matched by position as asked; found in the same order, every id compared; or joined by id.
        rows: rows that all files share.
        labelled: how many of them have a label.
        dropped: for each file the rows that were left out, with ``on_missing="drop"``.
    """

    order: Order
    rows: int
    labelled: int
    dropped: tuple[int, ...]


class Matcher:
    """Matches the rows of views, once.

    Args:
        session: where the views live.
        views, rows: the files, and how many rows each has.
        unchecked: views whose cells are checked in the pass that matches the rows.
        drop: leave out ids that are missing elsewhere or are on several rows, instead of refusing them.
    """

    def __init__(
        self, session: Session, views: Sequence[View], rows: Sequence[int], *, unchecked: Sequence[View] = (), drop: bool
    ) -> None:
        self.session, self.views, self.rows, self.drop = session, tuple(views), tuple(rows), drop
        self.staged = False
        self.alignment: Alignment | None = None
        self._unchecked = list(unchecked)
        # Assumed until a pass finds a row of the first file without a label: no other file is then read for it.
        self._first_suffices = True

    def relation(self, source: str | None = None) -> str:
        """A SELECT of the aligned rows, after `match`; of all, or of a FROM item of `rows_of` with its columns."""
        return relation(self.views, source or self._source(), first_suffices=self._first_suffices, everything=source is not None)

    def rows_of(self, start: int, stop: int) -> str:
        """FROM item of some of the rows, its columns named as by `flat`; joined rows must be staged."""
        if self.staged:
            return f"(SELECT * FROM {STAGED} WHERE rowid >= {start} AND rowid < {stop})"
        return f"({flat(self.views, _side_by_side(self.views, (start, stop)))})"

    def stage(self, views: Sequence[View] = ()) -> None:
        """Store the matched rows once; the table spills under the memory limit.

        Args:
            views: what to join by id, where rows are not matched yet.
        """
        if not self.staged:
            columns = f"({flat(views, _joined(views))})" if views else self._source()
            unused = [
                f"{c}_{m}" for m, view in enumerate(self.views) for c in view.cells if c == "raw_y" or (m and c in view.ids)
            ]
            select = f"SELECT *{f' EXCLUDE ({chr(44).join(unused)})' if unused else ''} FROM {columns}"
            self.session.rows(f"CREATE TABLE {STAGED} AS {select}", doing="joining the files by id")
            self.staged = True

    def _source(self) -> str:
        """FROM item of the matched rows, its columns named as by `flat`."""
        if self.staged:
            return STAGED
        joined = self.alignment is not None and self.alignment.order == "joined"
        return f"({flat(self.views, _joined(self.views) if joined else _side_by_side(self.views))})"

    def match(self, sums: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Match the rows, setting ``alignment``; the sums of the expressions over them come from the same pass.

        Raises:
            BadInput: ids that are on several rows, or in one file only, cells that cannot be measured, or rows on which two
                files disagree.
        """
        by_id = bool(self.views[0].ids)
        found = self._in_order(sums, steps) if not by_id or self._looks_equal() else None
        found = self._join(sums, steps) if found is None else found
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def sums(self, sums: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Sums of expressions over rows that are matched already."""
        in_ranges = self.alignment is not None and self.alignment.order != "joined" and not self.staged
        found = self._pass({}, sums, steps, None if in_ranges else self._source())
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def _looks_equal(self) -> bool:
        """True where the files are as long as each other and start with the same ids: worth trying the fast path."""
        if len(set(self.rows)) > 1:
            return False
        first = self.views[0]
        heads = [
            self.session.rows(f"SELECT {', '.join(v.ids)} FROM {v.name} LIMIT {PREFIX}", doing=f"{v.source.name}: reading ids")
            for v in self.views
        ]
        return all(head == heads[0] for head in heads[1:])

    def _in_order(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any] | None:
        """Files side by side, by position or with every id compared; None where they must be joined after all."""
        first = self.views[0]
        if not first.ids and len(set(self.rows)) > 1:
            told = ", ".join(f"{v.source.name} has {n:,}" for v, n in zip(self.views, self.rows, strict=True))
            raise BadInput(f"rows cannot be matched by position: {told}; pass --id to match them by id")
        rising = bool(first.ids)
        differ = {f"differ_{m}": any_of(f"{i}_0 <> {i}_{m}" for i in v.ids) for m, v in enumerate(self.views) if m and rising}
        checks = self._checks(differ)
        found = self._pass(checks, sums, steps, rising=rising)
        self._check_suspicious(found)
        if any(found[name] for name in differ):
            return None
        if self._lacks_labels(found):
            found = self._pass(checks, sums, steps, rising=rising)
        if rising and (found["not_rising"] or self._not_rising_across()):
            repeated, shown = self._duplicates(first)
            if repeated and self.drop:
                return None
            if repeated:
                self._refuse_duplicates(repeated, shown, 0)
        return self._accept("same order" if rising else "by position", found)

    def _join(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any]:
        """Join by id; for two files that hold the same ids once each, one full join also takes the sums.

        Where every row has a partner and there are as many pairs as each file has rows, no id is twice in either.
        """
        if len(self.views) == 2 and self.rows[0] == self.rows[1]:
            pairs = f"({flat(self.views, _joined(self.views, how='FULL JOIN'))})"
            # Every cell of a prediction holds something, so that a row without a partner is one where some are missing.
            partners = {f"paired_{m}": f"count({v.predictions[0]}_{m})" for m, v in enumerate(self.views)}
            checks = partners | self._checks({})
            found = self._pass(checks, sums, steps, pairs)
            self._check_suspicious(found)
            if all(found[name] == found["total"] == self.rows[0] for name in partners):
                if self._lacks_labels(found):
                    found = self._pass(checks, sums, steps, pairs)
                return self._accept("joined", found)
        while self._unchecked:
            check_contents(self.session, self._unchecked.pop(0))
        self.stage(self._what_to_store())
        self._first_suffices = False
        found = self._pass(self._checks({}), sums, steps, STAGED)
        if found["total"] == 0:
            raise BadInput(f"no id is in all {len(self.views)} files; choose another --id")
        return self._accept("joined", found)

    def _what_to_store(self) -> Sequence[View]:
        """Views of the files to be joined, after a look at how the ids of each file match the first's by a full join.

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
                return self._without_duplicates()
            if (missing or extra) and not self.drop:
                self._refuse_unmatched(m, missing, extra)
        return self.views

    def _without_duplicates(self) -> list[View]:
        """Views of the files without the ids that several rows of a file have."""
        views = []
        for m, view in enumerate(self.views):
            repeated, shown = self._duplicates(view)
            if repeated and not self.drop:
                self._refuse_duplicates(repeated, shown, m)
            sql = f"SELECT * FROM {view.name} ANTI JOIN duplicated_{view.name} USING ({', '.join(view.ids)})"
            self.session.rows(f"CREATE VIEW unique_{view.name} AS {sql}", doing=f"{view.source.name}: leaving out duplicated ids")
            views.append(view.over(f"unique_{view.name}"))
        return views

    def _duplicates(self, view: View) -> tuple[int, str]:
        """How many ids are on more than one row, and the first few; made by hash, spilling under the memory limit."""
        ids, table, doing = ", ".join(view.ids), f"duplicated_{view.name}", f"{view.source.name}: looking for duplicated ids"
        sql = f"SELECT {ids}, min(r) AS r FROM {view.name} GROUP BY {ids} HAVING count(*) > 1"
        self.session.rows(f"CREATE OR REPLACE TABLE {table} AS {sql}", doing=doing)
        ((count,),) = self.session.rows(f"SELECT count(*) FROM {table}", doing=doing)
        return int(count), _ids(self.session.rows(f"SELECT {ids} FROM {table} ORDER BY r LIMIT {SHOWN}", doing=doing))

    def _refuse_duplicates(self, count: int, shown: str, m: int) -> None:
        told = f"{self.views[m].source.name}: {count:,} ids are on more than one of its {self.rows[m]:,} rows"
        advice = (
            "an id must name one row. Pass to --id the columns that together name a row (and to --cluster the one by which rows belong "
            "together), or --draws COLUMN where a model answered an item several times, or --on-missing drop to leave those ids out"
        )
        raise BadInput(f"{told} (first: {shown}); {advice}", without_cells=f"{told}; {advice}")

    def _refuse_unmatched(self, m: int, missing: int, extra: int) -> None:
        """Raise for ids that only one of two files has."""
        first, other, rows = self.views[0], self.views[m], self.rows
        told, shown = [], []
        for count, one, two, of, what in (
            (missing, first, other, rows[0], f"are missing from {other.source.name}"),
            (extra, other, first, rows[m], f"are extra, not in {first.source.name}"),
        ):
            if count:
                same, ids = all_of(f"a.{i} = b.{i}" for i in one.ids), ", ".join(f"a.{i}" for i in one.ids)
                sql = f"SELECT {ids} FROM {one.name} a ANTI JOIN {two.name} b ON {same} ORDER BY a.r LIMIT {SHOWN}"
                told.append(f"{count:,} of {of:,} ids of {one.source.name} {what}")
                shown.append(f" (first: {_ids(self.session.rows(sql, doing=f'{one.source.name}: comparing ids'))})")
        shared = rows[0] - missing
        advice = f"Pass --on-missing drop to compare the {shared:,} rows that both have"
        advice = advice if shared else "They share no id: choose another --id"
        whole = "; ".join(part + ids for part, ids in zip(told, shown, strict=True))
        raise BadInput(f"{whole}. {advice}", without_cells=f"{'; '.join(told)}. {advice}")

    def _conflicts(self) -> list[tuple[str, int, int]]:
        """Columns that belong to the example and that several files have: the column, the first file, another file."""
        shared = shared_columns(self.views)
        return [(column, first, m) for column, (first, *others) in shared.items() for m in others]

    def _refuse_conflicts(self, found: Mapping[str, Any]) -> None:
        """Raise where two files disagree on what belongs to a row."""
        for column, a, b in self._conflicts():
            count = found[f"conflict_{column}_{b}"]
            if not count:
                continue
            first, other = self.views[a], self.views[b]
            keys = first.ids or ("r",)
            ids, same = ", ".join(f"a.{i}" for i in keys), all_of(f"a.{i} = b.{i}" for i in keys)
            sql = f"SELECT a.r, a.{column}, b.{column}, {ids} FROM {first.name} a JOIN {other.name} b ON {same}"
            sql += f" WHERE a.{column} <> b.{column} ORDER BY a.r LIMIT 1"
            ((row, one, two, *values),) = self.session.rows(sql, doing="comparing the files")
            role = {"y": "label", "w": "weight", "c": "cluster", "t": "time"}.get(column, "group")
            told = f"{other.source.name}: {count:,} of {found['total']:,} rows have another {role} in {other.names[column]!r}"
            told, where = f"{told} than in {first.source.name}", f", id {show_id(values)}" if first.ids else ""
            advice = "the files must be about the same examples: fix one of them, or leave the column out of one"
            raise BadInput(f"{told} (first: row {row:,}{where}: {one} and {two}); {advice}", without_cells=f"{told}; {advice}")

    def _checks(self, conditions: Mapping[str, str]) -> dict[str, str]:
        """Aggregates over the columns of `flat`: how many rows meet conditions, which files disagree, whose cells to look at again."""
        every = {**conditions, **{f"conflict_{c}_{b}": f"{c}_{a} <> {c}_{b}" for c, a, b in self._conflicts()}}
        checks = {name: f"coalesce(count_if({condition}), 0)" for name, condition in every.items()}
        for m, view in enumerate(self.views):
            if view in self._unchecked:
                checks[f"suspicious_{m}"] = suspicious(view, f"{{}}_{m}".format)
        return checks

    def _check_suspicious(self, found: Mapping[str, Any]) -> None:
        """Check the cells of all files where the pass that matched them was suspicious of some."""
        if any(count for name, count in found.items() if name.startswith("suspicious_")):
            while self._unchecked:
                check_contents(self.session, self._unchecked.pop(0))

    def _lacks_labels(self, found: Mapping[str, Any]) -> bool:
        """Whether a pass that read the labels of one file alone must be made again, because the others may have more."""
        several = sum("y" in view.cells for view in self.views) > 1
        again = several and self._first_suffices and found["labelled"] < found["total"]
        self._first_suffices = not again and self._first_suffices
        return bool(again)

    def _ranges(self) -> list[tuple[int, int]]:
        total = self.rows[0]
        size = RANGE_ROWS * math.ceil(total / (RANGE_ROWS * RANGES))
        return [(start, min(start + size, total)) for start in range(0, total, size)]

    def _not_rising_across(self) -> bool:
        """Whether the first row of a range has an id that is not above that of the row before."""
        starts, first = [start for start, _ in self._ranges()[1:]], self.views[0]
        if not starts:
            return False
        rows, of = ", ".join(f"{start - 1}, {start}" for start in starts), ", ".join(map(str, starts))
        pairs = f"SELECT r, {_not_rising(first.ids, 'ORDER BY r')} AS again FROM {first.name} WHERE r IN ({rows})"
        sql = f"SELECT coalesce(bool_or(again), false) FROM ({pairs}) WHERE r IN ({of})"
        return bool(self.session.rows(sql, doing=f"{first.source.name}: reading ids")[0][0])

    def _pass(
        self, checks: Mapping[str, str], sums: Mapping[str, str], steps: Steps, source: str | None = None, *, rising: bool = False
    ) -> dict[str, Any]:
        """One pass over the rows: how many there are and have labels, what the checks count, and the sums.

        Args:
            source: FROM item with its columns named as by `flat`; None: files side by side, in ranges of rows that run in
                parallel (DuckDB joins by position in one thread).
            rising: also count rows whose id is not above that of the row before.
        """
        sources, doing = [source] if source is not None else [], "reading the predictions"
        if source is None:
            again = f", {_not_rising([f'{i}_0' for i in self.views[0].ids])} AS again" if rising else ""
            for rows in self._ranges() if len(self._ranges()) > 1 else [None]:
                sources.append(f"(SELECT *{again} FROM ({flat(self.views, _side_by_side(self.views, rows))}))")
        whole = [layers(self.relation(each), steps) for each in sources]
        wanted = ["count(*) AS total", "count(y) AS labelled", *[f"{sql} AS {name}" for name, sql in checks.items()]]
        wanted += ["coalesce(count_if(again), 0) AS not_rising"] if rising else []
        wanted += [f"{sql} AS sum_{i}" for i, sql in enumerate(aggregates(self.session, whole[0], sums))]
        queries = [f"SELECT {', '.join(wanted)} FROM ({rows})" for rows in whole]
        if len(queries) == 1:
            return self.session.records(queries[0], doing=doing)[0]
        parts = self.session.parallel_records(queries, doing=doing)
        return {name: _total([part[name] for part in parts]) for name in parts[0]}

    def _accept(self, order: Order, found: dict[str, Any]) -> dict[str, Any]:
        self._refuse_conflicts(found)
        dropped = tuple(rows - found["total"] for rows in self.rows)
        self.alignment = Alignment(order, found["total"], found["labelled"], dropped)
        return found


def _side_by_side(views: Sequence[View], rows: tuple[int, int] | None = None) -> str:
    """FROM clause that puts row n of every file side by side, for all rows or those in a range."""
    return " POSITIONAL JOIN ".join(view.scan(rows) for view in views)


def _joined(views: Sequence[View], *, how: str = "JOIN") -> str:
    """FROM clause that joins every file to the first by id; a full join keeps the rows that only one file has."""
    first, *others = views
    text = first.scan()
    for view in others:
        text += f" {how} {view.scan()} ON {all_of(f'{first.cells[i]} = {view.cells[i]}' for i in view.ids)}"
    return text


def _not_rising(ids: Sequence[str], window: str = "") -> str:
    """The condition that a row's id is not above that of the row before. Where it is never met, no id is repeated."""
    now = ids[0] if len(ids) == 1 else f"row({', '.join(ids)})"
    return f"{now} <= lag({now}) OVER ({window})"


def layers(inner: str, steps: Steps) -> str:
    """A query with further columns, each step computed from the columns before it."""
    for step in steps:
        inner = f"SELECT *, {', '.join(f'{sql} AS {name}' for name, sql in step.items())} FROM ({inner})"
    return inner


def aggregates(session: Session, inner: str, expressions: Mapping[str, str]) -> list[str]:
    """The SQL that sums each expression over a query in float64; truth is counted (faster than adding ones), NULL is nothing."""
    if not expressions:
        return []
    columns = ", ".join(f"{expression} AS e{i}" for i, expression in enumerate(expressions.values()))
    described = session.rows(f"DESCRIBE SELECT {columns} FROM ({inner})", doing="reading the expressions")
    return [
        f"CAST(coalesce({f'count_if({e})' if row[1] == 'BOOLEAN' else f'sum(CAST({e} AS DOUBLE))'}, 0) AS DOUBLE)"
        for e, row in zip(expressions.values(), described, strict=True)
    ]


def _total(parts: list[Any]) -> Any:
    return math.fsum(parts) if isinstance(parts[0], float) and all(map(math.isfinite, parts)) else sum(parts)


def _ids(shown: Sequence[tuple[Any, ...]]) -> str:
    return ", ".join(show_id(values) for values in shown)
