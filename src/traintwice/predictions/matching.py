"""Carries out an alignment: the passes over the files that verify their order or join them, and the sums taken on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions import alignment as rules
from traintwice.predictions.alignment import Alignment
from traintwice.predictions.canonical import View
from traintwice.predictions.contents import check_contents, suspicious
from traintwice.predictions.relation import Relation, flat, over_flat, over_staged, over_views
from traintwice.predictions.session import Session

RANGE_ROWS = 10 * 122_880
"""The least rows that one thread reads side by side at a time, and a divisor of them: whole row groups of usual Parquet files, and
the same on every machine, so that sums are formed in the same order."""

RANGES = 8
"""The most ranges that are read side by side: each costs a look at both files."""

Steps = Sequence[Mapping[str, str]]


class Matcher:
    """Matches the rows of views, once.

    Args:
        session: where the views live.
        views, rows: the files, and how many rows each has.
        groups: names of the group columns.
        unchecked: views whose cells are checked in the pass that matches the rows.
        drop: leave out ids that are missing elsewhere or stand on several rows, instead of refusing them.
    """

    def __init__(
        self,
        session: Session,
        views: Sequence[View],
        rows: Sequence[int],
        groups: Sequence[str],
        *,
        unchecked: Sequence[View] = (),
        drop: bool,
    ) -> None:
        self.session = session
        self.views = tuple(views)
        self.rows = tuple(rows)
        self.groups = tuple(groups)
        self.drop = drop
        self.staged = False
        self.alignment: Alignment | None = None
        self._unchecked = list(unchecked)
        # Assumed until a pass finds a row of the first file without a label: no other file is then read for it.
        self._first_label_suffices = True

    def relation(self) -> Relation:
        """The aligned rows, after `match`."""
        if self.staged:
            return over_staged(self.views, self.groups)
        joined = self.alignment is not None and self.alignment.order == "joined"
        return self._over_views(rules.from_join(self.views) if joined else self._positions_of_views())

    def stage(self, names: Sequence[str] = ()) -> None:
        """Store the joined rows once; the table spills under the memory limit."""
        if not self.staged:
            relation = self._over_views(rules.from_join(self.views, names=names))
            self.session.rows(relation.stage(), doing="joining the files by id")
            self.staged = True

    def match(self, sums: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Match the rows, setting ``alignment``; the sums of the expressions over them come from the same pass.

        Raises:
            BadInput: ids that stand on several rows, in one file only, cells that cannot be measured, or rows on whose label two
                files disagree.
        """
        by_id = bool(self.views[0].ids)
        found = self._same_order(sums, steps) or self._join(sums, steps) if by_id else self._by_position(sums, steps)
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def sums(self, sums: Mapping[str, str], steps: Steps = ()) -> dict[str, float]:
        """Sums of expressions over rows that are matched already."""
        if self.alignment is not None and self.alignment.order != "joined":
            found = self._pass_side_by_side({}, sums, steps)
        else:
            found = self._pass(self.relation(), {}, sums, steps)
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def _over_views(self, source: str) -> Relation:
        return over_views(self.views, self.groups, source, first_label_suffices=self._first_label_suffices)

    def _over_flat(self, source: str) -> Relation:
        return over_flat(self.views, self.groups, source, first_label_suffices=self._first_label_suffices)

    def _positions_of_views(self) -> str:
        return " POSITIONAL JOIN ".join(view.name for view in self.views)

    def _by_position(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any]:
        if len(set(self.rows)) > 1:
            told = ", ".join(f"{v.source.name} has {n:,}" for v, n in zip(self.views, self.rows, strict=True))
            raise BadInput(f"rows cannot be matched by position: {told}; pass --id to match them by id")
        checks = self._counts(rules.label_conflicts(self.views)) | self._suspicions(ids=False)
        found = self._pass_side_by_side(checks, sums, steps)
        if self._lacks_labels(found):
            found = self._pass_side_by_side(checks, sums, steps)
        if self._is_suspicious(found):
            self._check_cells()
        return self._accept("by position", found)

    def _same_order(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any] | None:
        """The fast path; None where some id differs after all, so that the files must be joined."""
        views = self.views
        if not rules.looks_equal(self.session, views, self.rows):
            return None
        checks = self._counts(rules.order_checks(views) | rules.label_conflicts(views)) | self._suspicions(ids=True)
        found = self._pass_side_by_side(checks, sums, steps, rising=True)
        if self._is_suspicious(found):
            self._check_cells()
        if any(found[f"differ_{v.name}"] for v in views[1:]):
            return None
        if self._lacks_labels(found):
            found = self._pass_side_by_side(checks, sums, steps, rising=True)
        starts = [start for start, _ in self._ranges()[1:]]
        if found["not_rising"] or rules.not_rising_across(self.session, views[0], starts):
            repeated, shown = rules.duplicates(self.session, views[0])
            if repeated and self.drop:
                return None
            if repeated:
                rules.refuse_duplicates(repeated, shown, views[0], self.rows[0])
        return self._accept("same order", found)

    def _join(self, sums: Mapping[str, str], steps: Steps) -> dict[str, Any]:
        """Join by id; for two files that hold the same ids once each, one full join also takes the sums.

        Where every row has a partner and there are as many pairs as each file has rows, no id stands twice in either.
        """
        if len(self.views) == 2 and self.rows[0] == self.rows[1]:
            pairs = self._over_flat(f"({flat(self.views, rules.from_pairs(*self.views))})")
            # Every cell of a prediction holds something, so that a row without a partner is one where some are missing.
            partners = {f"paired_{v.name}": f"count({v.predictions[0]}_{m})" for m, v in enumerate(self.views)}
            checks = partners | self._counts(rules.label_conflicts(self.views)) | self._suspicions(ids=False)
            found = self._pass(pairs, checks, sums, steps)
            if self._is_suspicious(found):
                self._check_cells()
            if all(found[name] == found["total"] == self.rows[0] for name in partners):
                if self._lacks_labels(found):
                    pairs = self._over_flat(pairs.source)
                    found = self._pass(pairs, checks, sums, steps)
                return self._accept("joined", found)
        self._check_cells()
        return self._join_and_store(sums, steps, self._what_to_store())

    def _what_to_store(self) -> Sequence[str]:
        """Views of the files to be joined, after a look at how the ids of each file match the first's by a full join.

        With M matched pairs and U rows without a partner, M + U equals the rows of a file exactly where no id that both
        have stands twice in either.
        """
        first, rows = self.views[0], self.rows
        for view, count in zip(self.views[1:], rows[1:], strict=True):
            checks = {"in_first": f"{first.cell('i0')} IS NOT NULL", "in_other": f"{view.cell('i0')} IS NOT NULL"}
            matched = self._ids_only(rules.from_pairs(first, view), checks)
            missing, extra = matched["total"] - matched["in_other"], matched["total"] - matched["in_first"]
            shared = matched["total"] - missing - extra
            if shared != rows[0] - missing or shared != count - extra:
                return self._without_duplicates()
            if (missing or extra) and not self.drop:
                rules.refuse_unmatched(self.session, first, view, missing, extra, (rows[0], count))
        return ()

    def _join_and_store(self, sums: Mapping[str, str], steps: Steps, names: Sequence[str]) -> dict[str, Any]:
        """Store the rows that all files have, and take the sums over those."""
        self.stage(names)
        relation = over_staged(self.views, self.groups)
        found = self._pass(relation, self._counts(rules.label_conflicts(self.views)), sums, steps)
        if found["total"] == 0:
            raise BadInput(f"no id stands in all {len(self.views)} files; choose another --id")
        return self._accept("joined", found)

    def _without_duplicates(self) -> list[str]:
        """Views of the files without the ids that several rows of a file have."""
        names = []
        for view, rows in zip(self.views, self.rows, strict=True):
            repeated, shown = rules.duplicates(self.session, view)
            if repeated and not self.drop:
                rules.refuse_duplicates(repeated, shown, view, rows)
            name = f"unique_{view.name}"
            self.session.rows(
                f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {view.name} ANTI JOIN duplicated_{view.name} "
                f"USING ({', '.join(view.ids)})",
                doing=f"{view.source.name}: leaving out duplicated ids",
            )
            names.append(name)
        return names

    def _counts(self, conditions: Mapping[str, str]) -> dict[str, str]:
        return {name: f"coalesce(count_if({condition}), 0)" for name, condition in conditions.items()}

    def _suspicions(self, *, ids: bool) -> dict[str, str]:
        """Aggregates over the columns of `flat` that say whether the cells of each file must be looked at again."""

        def of(m: int, view: View) -> str:
            return suspicious(view, lambda column: f"{column}_{m}", ids=ids)

        return {f"suspicious_{v.name}": of(m, v) for m, v in enumerate(self.views) if v in self._unchecked}

    def _is_suspicious(self, found: Mapping[str, Any]) -> bool:
        return any(found[f"suspicious_{view.name}"] for view in self._unchecked)

    def _check_cells(self) -> None:
        while self._unchecked:
            check_contents(self.session, self._unchecked.pop(0))

    def _lacks_labels(self, found: Mapping[str, Any]) -> bool:
        """Whether a pass that read the labels of one file alone must be made again, because the others may have more."""
        several = sum(bool(view.layout.label) for view in self.views) > 1
        again = several and self._first_label_suffices and found["labelled"] < found["total"]
        self._first_label_suffices = not again and self._first_label_suffices
        return bool(again)

    def _ranges(self) -> list[tuple[int, int]]:
        total = self.rows[0]
        size = RANGE_ROWS * math.ceil(total / (RANGE_ROWS * RANGES))
        return [(start, min(start + size, total)) for start in range(0, total, size)]

    def _pass_side_by_side(
        self, checks: Mapping[str, str], sums: Mapping[str, str], steps: Steps, *, rising: bool = False
    ) -> dict[str, Any]:
        """One pass over files side by side, in ranges of rows that run in parallel (DuckDB joins by position in one thread)."""

        def relation(rows: tuple[int, int] | None) -> Relation:
            columns = flat(self.views, rules.from_positions(self.views, rows))
            if rising:
                ids = [f"{i}_0" for i in self.views[0].ids]
                columns = f"SELECT *, {rules.not_rising(ids)} AS not_rising FROM ({columns})"
            return self._over_flat(f"({columns})")

        if rising:
            checks = {**checks, **self._counts({"not_rising": "not_rising"})}
        ranges = self._ranges()
        if len(ranges) == 1:
            return self._pass(relation(None), checks, sums, steps)
        wanted = aggregates(self.session, _layers(relation(None).select(), steps), sums)
        queries = [_query(relation(rows), checks, steps, wanted) for rows in ranges]
        parts = self.session.parallel_records(queries, doing="reading the predictions")
        return {name: _total([part[name] for part in parts]) for name in parts[0]}

    def _pass(self, relation: Relation, checks: Mapping[str, str], sums: Mapping[str, str], steps: Steps) -> dict[str, Any]:
        """How many rows there are and have labels, what the checks say, and the sums."""
        wanted = aggregates(self.session, _layers(relation.select(), steps), sums)
        return self.session.record(_query(relation, checks, steps, wanted), doing="reading the predictions")

    def _ids_only(self, source: str, conditions: Mapping[str, str]) -> dict[str, Any]:
        counts = ", ".join(f"{sql} AS {name}" for name, sql in self._counts(conditions).items())
        return self.session.record(f"SELECT count(*) AS total, {counts} FROM {source}", doing="comparing the ids")

    def _accept(self, order: rules.Order, found: dict[str, Any]) -> dict[str, Any]:
        rules.refuse_conflicts(found, self.views, found["total"])
        dropped = tuple(rows - found["total"] for rows in self.rows)
        self.alignment = Alignment(order, found["total"], found["labelled"], dropped)
        return found


def _layers(inner: str, steps: Steps) -> str:
    """A query with further columns, each step computed from the columns before it."""
    for step in steps:
        inner = f"SELECT *, {', '.join(f'{sql} AS {name}' for name, sql in step.items())} FROM ({inner})"
    return inner


def _query(relation: Relation, checks: Mapping[str, str], steps: Steps, sums: Sequence[str]) -> str:
    """One row: total, labelled, the checks (aggregates over the columns of the source), and the sums."""
    wanted = ["count(*) AS total", "count(y) AS labelled", *[f"{aggregate} AS {name}" for name, aggregate in checks.items()]]
    wanted += [f"{aggregate} AS sum_{i}" for i, aggregate in enumerate(sums)]
    return f"SELECT {', '.join(wanted)} FROM ({_layers(relation.select(everything=bool(checks)), steps)})"


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
