"""Rows that cannot be matched, in words: ids on several rows, ids that one file lacks, values that differ between files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from traintwice.errors import BadInput
from traintwice.predictions._session import Session, all_of, show_id
from traintwice.predictions._views import View

SHOWN = 5
"""Ids that a message shows."""

ROLES = {"y": "label", "w": "weight", "c": "cluster", "t": "time"}


def shared_columns(views: Sequence[View]) -> dict[str, list[int]]:
    """Each column that belongs to the example and not to a model (y, w, c, t, g0 …, o0 …), and the files that have it."""
    names = dict.fromkeys(c for view in views for c in view.cells if c in ROLES or c[0] in "go")
    return {name: [m for m, view in enumerate(views) if name in view.cells] for name in names}


def duplicates(session: Session, view: View) -> tuple[int, str]:
    """How many ids are on more than one row, and the first few; by hash, spilling under the memory limit."""
    ids, table, doing = ", ".join(view.ids), f"duplicated_{view.name}", f"{view.source.name}: looking for duplicated ids"
    sql = f"SELECT {ids}, min(r) AS r FROM {view.name} GROUP BY {ids} HAVING count(*) > 1"
    session.rows(f"CREATE OR REPLACE TABLE {table} AS {sql}", doing=doing)
    ((count,),) = session.rows(f"SELECT count(*) FROM {table}", doing=doing)
    shown = session.rows(f"SELECT {ids} FROM {table} ORDER BY r LIMIT {SHOWN}", doing=doing)
    return int(count), ", ".join(map(show_id, shown))


def repeated_in(view: View, count: int, shown: str, rows: int) -> BadInput:
    return repeated(view.source.name, count, rows, f" (first: {shown})")


def repeated(name: str, count: int, rows: int, shown: str = "") -> BadInput:
    """The error for ids that are on several rows."""
    told = f"{name}: {count:,} ids are on more than one of its {rows:,} rows"
    advice = (
        "an id must name one row. Pass to --id the columns that together name a row (and to --cluster the column by which rows belong "
        "together), or --draws COLUMN where a model answered an item several times, or --on-missing drop to leave those ids out"
    )
    return BadInput(f"{told}{shown}; {advice}", without_cells=f"{told}; {advice}")


def unmatched_in(session: Session, views: tuple[View, View], alone: tuple[int, int], rows: tuple[int, int]) -> BadInput:
    """The error for ids that only one of two files has."""
    shown = []
    for m in (0, 1):
        same, ids = all_of(f"a.{i} = b.{i}" for i in views[0].ids), ", ".join(f"a.{i}" for i in views[0].ids)
        sql = f"SELECT {ids} FROM {views[m].name} a ANTI JOIN {views[1 - m].name} b ON {same} ORDER BY a.r LIMIT {SHOWN}"
        found = session.rows(sql, doing="comparing ids") if alone[m] else []
        shown.append(f" (first: {', '.join(map(show_id, found))})")
    return unmatched((views[0].source.name, views[1].source.name), alone, rows, shown)


def unmatched(names: tuple[str, str], alone: Sequence[int], rows: Sequence[int], shown: Sequence[str] = ("", "")) -> BadInput:
    """The error for ids that only one of two models has: how many of how many rows, and the first of them."""
    what = (f"are missing from {names[1]}", f"are extra, not in {names[0]}")
    told = [f"{alone[m]:,} of {rows[m]:,} ids of {names[m]} {what[m]}" if alone[m] else "" for m in (0, 1)]
    shared = f"Pass --on-missing drop to compare the {rows[0] - alone[0]:,} rows that both have"
    advice = shared if rows[0] > alone[0] else "They share no id: choose another --id"
    whole = "; ".join(part + ids for part, ids in zip(told, shown, strict=True) if part)
    return BadInput(f"{whole}. {advice}", without_cells=f"{'; '.join(filter(None, told))}. {advice}")


def conflict(session: Session, views: Sequence[View], rows: int) -> BadInput:
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
