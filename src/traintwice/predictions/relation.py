"""The aligned rows as SQL: one row per example, columns for its id, label, weight and what each replica predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from traintwice.predictions.canonical import View

STAGED = "aligned"
"""The temporary table that holds joined rows."""


@dataclass(frozen=True)
class Relation:
    """Columns of the aligned rows over a FROM clause.

    Attributes:
        views: the files.
        groups: names of the group columns.
        source: what stands after FROM.
        cell: the SQL of column c of replica m.
        first_label_suffices: the first file with labels has one in every row, so no other is read for them.
    """

    views: tuple[View, ...]
    groups: tuple[str, ...]
    source: str
    cell: Callable[[int, str], str] = field(compare=False)
    first_label_suffices: bool = False

    def shared(self) -> dict[str, str]:
        """Column name to SQL for what belongs to the example: i0 …, y, w, g0 …, c, t."""
        columns = {i: self.cell(0, i) for i in self.views[0].ids}
        labelled = [self.cell(m, "y") for m, view in enumerate(self.views) if view.layout.label]
        several = len(labelled) > 1 and not self.first_label_suffices
        columns["y"] = f"coalesce({', '.join(labelled)})" if several else labelled[0] if labelled else "NULL::BIGINT"
        columns["w"] = next((self.cell(m, "w") for m, view in enumerate(self.views) if view.layout.weight), "1.0::DOUBLE")
        for j, name in enumerate(self.groups):
            owner = next(m for m, view in enumerate(self.views) if name in view.layout.groups)
            columns[f"g{j}"] = self.cell(owner, f"g{self.views[owner].layout.groups.index(name)}")
        for m, view in reversed(list(enumerate(self.views))):
            columns |= {"c": self.cell(m, "c")} if view.layout.cluster else {}
            columns |= {"t": self.cell(m, "t")} if view.layout.time else {}
        return columns

    def predicted(self) -> dict[str, str]:
        """Column name to SQL for what replica m predicts: p{m}_{k} and v{m}, or x{m} for regression."""
        columns = {}
        for m, view in enumerate(self.views):
            if view.layout.kind == "regression":
                columns[f"x{m}"] = self.cell(m, "x")
            elif view.layout.kind == "votes":
                columns[f"v{m}"] = self.cell(m, "v")
            else:
                probs = self.probabilities(m)
                columns |= {f"p{m}_{k}": sql for k, sql in enumerate(probs)}
                columns[f"v{m}"] = self._vote(m, probs)
        return columns

    def probabilities(self, m: int) -> list[str]:
        """The SQL of each class's probability."""
        view = self.views[m]
        (first, *_) = view.predictions
        if first == "s":
            return [f"1 - {self.cell(m, 's')}", self.cell(m, "s")]
        if first == "l":
            return [f"{self.cell(m, 'l')}[{k + 1}]" for k in range(view.classes or 0)]
        return [self.cell(m, k) for k in view.predictions]

    def _vote(self, m: int, probs: Sequence[str]) -> str:
        """Argmax, ties to the lowest class."""
        if self.views[m].predictions == ("s",):  # s > 1 - s exactly where s > 1/2, in floating point too
            return f"CAST({probs[1]} > 0.5::DOUBLE AS INTEGER)"
        if len(probs) == 2:
            return f"CAST({probs[1]} > {probs[0]} AS INTEGER)"
        row = self.cell(m, "l") if self.views[m].predictions == ("l",) else f"[{', '.join(probs)}]"
        return f"CAST(list_position({row}, list_max({row})) - 1 AS BIGINT)"

    def select(self, *, everything: bool = False) -> str:
        """A SELECT of all columns; with everything, those of the source beside them."""
        columns = [f"{sql} AS {name}" for name, sql in (self.shared() | self.predicted()).items()]
        return f"SELECT {', '.join([*columns, '*'] if everything else columns)} FROM {self.source}"

    def stage(self) -> str:
        """The SQL that stores the rows as they are, for `over_staged`."""
        columns = []
        for m, view in enumerate(self.views):
            own = view.columns if m == 0 else view.columns[len(view.ids) :]
            columns += [f"{self.cell(m, c)} AS {c}_{m}" for c in own]
        return f"CREATE OR REPLACE TABLE {STAGED} AS SELECT {', '.join(columns)} FROM {self.source}"


def over_views(views: Sequence[View], groups: Sequence[str], source: str, *, first_label_suffices: bool = False) -> Relation:
    """The relation over a FROM clause of the views."""
    return Relation(tuple(views), tuple(groups), source, lambda m, column: f"{views[m].name}.{column}", first_label_suffices)


def over_staged(views: Sequence[View], groups: Sequence[str]) -> Relation:
    """The relation over the table that `Relation.stage` made."""
    return over_flat(views, groups, STAGED)


def over_flat(views: Sequence[View], groups: Sequence[str], source: str, *, first_label_suffices: bool = False) -> Relation:
    """The relation over a FROM clause whose columns are named as `flat` names them."""
    return Relation(tuple(views), tuple(groups), source, lambda m, column: f"{column}_{m}", first_label_suffices)


def flat(views: Sequence[View], source: str) -> str:
    """The SQL of every column c of every file m, named c_m, over a FROM clause of their scans."""
    columns = []
    for m, view in enumerate(views):
        own = (*view.columns, "raw_y") if view.layout.label else view.columns
        columns += [f"{view.cell(c)} AS {c}_{m}" for c in own]
    return f"SELECT {', '.join(columns)} FROM {source}"
