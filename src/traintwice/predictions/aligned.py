"""Predictions of several files on the same examples, matched row by row and read in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions import alignment as rules
from traintwice.predictions.alignment import Alignment
from traintwice.predictions.canonical import View
from traintwice.predictions.contents import Contents
from traintwice.predictions.fetching import Block, blocks
from traintwice.predictions.predictions import BLOCK_ELEMENTS, Predictions
from traintwice.predictions.relation import Relation, over_staged, over_views
from traintwice.predictions.session import Session
from traintwice.predictions.sql import identifier


@dataclass(frozen=True)
class Summary:
    """What was read, for the header of a report.

    Attributes:
        files: their names, one for each replica.
        rows: examples that all files share.
        labelled: how many of them have a label.
        order: "same order" (every id compared), "joined", or "by position" (as asked).
        layouts: what the columns of each file mean, in words.
        label, weight: the columns of labels and weights, or None.
        classes, class_names: K and the names of the classes, where known.
        dropped: for each file the rows left out because ids were missing elsewhere or duplicated.
    """

    files: tuple[str, ...]
    rows: int
    labelled: int
    order: str
    layouts: tuple[str, ...]
    label: str | None
    weight: str | None
    classes: int | None
    class_names: tuple[str, ...] | None
    dropped: tuple[int, ...]

    def describe(self) -> str:
        """A few lines in words."""
        how = {
            "same order": "same order, every id compared",
            "joined": "joined by id",
            "by position": "by position, ids not compared",
        }
        lines = [f"{len(self.files)} files · {self.rows:,} rows · {how[self.order]}"]
        if len(set(self.layouts)) == 1:
            lines.append(self.layouts[0])
        else:
            lines += [f"{name}: {layout}" for name, layout in zip(self.files, self.layouts, strict=True)]
        if self.label is not None:
            some = "" if self.labelled == self.rows else f", {self.rows - self.labelled:,} rows have none"
            lines.append(f"labels in {self.label}: {self.labelled:,} rows{some}")
        else:
            lines.append("no labels")
        lines += [f"{name}: {count:,} rows left out" for name, count in zip(self.files, self.dropped, strict=True) if count]
        return "\n".join(lines)


class AlignedPredictions:
    """What `open_predictions` returns: the rows that all files share, never all in memory unless `read` is called.

    Rows are matched when they are first needed; `aggregate` does so in the same pass over the files as its sums. Use
    it in a ``with`` statement, or call `close`, to give back the temporary folder early.
    """

    def __init__(
        self,
        session: Session,
        views: Sequence[View],
        contents: Sequence[Contents],
        *,
        groups: Sequence[str] = (),
        class_names: tuple[str, ...] | None = None,
        drop: bool = False,
    ) -> None:
        self._session = session
        self._views = tuple(views)
        self._rows = tuple(c.rows for c in contents)
        self._groups = tuple(groups)
        labelled = next((c.labelled for c, v in zip(contents, views, strict=True) if v.layout.label), 0)
        self._first_label_suffices = labelled == self._rows[0]
        self._drop = drop
        self._staged = False
        self._alignment: Alignment | None = None
        self._labelled = 0
        self.class_names = class_names
        self.classes = next((v.classes for v in views if v.classes is not None), None)

    def __enter__(self) -> AlignedPredictions:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and remove its temporary folder."""
        self._session.close()

    @property
    def replicas(self) -> int:
        """M, the number of files."""
        return len(self._views)

    @property
    def is_regression(self) -> bool:
        """True where each file holds one number for each row that is no probability: see `scores`."""
        return self._views[0].layout.kind == "regression"

    @property
    def has_labels(self) -> bool:
        """True where a file has a column of labels."""
        return any(v.layout.label for v in self._views)

    @property
    def connection(self) -> Any:
        """The DuckDB connection in which the SQL of `relation` can be run."""
        return self._session.connection

    @property
    def alignment(self) -> Alignment:
        """How rows were matched; matches them where that was not done yet."""
        if self._alignment is None:
            self.aggregate({})
        if self._alignment is None:  # pragma: no cover
            raise BadInput("rows could not be matched")
        return self._alignment

    @property
    def summary(self) -> Summary:
        """What was read, in numbers and words."""
        aligned = self.alignment
        layouts = [v.layout for v in self._views]
        return Summary(
            files=tuple(v.source.name for v in self._views),
            rows=aligned.rows,
            labelled=self._labelled,
            order=aligned.order,
            layouts=tuple(v.layout.describe() for v in self._views),
            label=next((layout.label for layout in layouts if layout.label), None),
            weight=next((layout.weight for layout in layouts if layout.weight), None),
            classes=self.classes,
            class_names=self.class_names,
            dropped=aligned.dropped,
        )

    def relation(self) -> str:
        """SQL text of the aligned rows, to be put in parentheses after FROM.

        Columns: ``i0`` … (the ids), ``y`` (true class or NULL; a number for regression), ``w`` (weight, 1 where none was
        given), ``g0`` … (the groups, as text), ``t`` (time, where given), and for replica m ``p{m}_{k}`` (probability of
        class k) and ``v{m}`` (predicted class, ties to the lowest), or ``x{m}`` for regression.
        """
        _ = self.alignment
        return self._relation().select()

    def aggregate(self, sums: Mapping[str, str], *, by: Sequence[str] = ()) -> dict[str, Any] | list[dict[str, Any]]:
        """Aggregates in SQL over the columns of `relation`, without any row reaching Python.

        Args:
            sums: name to SQL aggregate, such as ``{"churn": "avg((v0 <> v1)::DOUBLE)"}``.
            by: group columns (names given to ``by=``); then one record for each group comes back, in their order.
        Returns:
            Name to value; with ``by`` a list of such records, with the group's values under the columns' names. The first
            call without ``by`` matches the rows in the same pass.
        Raises:
            BadInput: rows do not match; see `open_predictions`.
        """
        if self._alignment is None and not by:
            found = self._align(sums)
            self._check_unchanged()
            return {name: found[f"sum_{i}"] for i, name in enumerate(sums)}
        _ = self.alignment
        found_rows = self._grouped(sums, by)
        self._check_unchanged()
        return found_rows if by else found_rows[0]

    def batches(self) -> Iterator[Predictions]:
        """Blocks of bounded size, all files as replicas, with ids, labels, weights, groups and time.

        Where some rows have no label, the rows of a block come in two parts, those with labels and those without. Rows
        come in the order of the files, or in no particular order where files were joined.
        """
        if self.is_regression:
            raise BadInput("these files hold one number for each row, not classes; read them with scores()")
        for block in self._blocks():
            yield from block.as_predictions(self.class_names)

    def scores(self) -> Iterator[Block]:
        """Blocks of a regression: ``values`` of shape ``M N`` and ``labels`` (nan where none) as float64."""
        if not self.is_regression:
            raise BadInput(
                "these files hold classes, not one number for each row; read them with batches(), or pass --regression"
            )
        yield from self._blocks()

    def read(self, *, labelled_only: bool = False) -> Predictions:
        """All rows in memory.

        Args:
            labelled_only: leave out the rows without a label. Otherwise labels are attached only where every row has one
                (`summary` says how many have).
        """
        if self.is_regression:
            raise BadInput("these files hold one number for each row, not classes; read them with scores()")
        whole = Block.joined(list(self._blocks()))
        if labelled_only:
            whole = whole.where(whole.labelled)
            if whole.rows == 0:
                raise BadInput("no row has a label; pass --label, or measure without labels")
        elif not whole.labelled.all():
            whole = whole.without_labels()
        return next(iter(whole.as_predictions(self.class_names)))

    def _blocks(self) -> Iterator[Block]:
        aligned = self.alignment
        if aligned.order == "joined":
            self._stage()
        size = max(1, BLOCK_ELEMENTS // (self.replicas * (self.classes or 1 if self._views[0].layout.kind != "votes" else 1)))
        yield from blocks(self._session, self._relation(), aligned.rows, size, staged=self._staged)
        self._check_unchanged()

    def _relation(self) -> Relation:
        if self._staged:
            return over_staged(self._views, self._groups)
        joined = self._alignment is not None and self._alignment.order == "joined"
        source = rules.from_join(self._views) if joined else rules.from_positions(self._views)
        return self._over(source)

    def _over(self, source: str) -> Relation:
        return over_views(self._views, self._groups, source, first_label_suffices=self._first_label_suffices)

    def _stage(self, names: Sequence[str] = ()) -> None:
        """Store the joined rows once; the table spills under the memory limit."""
        if self._staged:
            return
        relation = self._over(rules.from_join(self._views, names=names))
        self._session.rows(relation.stage(), doing="joining the files by id")
        self._staged = True

    def _align(self, sums: Mapping[str, str]) -> dict[str, Any]:
        views, rows = self._views, self._rows
        if not views[0].ids:
            if len(set(rows)) > 1:
                told = ", ".join(f"{v.source.name} has {n:,}" for v, n in zip(views, rows, strict=True))
                raise BadInput(f"rows cannot be matched by position: {told}; pass --id to match them by id")
            return self._accept("by position", self._pass(rules.from_positions(views), rules.label_conflicts(views), sums))
        if rules.looks_equal(self._session, views, rows):
            checks = rules.order_checks(views) | rules.label_conflicts(views)
            found = self._pass(rules.from_positions(views, rising=True), checks, sums)
            if not any(found[f"differ_{v.name}"] for v in views[1:]):
                repeated, shown = rules.duplicates(self._session, views[0]) if found["not_rising"] else (0, [])
                if not repeated:
                    return self._accept("same order", found)
                if not self._drop:
                    rules.refuse_duplicates(repeated, shown, views[0], rows[0])
        return self._join(sums)

    def _join(self, sums: Mapping[str, str]) -> dict[str, Any]:
        views, rows = self._views, self._rows
        first, matched, unmatched = views[0], {}, False
        for view, count in zip(views[1:], rows[1:], strict=True):
            pair = (first, view)
            checks = {"in_first": f"{first.name}.i0 IS NOT NULL", "in_other": f"{view.name}.i0 IS NOT NULL"}
            fused = len(views) == 2
            checks |= rules.label_conflicts(pair) if fused else {}
            found = self._pass(rules.from_join(pair, how="FULL JOIN"), checks, sums if fused else {}, views=pair)
            missing, extra = found["total"] - found["in_other"], found["total"] - found["in_first"]
            shared = found["total"] - missing - extra
            if shared != rows[0] - missing or shared != count - extra:
                return self._join_dropping(sums, self._without_duplicates())
            if (missing or extra) and not self._drop:
                rules.refuse_unmatched(self._session, first, view, missing, extra, (rows[0], count))
            unmatched, matched = unmatched or bool(missing or extra), found
        if unmatched or len(views) != 2:
            return self._join_dropping(sums, ())
        return self._accept("joined", matched)

    def _join_dropping(self, sums: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
        """Store the rows that all files have, and measure those."""
        self._stage(names)
        relation = over_staged(self._views, self._groups)
        labelled = [m for m, v in enumerate(self._views) if v.layout.label]
        conflicts = {
            f"conflict_{self._views[m].name}": f"{relation.cell(labelled[0], 'y')} <> {relation.cell(m, 'y')}"
            for m in labelled[1:]
        }
        found = self._pass(relation.source, conflicts, sums, relation=relation)
        if found["total"] == 0:
            raise BadInput(f"no id stands in all {len(self._views)} files; choose another --id")
        return self._accept("joined", found)

    def _without_duplicates(self) -> list[str]:
        """Views of the files without the ids that any row of the same file repeats."""
        names = []
        for view, rows in zip(self._views, self._rows, strict=True):
            repeated, shown = rules.duplicates(self._session, view)
            if repeated and not self._drop:
                rules.refuse_duplicates(repeated, shown, view, rows)
            name = f"unique_{view.name}"
            self._session.rows(
                f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {view.name} ANTI JOIN duplicated_{view.name} "
                f"USING ({', '.join(view.ids)})",
                doing=f"{view.source.name}: leaving out duplicated ids",
            )
            names.append(name)
        return names

    def _pass(
        self,
        source: str,
        checks: Mapping[str, str],
        sums: Mapping[str, str],
        *,
        views: Sequence[View] = (),
        relation: Relation | None = None,
    ) -> dict[str, Any]:
        """One query: how many rows meet each check, how many there are and have labels, and the sums asked for."""
        whole = not views or len(views) == len(self._views)
        relation = relation or self._over(source)
        if whole:
            inner = relation.select(checks)
        else:
            inner = f"SELECT NULL AS y, {', '.join(f'{sql} AS {name}' for name, sql in checks.items())} FROM {source}"
        wanted = ["count(*) AS total", "count(y) AS labelled", *[f"count(*) FILTER ({name}) AS {name}" for name in checks]]
        wanted += [f"{sql} AS sum_{i}" for i, sql in enumerate(sums.values())]
        return self._session.record(f"SELECT {', '.join(wanted)} FROM ({inner})", doing="reading the predictions")

    def _accept(self, order: rules.Order, found: dict[str, Any]) -> dict[str, Any]:
        rules.refuse_conflicts(found, self._views, found["total"])
        self._labelled = found["labelled"]
        self._alignment = Alignment(order, found["total"], tuple(rows - found["total"] for rows in self._rows))
        return found

    def _grouped(self, sums: Mapping[str, str], by: Sequence[str]) -> list[dict[str, Any]]:
        for name in by:
            if name not in self._groups:
                raise BadInput(f"{name!r} is not one of the group columns given to by= ({', '.join(self._groups) or 'none'})")
        keys = [f"g{self._groups.index(name)}" for name in by]
        wanted = [*[f"{key} AS {identifier(name)}" for key, name in zip(keys, by, strict=True)]]
        wanted += [f"{sql} AS {identifier(name)}" for name, sql in sums.items()] or ["count(*) AS rows"]
        tail = f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
        with self._session.explained("reading the predictions"):
            result = self.connection.execute(f"SELECT {', '.join(wanted)} FROM ({self._relation().select()}){tail}")
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _check_unchanged(self) -> None:
        for view in self._views:
            view.source.check_unchanged()
