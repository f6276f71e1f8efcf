"""The comparison of two models, and its gate, from sums alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from traintwice import metrics
from traintwice._typed import typed
from traintwice.compare._answers import SAME_WITHIN
from traintwice.compare._comparison import result_of
from traintwice.compare._expressions import RowValues
from traintwice.compare._floor import MARGIN
from traintwice.compare._inputs import DiffOptions, check_level
from traintwice.compare._results import Diff
from traintwice.compare._summed import SummedDiff
from traintwice.compare._tally import Tally
from traintwice.errors import BadInput
from traintwice.gates._budgets import Budget, GateResult, Rule, check_budgets, metric_of_slice
from traintwice.gates._gate import checked
from traintwice.metrics._moments import GroupSums
from traintwice.predictions import Predictions
from traintwice.predictions._layout import Summary
from traintwice.predictions._opening import Rows
from traintwice.sums._format import DECISIONS, MEANS
from traintwice.sums._read import Numbers, Sums, layout_of, read

NEEDS_ROWS = "left out: it needs the rows, and only their sums are here"

OnMissing = Literal["refuse", "drop"]


@typed
def diff_sums(
    sums: Any,
    *,
    level: float = 0.95,
    same_within: float = SAME_WITHIN,
    min_support: int = 100,
    on_missing: OnMissing = "refuse",
) -> Diff:
    r"""Compare two models by sums over their rows: the numbers of `traintwice.diff` from a few hundred lines.

    Args:
        sums: results of the query that `traintwice.sums.query` makes, see `traintwice.sums.read`; or `Sums`.
        level, same_within, min_support: as in `traintwice.diff`.
        on_missing: "refuse" ids that one table lacks or has twice and rows without a prediction, or "drop" them.
    Returns:
        A `Diff`, equal to that of the rows. What needs rows is left out and named: regressed rows, largest changes, quantiles, AUC,
        calibration.
    Raises:
        BadInput: no table of sums, or rows that cannot be compared, in the words of `traintwice.diff`.
    Source:
        Ours; specification "Sums": every estimate with an interval follows from sums over rows, and over clusters of products.
    Example:
        >>> import duckdb
        >>> from traintwice.sums import query
        >>> con = duckdb.connect()
        >>> for model, new in (("v1", "[0, 1, 1, 0]"), ("v2", "[0, 0, 1, 1]")):
        ...     _ = con.execute(f"CREATE TABLE {model} AS SELECT unnest([1, 2, 3, 4]) AS id, unnest({new}) AS yhat")
        >>> lines = con.sql(query("v1", "v2", dialect="duckdb", id="id", pred="yhat")).to_arrow_table()
        >>> diff_sums(lines)["churn"].value
        0.5
    """
    check_level(level)
    if not 0 <= same_within < 1 or min_support < 1:
        raise BadInput(f"same_within, min_support: got {same_within} and {min_support}, expected a share below 1 and at least 1")
    found = (sums if isinstance(sums, Sums) else read(sums)).checked(on_missing)
    rows = SummedRows(found)
    options = DiffOptions(
        which=(), quality=(metrics.log_loss,), whole=(), by_slice=(), thresholds=found.description.thresholds, top_k=(), level=level,
        min_support=min_support, temperature_matched=False, listed=0, no_rows=False, margin=MARGIN, same_within=same_within,
        pairs=None,
    )  # fmt: skip
    return result_of(DiffOfSums(rows, options), rows, options)


@typed
def gate_sums(
    sums: Any,
    budgets: Sequence[Budget],
    *,
    rule: Rule = "bound",
    inconclusive: Literal["pass", "fail"] | None = None,
    **options: Any,
) -> GateResult:
    r"""Compare sums over the rows of two models with budgets, as `traintwice.gate` compares the rows.

    Args:
        sums: see `diff_sums`.
        budgets, rule, inconclusive: as in `traintwice.gate`.
        options: of `diff_sums`.
    Returns:
        A `GateResult`.
    Raises:
        BadInput: a budget on a measure, a column or a threshold that the sums do not have; or see `diff_sums`.
    Source:
        Ours.
    """
    wanted = check_budgets(budgets)
    summed = sums if isinstance(sums, Sums) else read(sums)
    found, d = diff_sums(summed, **options), summed.description
    known = {m.name for m in found.measures} | {q.name for q in found.quality}
    for budget in budgets:
        name = f"budget on {budget.measure}"
        if budget.against is not None:
            raise BadInput(
                f"{name} {budget.against}: a noise floor needs the rows of retrains; compare the predictions themselves"
            )
        if budget.by is not None and budget.by not in (*d.by, "predicted class"):
            raise BadInput(f"{name}: the sums have no slices of {budget.by!r}; make them with --by {budget.by}")
        rows_only = (
            wanted[budget.measure] is not None
            and budget.measure not in known
            and found.left_out.get(budget.measure) in (None, NEEDS_ROWS)
        )
        if rows_only or budget.measure.startswith("swapped") or (budget.by is not None and metric_of_slice(budget) is not None):
            where = " by slice" if budget.by is not None and not rows_only else ""
            raise BadInput(f"{name}{where}: needs the rows, and only their sums are here; compare the predictions themselves")
        at = budget.measure.removeprefix("decisions(").removesuffix(")")
        if budget.measure.startswith("decisions") and float(at) not in d.thresholds:
            raise BadInput(f"{name}: the sums have no decisions at {at}; make them with --threshold {at}")
    return checked(found, budgets, rule, inconclusive)


class SummedRows(Rows):
    """Rows of which only the sums are known."""

    def __init__(self, sums: Sums) -> None:
        self.sums, d = sums, sums.description
        self.files, self.replicas, self.classes, self.class_names = None, 2, d.classes, d.names
        self.regression = self.has_draws = False
        self.outcomes, self.has_probs, self.has_labels = None, d.kind != "pred", d.label is not None
        self.groups, self.shown, self.time_axis = d.by, (), None
        self.clusters = " + ".join(d.cluster) or None
        self.positive = ((d.names or ("0", "1"))[1]) if d.binary else None
        self.waive, self.waived = (), 0
        self._summary = _summary(sums, self.positive)


def _summary(sums: Sums, positive: str | None) -> Summary:
    """What the sums are about, for the header of a report."""
    d, rows = sums.description, sums.rows
    labelled = sum(
        n
        for (kind, part, _, _, state, _), (n, _, _) in sums.lines.items()
        if (kind, part) == ("sum", "all") and d.states[state][2] is not None
    )
    rule = f"classes in the order of --classes: {', '.join(d.names)}" if d.names else "classes are whole numbers from 0"
    parts = f" · sums of {sums.parts} parts" if sums.parts > 1 else " · sums"
    return Summary(
        files=(d.old, d.new),
        rows=rows,
        labelled=labelled,
        order="joined",
        layouts=(layout_of(d).describe() + parts,) * 2,
        label=d.label,
        weight=d.weight,
        classes=d.classes,
        class_names=d.names,
        dropped=(sums.count("old", "rows") - rows, sums.count("new", "rows") - rows),
        positive=positive,
        class_rule=rule + (f"; positive class: {positive}" if positive is not None else ""),
        cluster=" + ".join(d.cluster) or None,
        clusters=sums.lines[("units", "all", "", "", "", "")][0] if d.cluster else None,
    )


class DiffOfSums(SummedDiff):
    """The sums of `DiffAccumulator` from a table of sums."""

    def __init__(self, rows: SummedRows, options: DiffOptions) -> None:
        super().__init__(rows, options, reason=NEEDS_ROWS)
        self._sums, self._d = rows.sums, rows.sums.description
        self.rows = self._sums.rows
        self.fill(rows)
        if not self._d.means:
            self.left_out |= dict.fromkeys(("log_loss", "total_variation"), "needs probabilities")
            return
        losses = None
        if self._d.label is None or not rows.summary.labelled:
            self.left_out["log_loss"] = "needs labels"
        else:
            losses = (self._mean_sums(MEANS[1]), self._mean_sums(MEANS[2]), self._mean_sums(MEANS[3]))
        self.add_means(self._mean_sums(MEANS[0]), losses)

    def copies(self) -> list[list[int]]:
        """The two models, where no prediction differs."""
        moved = self._line("sum", "mean", MEANS[0], "", "value")[1] if self._d.means else self.base.total("changed").sum()
        return [] if moved else [[0, 1]]

    def flow_counts(self) -> Iterator[tuple[int, int, int]]:
        """Old class, new class, number of rows."""
        for (kind, part, _, value, state, other), (n, _, _) in self._sums.lines.items():
            if (kind, part) == ("sum", "flow"):
                yield int(value), int(other), n
            elif self._d.binary and (kind, part) == ("sum", "all"):
                yield (*self._d.states[state][:2], n)

    def count_regressed(self) -> int:
        """Number of rows that only the old model has right."""
        of = {state: old == label != new for state, (old, new, label) in self._d.states.items()}
        return sum(
            n
            for (kind, part, _, _, state, _), (n, _, _) in self._sums.lines.items()
            if (kind, part) == ("sum", "all") and of[state]
        )

    def group_sums(self, tally: Tally, by: str | None, threshold: float | None) -> Iterator[GroupSums]:
        """With F the quantities of every state, Σ w (1, u) = F Σ w and Σ a aᵀ = F S Fᵀ, S the products of the states."""
        part, name, states = self._axis(by)
        values = self._quantities(tally) if threshold is None else np.zeros(0)
        if threshold is not None:
            part, states = ("threshold",), DECISIONS
            old, new = (np.array([state[m] == "1" for state in states]) for m in (0, 2))
            values = np.stack([np.ones(4), old, new, old & new])
        for (of, value), place in self._groups(part, name, threshold).items():
            sums = np.array([self._line("sum", of, name, value, s) for s in states])
            second = np.diag(sums[:, 2])
            if self.clustered:
                for i, a in enumerate(states):
                    for j, b in enumerate(states[i:], start=i):
                        second[i, j] = second[j, i] = self._line("product", of, name, value, a, b)[1]
            counted = ("all", "", "") if threshold is not None else (of, name, value)
            units = self._line("units", *counted)[0] if self.clustered else sums[:, 0].sum()
            yield GroupSums(place, sums[:, 0].sum(), sums[:, 2].sum(), units, values @ sums[:, 1], values @ second @ values.T)

    def _axis(self, by: str | None) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
        states = tuple(self._d.states)
        if by is None:
            return ("all",), "", states
        return (("predicted",), "", states) if by == "v0" else (("by", "missing"), self._d.by[int(by[1:])], states)

    def _groups(self, parts: tuple[str, ...], name: str, threshold: float | None) -> dict[tuple[str, str], Any]:
        """The part and value of each group, and the value as rows have it."""
        found = {
            key[1:4:2]: None if key[1] == "missing" else int(key[3]) if key[1] == "predicted" else key[3]
            for key in self._sums.lines
            if key[0] == "sum" and key[1] in parts and key[2] == name and (threshold is None or float(key[3]) == threshold)
        }
        return dict(sorted(found.items()))

    def _quantities(self, tally: Tally) -> np.ndarray:
        """1 and the quantities of a tally on a row of every state, shape ``C+1 S``."""
        return np.stack([np.ones(len(self._d.states)), *([q[name] for q in self._of_states] for name in tally.quantities)])

    @cached_property
    def _of_states(self) -> list[dict[str, float]]:
        """The quantities of the tallies on a row of each state."""
        found = []
        for old, new, label in self._d.states.values():
            block = Predictions.trusted(np.array([[old], [new]]), None if label is None else np.array([label]))
            rows = RowValues(block)
            found.append({name: float(rows(q)[0]) for name, q in self.base.quantities.items()})
        return found

    def _line(self, *key: str) -> Numbers:
        kind, part, name, value, state, other = (*key, *[""] * (6 - len(key)))
        return self._sums.lines.get((kind, part, name, value, state, other), (0, 0.0, 0.0))

    def _mean_sums(self, name: str) -> GroupSums:
        n, w, squares = self._line("sum", "mean", name, "", "weight")
        t = self._line("sum", "mean", name, "", "value")[1]
        ww, wt, tt = (self._line("product", "mean", name, "", a, b)[1] for a, b in _PRODUCTS)
        units = self._line("units", "mean", name)[0] if self.clustered else n
        infinite = self._line("infinite", "mean", name)[0]
        return GroupSums(None, n, squares, units, np.array([w, t]), np.array([[ww, wt], [wt, tt]]), infinite)


_PRODUCTS = (("weight", "weight"), ("weight", "value"), ("value", "value"))
