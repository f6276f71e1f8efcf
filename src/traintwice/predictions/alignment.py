"""Which row of one file belongs to which row of another: verified where files are in the same order, joined where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from traintwice.errors import BadInput
from traintwice.predictions.canonical import View
from traintwice.predictions.contents import show_id
from traintwice.predictions.session import Session
from traintwice.predictions.sql import all_of, any_of

Order = Literal["by position", "same order", "joined"]

PREFIX = 2048
"""Rows whose ids are compared before the way is chosen; every id is compared afterwards."""

SHOWN = 5
"""Ids shown in a message."""


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


def looks_equal(session: Session, views: Sequence[View], rows: Sequence[int]) -> bool:
    """True where the files are as long as each other and start with the same ids: worth trying the fast path."""
    if len(set(rows)) > 1:
        return False
    heads = [
        session.rows(f"SELECT {', '.join(v.ids)} FROM {v.name} LIMIT {PREFIX}", doing=f"{v.source.name}: reading ids")
        for v in views
    ]
    return all(head == heads[0] for head in heads[1:])


def from_positions(views: Sequence[View], rows: tuple[int, int] | None = None) -> str:
    """FROM clause that puts row n of every file side by side, for all rows or those in a range."""
    return " POSITIONAL JOIN ".join(view.scan(rows) for view in views)


def from_pairs(first: View, other: View) -> str:
    """FROM clause that puts every row of two files beside those of the other with the same id, or beside nothing."""
    same = all_of(f"{first.cell(i)} = {other.cell(i)}" for i in first.ids)
    return f"{first.scan()} FULL JOIN {other.scan()} ON {same}"


def from_join(views: Sequence[View], *, how: str = "JOIN", names: Sequence[str] = ()) -> str:
    """FROM clause that joins every file to the first by id."""
    names = names or tuple(view.name for view in views)
    text = f"{names[0]} AS {views[0].name}"
    for view, name in zip(views[1:], names[1:], strict=True):
        same = all_of(f"{views[0].name}.{i} = {view.name}.{i}" for i in view.ids)
        text += f" {how} {name} AS {view.name} ON {same}"
    return text


def label_conflicts(views: Sequence[View]) -> dict[str, str]:
    """For each further file with labels, the condition that a row has another label in it than in the first; over `flat`."""
    labelled = [m for m, v in enumerate(views) if v.layout.label]
    return {f"conflict_{views[m].name}": f"y_{labelled[0]} <> y_{m}" for m in labelled[1:]}


def order_checks(views: Sequence[View]) -> dict[str, str]:
    """Conditions on files side by side, none of whose ids is missing: a row's id differs from the first file's; over `flat`."""
    return {f"differ_{v.name}": any_of(f"{i}_0 <> {i}_{m}" for i in v.ids) for m, v in enumerate(views) if m}


def not_rising(ids: Sequence[str], window: str = "") -> str:
    """The condition that a row's id is not above that of the row before. Where it is never met, no id stands twice."""
    now = ids[0] if len(ids) == 1 else f"row({', '.join(ids)})"
    return f"{now} <= lag({now}) OVER ({window})"


def not_rising_across(session: Session, view: View, starts: Sequence[int]) -> bool:
    """Whether one of some rows has an id that is not above that of the row before."""
    if not starts:
        return False
    rows = ", ".join(f"{start - 1}, {start}" for start in starts)
    pairs = f"SELECT r, {not_rising(view.ids, 'ORDER BY r')} AS again FROM {view.name} WHERE r IN ({rows})"
    found = session.rows(
        f"SELECT coalesce(bool_or(again), false) FROM ({pairs}) WHERE r IN ({', '.join(map(str, starts))})",
        doing=f"{view.source.name}: reading ids",
    )
    return bool(found[0][0])


def refuse_conflicts(found: Mapping[str, Any], views: Sequence[View], rows: int) -> None:
    """Raise where two files disagree on the label of a row."""
    labelled = [v for v in views if v.layout.label]
    for view in labelled[1:]:
        count = found[f"conflict_{view.name}"]
        if count:
            raise BadInput(
                f"{view.source.name}: {count:,} of {rows:,} rows have another label in {view.layout.label!r} than in "
                f"{labelled[0].source.name}; the files must be about the same examples"
            )


def duplicates(session: Session, view: View) -> tuple[int, list[tuple[Any, ...]]]:
    """How many ids stand on more than one row, and the first few; made by hash, spilling under the memory limit."""
    ids = ", ".join(view.ids)
    sql = (
        f"CREATE OR REPLACE TABLE duplicated_{view.name} AS SELECT {ids}, count(*) AS times, min(r) AS r FROM {view.name} "
        f"GROUP BY {ids} HAVING count(*) > 1"
    )
    doing = f"{view.source.name}: looking for duplicated ids"
    session.rows(sql, doing=doing)
    ((count,),) = session.rows(f"SELECT count(*) FROM duplicated_{view.name}", doing=doing)
    shown = session.rows(f"SELECT {ids} FROM duplicated_{view.name} ORDER BY r LIMIT {SHOWN}", doing=doing)
    return int(count), shown


def refuse_duplicates(count: int, shown: Sequence[tuple[Any, ...]], view: View, rows: int) -> None:
    """Raise for ids that stand on several rows."""
    said = f"{view.source.name}: {count:,} ids stand on more than one of its {rows:,} rows"
    advice = "an id must name one example. Pass the columns that together do to --id, or --on-missing drop to leave those ids out"
    raise BadInput(f"{said} (first: {_ids(shown)}); {advice}", without_cells=f"{said}; {advice}")


def refuse_unmatched(session: Session, first: View, other: View, missing: int, extra: int, rows: tuple[int, int]) -> None:
    """Raise for ids that only one of two files has."""
    said, shown = [], []
    if missing:
        said.append(f"{missing:,} of {rows[0]:,} ids of {first.source.name} are missing from {other.source.name}")
        shown.append(_only_in(session, first, other))
    if extra:
        said.append(f"{extra:,} of {rows[1]:,} ids of {other.source.name} are extra, not in {first.source.name}")
        shown.append(_only_in(session, other, first))
    shared = rows[0] - missing
    advice = (
        f"Pass --on-missing drop to compare the {shared:,} rows that both have"
        if shared
        else "They share no id: choose another --id"
    )
    told = [f"{part} (first: {ids})" for part, ids in zip(said, shown, strict=True)]
    raise BadInput(f"{'; '.join(told)}. {advice}", without_cells=f"{'; '.join(said)}. {advice}")


def _only_in(session: Session, view: View, other: View) -> str:
    same = all_of(f"a.{i} = b.{i}" for i in view.ids)
    ids = ", ".join(f"a.{i}" for i in view.ids)
    sql = f"SELECT {ids} FROM {view.name} a ANTI JOIN {other.name} b ON {same} ORDER BY a.r LIMIT {SHOWN}"
    return _ids(session.rows(sql, doing=f"{view.source.name}: comparing ids"))


def _ids(shown: Sequence[tuple[Any, ...]]) -> str:
    return ", ".join(show_id(tuple(values)) for values in shown)
