"""Predictions of several files on the same examples, matched row by row and read in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from traintwice.errors import BadInput
from traintwice.predictions.alignment import Alignment
from traintwice.predictions.canonical import View
from traintwice.predictions.fetching import Block, blocks
from traintwice.predictions.matching import Matcher, aggregates
from traintwice.predictions.predictions import BLOCK_ELEMENTS, Predictions
from traintwice.predictions.session import Session
from traintwice.predictions.sql import identifier
from traintwice.predictions.writing import check_target, write_query


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

    Rows are matched when they are first needed; `sums` does so in the same pass over the files. Use
    it in a ``with`` statement, or call `close`, to give back the temporary folder early.
    """

    def __init__(
        self,
        session: Session,
        views: Sequence[View],
        rows: Sequence[int],
        *,
        unchecked: Sequence[View] = (),
        groups: Sequence[str] = (),
        class_names: tuple[str, ...] | None = None,
        drop: bool = False,
    ) -> None:
        self._session = session
        self._views = tuple(views)
        self._groups = tuple(groups)
        self._matcher = Matcher(session, views, rows, groups, unchecked=unchecked, drop=drop)
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
    def most_rows(self) -> int:
        """Rows of the longest file, known before rows are matched."""
        return max(self._matcher.rows)

    @property
    def is_regression(self) -> bool:
        """True where each file holds one number for each row that is no probability: see `scores`."""
        return self._views[0].layout.kind == "regression"

    @property
    def has_probs(self) -> bool:
        """True where each file holds probabilities, and not predicted labels or a regression."""
        return self._views[0].layout.kind not in ("votes", "regression")

    @property
    def has_weights(self) -> bool:
        """True where a file has a column of weights."""
        return any(v.layout.weight for v in self._views)

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
        if self._matcher.alignment is None:
            self._matcher.match({})
            self._check_unchanged()
        return cast(Alignment, self._matcher.alignment)

    @property
    def summary(self) -> Summary:
        """What was read, in numbers and words."""
        aligned = self.alignment
        layouts = [v.layout for v in self._views]
        return Summary(
            files=tuple(v.source.name for v in self._views),
            rows=aligned.rows,
            labelled=aligned.labelled,
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
        return self._matcher.relation().select()

    def sums(self, expressions: Mapping[str, str], steps: Sequence[Mapping[str, str]] = ()) -> dict[str, float]:
        """Sums over the rows, computed in DuckDB in parallel; no row reaches Python.

        Args:
            expressions: name to SQL over the columns of `relation`, such as ``{"flips": "v0 <> v1"}``; truth counts as 1, NULL
                as nothing. An expression must have a value on every row (no logarithm of zero).
            steps: columns that are computed first, each step from the columns before it; what several expressions need is
                then computed once.
        Returns:
            Name to sum in float64, which is exact for counts; formed in the same order on every machine where files come in
            the same order. The first call matches the rows in the same pass.
        Raises:
            BadInput: rows do not match or hold no predictions; see `open_predictions`.
        """
        matched = self._matcher.alignment is not None
        found = self._matcher.sums(expressions, steps) if matched else self._matcher.match(expressions, steps)
        self._check_unchanged()
        return found

    def sums_by(self, expressions: Mapping[str, str], by: Sequence[str]) -> list[dict[str, Any]]:
        """As `sums`, for each combination of the group columns ``by``, in their order.

        Returns:
            A record for each group: the values of the group columns (None where missing), ``rows``, and the sums.
        """
        for name in by:
            if name not in self._groups:
                raise BadInput(f"{name!r} is not one of the group columns given to by= ({', '.join(self._groups) or 'none'})")
        _ = self.alignment
        keys = [f"g{self._groups.index(name)}" for name in by]
        wanted = [*keys, "count(*)", *aggregates(self._session, self.relation(), expressions)]
        tail = f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
        found = self._session.rows(f"SELECT {', '.join(wanted)} FROM ({self.relation()}){tail}", doing="reading the predictions")
        self._check_unchanged()
        return [dict(zip([*by, "rows", *expressions], row, strict=True)) for row in found]

    def counts_by(self, expressions: Mapping[str, str]) -> list[dict[str, Any]]:
        """How many rows have each combination of values of some expressions.

        Args:
            expressions: name to SQL over the columns of `relation`.
        Returns:
            A record for each combination that occurs: the values by name, and ``rows``.
        """
        select = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in expressions.items())
        query = f"SELECT {select}, count(*) FROM ({self.relation()}) GROUP BY ALL"
        found = self._session.rows(query, doing="reading the predictions")
        self._check_unchanged()
        return [dict(zip([*expressions, "rows"], row, strict=True)) for row in found]

    def write(self, path: str | Path, columns: Mapping[str, str]) -> Path:
        """Write columns computed from the rows as Parquet, whole or not at all; no row reaches Python.

        Args:
            path: where to; ends in ``.parquet``.
            columns: name to SQL over the columns of `relation`. The ids come first, under the names they have in the first file.
        Raises:
            BadInput: the file cannot be written; nothing is left behind.
        """
        path = check_target(path)
        ids = {name: f"i{j}" for j, name in enumerate(self._views[0].layout.id)}
        select = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in {**columns, **ids}.items())
        names = ", ".join(identifier(name) for name in {**ids, **columns})
        write_query(self._session, path, f"SELECT {names} FROM (SELECT {select} FROM ({self.relation()}))")
        self._check_unchanged()
        return path

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
            self._matcher.stage()
        size = max(1, BLOCK_ELEMENTS // (self.replicas * (1 if self._views[0].layout.kind == "votes" else self.classes or 1)))
        yield from blocks(self._session, self._matcher.relation(), aligned.rows, size, staged=self._matcher.staged)
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        for view in self._views:
            view.source.check_unchanged()
