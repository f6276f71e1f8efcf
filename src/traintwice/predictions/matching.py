"""Carries out an alignment: the passes over the files that verify their order or join them, and the sums taken on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions import alignment as rules
from traintwice.predictions.alignment import Alignment
from traintwice.predictions.canonical import View
from traintwice.predictions.contents import Contents
from traintwice.predictions.relation import Relation, over_staged, over_views
from traintwice.predictions.session import Session

RANGE_ROWS = 20 * 122_880
"""Rows that one thread reads side by side at a time: whole row groups of usual Parquet files, and the same on every machine, so
that sums are formed in the same order."""


class Matcher:
    """Matches the rows of checked views, once.

    Args:
        session: where the views live.
        views, contents: the files and what was found in them.
        groups: names of the group columns.
        drop: leave out ids that are missing elsewhere or stand on several rows, instead of refusing them.
    """

    def __init__(
        self, session: Session, views: Sequence[View], contents: Sequence[Contents], groups: Sequence[str], *, drop: bool
    ) -> None:
        self.session = session
        self.views = tuple(views)
        self.rows = tuple(c.rows for c in contents)
        self.groups = tuple(groups)
        self.drop = drop
        self.staged = False
        self.alignment: Alignment | None = None
        labelled = next((c.labelled for c, v in zip(contents, views, strict=True) if v.layout.label), 0)
        self._first_label_suffices = labelled == self.rows[0]

    def relation(self) -> Relation:
        """The aligned rows, after `match`."""
        if self.staged:
            return over_staged(self.views, self.groups)
        joined = self.alignment is not None and self.alignment.order == "joined"
        return self._over(rules.from_join(self.views) if joined else rules.from_positions(self.views))

    def stage(self, names: Sequence[str] = ()) -> None:
        """Store the joined rows once; the table spills under the memory limit."""
        if not self.staged:
            relation = self._over(rules.from_join(self.views, names=names))
            self.session.rows(relation.stage(), doing="joining the files by id")
            self.staged = True

    def match(self, sums: Mapping[str, str]) -> dict[str, float]:
        """Match the rows, setting ``alignment``; the sums of the expressions over them come from the same pass.

        Raises:
            BadInput: ids that stand on several rows, in one file only, or rows on whose label two files disagree.
        """
        found = self._by_position(sums) if not self.views[0].ids else self._same_order(sums) or self._join(sums)
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def sums(self, sums: Mapping[str, str]) -> dict[str, float]:
        """Sums of expressions over rows that are matched already."""
        if self.alignment is not None and self.alignment.order != "joined":
            found = self._pass_side_by_side({}, sums)
        else:
            found = self._pass(self.relation(), {}, sums)
        return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}

    def _over(self, source: str) -> Relation:
        return over_views(self.views, self.groups, source, first_label_suffices=self._first_label_suffices)

    def _by_position(self, sums: Mapping[str, str]) -> dict[str, Any]:
        if len(set(self.rows)) > 1:
            told = ", ".join(f"{v.source.name} has {n:,}" for v, n in zip(self.views, self.rows, strict=True))
            raise BadInput(f"rows cannot be matched by position: {told}; pass --id to match them by id")
        return self._accept("by position", self._pass_side_by_side(rules.label_conflicts(self.views), sums))

    def _same_order(self, sums: Mapping[str, str]) -> dict[str, Any] | None:
        """The fast path; None where some id differs after all, so that the files must be joined."""
        views = self.views
        if not rules.looks_equal(self.session, views, self.rows):
            return None
        checks = rules.order_checks(views) | rules.label_conflicts(views)
        found = self._pass_side_by_side(checks, sums, rising=True)
        if any(found[f"differ_{v.name}"] for v in views[1:]):
            return None
        if found["not_rising"]:
            repeated, shown = rules.duplicates(self.session, views[0])
            if repeated and self.drop:
                return None
            if repeated:
                rules.refuse_duplicates(repeated, shown, views[0], self.rows[0])
        return self._accept("same order", found)

    def _join(self, sums: Mapping[str, str]) -> dict[str, Any]:
        """Compare the ids of every file with the first's by a full join, which for two files also takes the sums.

        With M matched pairs and U rows without a partner, M + U equals the rows of a file exactly where no id that both
        have stands twice in either.
        """
        views, rows = self.views, self.rows
        first, matched, unmatched = views[0], {}, False
        for view, count in zip(views[1:], rows[1:], strict=True):
            checks = {"in_first": f"{first.name}.i0 IS NOT NULL", "in_other": f"{view.name}.i0 IS NOT NULL"}
            source = rules.from_join((first, view), how="FULL JOIN")
            if len(views) == 2:
                matched = self._pass(self._over(source), checks | rules.label_conflicts(views), sums)
            else:
                matched = self._ids_only(source, checks)
            missing, extra = matched["total"] - matched["in_other"], matched["total"] - matched["in_first"]
            shared = matched["total"] - missing - extra
            if shared != rows[0] - missing or shared != count - extra:
                return self._join_and_store(sums, self._without_duplicates())
            if (missing or extra) and not self.drop:
                rules.refuse_unmatched(self.session, first, view, missing, extra, (rows[0], count))
            unmatched = unmatched or bool(missing or extra)
        if unmatched or len(views) != 2:
            return self._join_and_store(sums, ())
        return self._accept("joined", matched)

    def _join_and_store(self, sums: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
        """Store the rows that all files have, and take the sums over those."""
        self.stage(names)
        relation = over_staged(self.views, self.groups)
        labelled = [m for m, v in enumerate(self.views) if v.layout.label]
        conflicts = {
            f"conflict_{self.views[m].name}": f"{relation.cell(labelled[0], 'y')} <> {relation.cell(m, 'y')}"
            for m in labelled[1:]
        }
        found = self._pass(relation, conflicts, sums)
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

    def _pass_side_by_side(self, checks: Mapping[str, str], sums: Mapping[str, str], *, rising: bool = False) -> dict[str, Any]:
        """One pass over files side by side, in ranges of rows that run in parallel (DuckDB joins by position in one thread)."""
        total = self.rows[0]
        if total <= RANGE_ROWS:
            return self._pass(self._over(rules.from_positions(self.views, rising=rising)), checks, sums)
        ranges = [(start, min(start + RANGE_ROWS, total)) for start in range(0, total, RANGE_ROWS)]
        wanted = aggregates(self.session, self._over(rules.from_positions(self.views)), sums)
        queries = [
            _query(self._over(rules.from_positions(self.views, rising=rising, rows=rows)).select(checks), checks, wanted)
            for rows in ranges
        ]
        parts = self.session.parallel_records(queries, doing="reading the predictions")
        return {name: _total([part[name] for part in parts]) for name in parts[0]}

    def _pass(self, relation: Relation, checks: Mapping[str, str], sums: Mapping[str, str]) -> dict[str, Any]:
        """How many rows there are, have labels and meet each check, and the sums."""
        wanted = aggregates(self.session, relation, sums)
        return self.session.record(_query(relation.select(checks), checks, wanted), doing="reading the predictions")

    def _ids_only(self, source: str, checks: Mapping[str, str]) -> dict[str, Any]:
        inner = f"SELECT NULL AS y, {', '.join(f'{sql} AS {name}' for name, sql in checks.items())} FROM {source}"
        return self.session.record(_query(inner, checks, ()), doing="comparing the ids")

    def _accept(self, order: rules.Order, found: dict[str, Any]) -> dict[str, Any]:
        rules.refuse_conflicts(found, self.views, found["total"])
        dropped = tuple(rows - found["total"] for rows in self.rows)
        self.alignment = Alignment(order, found["total"], found["labelled"], dropped)
        return found


def _query(inner: str, checks: Mapping[str, str], sums: Sequence[str]) -> str:
    wanted = ["count(*) AS total", "count(y) AS labelled", *[f"coalesce(count_if({name}), 0) AS {name}" for name in checks]]
    wanted += [f"{aggregate} AS sum_{i}" for i, aggregate in enumerate(sums)]
    return f"SELECT {', '.join(wanted)} FROM ({inner})"


def aggregates(session: Session, relation: Relation, expressions: Mapping[str, str]) -> list[str]:
    """The SQL that sums each expression in float64; truth is counted (which is faster than adding ones), NULL is nothing."""
    if not expressions:
        return []
    columns = ", ".join(f"{expression} AS e{i}" for i, expression in enumerate(expressions.values()))
    described = session.rows(f"DESCRIBE SELECT {columns} FROM ({relation.select()})", doing="reading the expressions")
    return [
        f"CAST(coalesce({f'count_if({e})' if row[1] == 'BOOLEAN' else f'sum(CAST({e} AS DOUBLE))'}, 0) AS DOUBLE)"
        for e, row in zip(expressions.values(), described, strict=True)
    ]


def _total(parts: list[Any]) -> Any:
    return math.fsum(parts) if isinstance(parts[0], float) and all(map(math.isfinite, parts)) else sum(parts)
