"""The first steps of the query of sums: from two tables to one row for each id, with its faults, its state and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice._database import all_of, any_of, identifier, literal
from traintwice.compare._expressions import reaches_in_sql
from traintwice.predictions._faults import LEAST_WEIGHT, MOST_WEIGHT, PERCENT_TOLERANCE, SUM_TOLERANCE
from traintwice.sums._format import CONFLICTS, EMPTY, FAULTS, Description

MOST = 1.7976931348623157e308
LARGEST_CLASS = 2**31


@dataclass(frozen=True)
class RowSteps:
    """The SQL of the steps that have rows, by the names of the steps.

    ``sides`` has, for each column that belongs to the example (label, weight, cluster, by, or "by COLUMN"), the tables that have it.
    """

    description: Description
    sides: dict[str, tuple[int, ...]]

    def steps(self) -> dict[str, str]:
        """Each step and its SELECT, in their order."""
        return {
            "tt_sides": " UNION ALL ".join(self._side(m) for m in (0, 1)),
            "tt_by_id": self._by_id(),
            "tt_judged": self._judged(),
            "tt_measured": self._measured(),
        }

    def _side(self, m: int) -> str:
        """The columns of one table, each row with the number of its first fault, 0 for none."""
        d = self.description
        columns = {"side": str(m)} | {f"i{j}": identifier(name) for j, name in enumerate(d.id)}
        numbers = [f"CAST({identifier(name)} AS DOUBLE)" for name in d.predictions]
        if d.kind == "pred":
            columns["v"] = self._class(d.predictions[0], least=-LARGEST_CLASS)
        else:
            columns |= {f"p{k}": number for k, number in enumerate(numbers)}
        if d.label is not None:
            has = m in self.sides["label"]
            columns["y"] = self._class(d.label) if has else "CAST(NULL AS BIGINT)"
            columns["labelled"] = f"CASE WHEN {identifier(d.label)} IS NOT NULL THEN 1 ELSE 0 END" if has else "0"
        if d.weight is not None:
            columns["w"] = f"CAST({identifier(d.weight)} AS DOUBLE)" if m in self.sides["weight"] else "CAST(NULL AS DOUBLE)"
        for letter, names, role in (("g", d.by, "by"), ("c", d.cluster, "cluster")):
            for j, name in enumerate(names):
                has = m in self.sides.get(f"{role} {name}", self.sides[role])
                columns[f"{letter}{j}"] = f"CAST({identifier(name) if has else 'NULL'} AS VARCHAR)"
        read = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
        kept = [c for c in columns if c != "labelled"]
        return f"SELECT {', '.join(kept)}, {self._fault(m)} AS fault FROM (SELECT {read} FROM table_{m}) AS side_{m}"

    def _class(self, column: str, least: int = 0) -> str:
        """The class of a label; NULL where it is none."""
        names, cell = self.description.names, identifier(column)
        if names is not None:
            cases = " ".join(f"WHEN {literal(name)} THEN {k}" for k, name in enumerate(names))
            return f"CAST(CASE CAST({cell} AS VARCHAR) {cases} END AS BIGINT)"
        number = f"CAST({cell} AS DOUBLE)"
        fits = f"{number} >= {least} AND {number} < {self.description.classes or LARGEST_CLASS}"
        return f"CASE WHEN {fits} THEN CASE WHEN {number} = FLOOR({number}) THEN CAST({cell} AS BIGINT) END END"

    def _fault(self, m: int) -> str:
        """The number of the first fault of a row."""
        d = self.description
        faults = dict.fromkeys(FAULTS, "FALSE") | {"no_id": any_of(f"i{j} IS NULL" for j in range(len(d.id)))}
        empty = dict.fromkeys(EMPTY, "FALSE")
        if d.kind == "pred":
            empty["empty"], faults["outside"] = "v IS NULL", "v < 0"
        else:
            entries = [f"p{k}" for k in range(len(d.predictions))]
            nans = [_is_nan(p) for p in entries]
            missing = any_of(f"{p} IS NULL" for p in entries)
            nothing = all_of(f"({p} IS NULL OR {nan})" for p, nan in zip(entries, nans, strict=True))
            empty = {"empty": f"({nothing}) AND ({missing})", "empty_nan": nothing}
            faults["missing"] = missing
            faults["not_finite"] = any_of(f"NOT ({p} >= -{MOST!r} AND {p} <= {MOST!r})" for p in entries)
            low = any_of(f"{p} < 0" for p in entries)
            faults["outside"] = f"{low} OR {entries[0]} > 1" if d.kind == "score" else low
            if d.kind == "probs":
                total = " + ".join(entries)
                fine = any_of(f"ABS(100 * {p} - FLOOR(100 * {p} + 0.5)) >= 0.0001" for p in entries)
                wide = f"ABS({total} - 1) > {PERCENT_TOLERANCE * len(entries) + 1e-9!r}"
                faults["sum"] = f"ABS({total} - 1) > {SUM_TOLERANCE!r} AND ({wide} OR {fine})"
        if d.label is not None:
            faults["label"] = "labelled = 1 AND y IS NULL"
        if d.weight is not None and m in self.sides["weight"]:
            faults["weight"] = f"w IS NULL OR NOT (w >= 0 AND w <= {MOST!r})"
            faults["weight_size"] = f"w > {MOST_WEIGHT!r} OR (w > 0 AND w < {LEAST_WEIGHT!r})"
        clusters = [j for j, name in enumerate(d.cluster) if m in self.sides.get(f"cluster {name}", self.sides["cluster"])]
        faults["cluster"] = any_of(f"c{j} IS NULL" for j in clusters)
        numbered = {name: len(FAULTS) + 1 + j for j, name in enumerate(EMPTY)} | {name: j + 1 for j, name in enumerate(FAULTS)}
        cases = [f"WHEN {sql} THEN {numbered[name]}" for name, sql in (empty | faults).items() if sql != "FALSE"]
        return f"CASE {' '.join(cases)} ELSE 0 END"

    def _by_id(self) -> str:
        """One row for each id, with the columns of both tables."""
        d, ids = self.description, [f"i{j}" for j in range(len(self.description.id))]
        columns = {i: i for i in ids}
        for m in (0, 1):
            columns[f"rows_{m}"] = count(f"side = {m}")
            columns[f"copies_{m}"] = count(f"side = {m} AND fault <= {len(FAULTS)}")
            columns[f"empty_{m}"] = count(f"side = {m} AND fault = {len(FAULTS) + 1}")
            columns[f"fault_{m}"] = f"MAX(CASE WHEN side = {m} AND fault <= {len(FAULTS)} THEN fault ELSE 0 END)"
            held = ["v"] if d.kind == "pred" else [f"p{k}" for k in range(len(d.predictions))]
            columns |= {f"{p}_{m}": f"MAX(CASE WHEN side = {m} AND fault = 0 THEN {p} END)" for p in held}
        for name, role in self._shared().items():
            columns |= {f"{name}_{m}": f"MAX(CASE WHEN side = {m} AND fault = 0 THEN {name} END)" for m in self._sides_of(role)}
        return f"SELECT {select(columns)} FROM tt_sides GROUP BY {', '.join(ids)}"

    def _shared(self) -> dict[str, str]:
        """The columns that belong to the example, and their roles."""
        d = self.description
        found = ({"y": "label"} if d.label is not None else {}) | ({"w": "weight"} if d.weight is not None else {})
        found |= {f"g{j}": f"by {name}" for j, name in enumerate(d.by)}
        return found | {f"c{j}": f"cluster {name}" for j, name in enumerate(d.cluster)}

    def _sides_of(self, role: str) -> tuple[int, ...]:
        return self.sides.get(role, self.sides[role.split(" ")[0]])

    def _judged(self) -> str:
        """Whether the id is once in both tables, without a fault; and its values."""
        d = self.description
        whole = all_of(f"copies_{m} = 1 AND fault_{m} = 0" for m in (0, 1))
        columns = {"fine": f"CASE WHEN {whole} THEN 1 ELSE 0 END"}
        for m in (0, 1):
            columns |= {f"{name}_{m}": f"{name}_{m}" for name in ("rows", "copies", "empty", "fault")}
            if d.kind != "pred":
                entries = [f"p{k}_{m}" for k in range(len(d.predictions))]
                entries = [f"(1 - {entries[0]})", *entries] if d.kind == "score" else entries
                columns |= {f"p{k}_{m}": sql for k, sql in enumerate(entries)}
            columns[f"v{m}"] = self._vote(m)
        conflicts: dict[str, list[str]] = {name: [] for name in CONFLICTS}
        for name, role in self._shared().items():
            sides = self._sides_of(role)
            columns[name] = f"COALESCE({name}_0, {name}_1)" if len(sides) == 2 else f"{name}_{sides[0]}"
            if len(sides) == 2:
                conflicts[role.split(" ")[0]].append(f"{name}_0 <> {name}_1")
        columns |= {f"conflict_{name}": f"CASE WHEN {any_of(c)} THEN 1 ELSE 0 END" for name, c in conflicts.items() if c}
        return f"SELECT {select(columns)} FROM tt_by_id"

    def _vote(self, m: int) -> str:
        d, entries = self.description, [f"p{k}_{m}" for k in range(len(self.description.predictions))]
        if d.kind == "pred":
            return f"v_{m}"
        if d.kind == "score":
            return f"CASE WHEN p0_{m} > 0.5 THEN 1 ELSE 0 END"
        top = f"GREATEST({', '.join(entries)})"
        return f"CASE {' '.join(f'WHEN {p} = {top} THEN {k}' for k, p in enumerate(entries))} END"

    def _measured(self) -> str:
        """The state of each row, its decisions, and its soft numbers; of fine rows only."""
        d = self.description
        if d.binary:
            state = f"v0 * 6 + v1 * 3 + {'COALESCE(y, 2)' if d.label is not None else '2'}"
        else:
            cases = ["WHEN v0 = v1 THEN 5 ELSE 6"]
            if d.label is not None:
                right = ["y IS NULL AND v0 = v1 THEN 5", "y IS NULL THEN 6", "v0 = y AND v1 = y THEN 0", "v0 = y THEN 2"]
                cases = [f"WHEN {c}" for c in (*right, "v1 = y THEN 3", "v0 = v1 THEN 1")] + ["ELSE 4"]
            state = f"CASE {' '.join(cases)} END"
        columns = {"state": f"CASE WHEN fine = 1 THEN {state} ELSE -1 END"}
        for j, t in enumerate(d.thresholds):
            old, new = (f"CASE WHEN {reaches_in_sql(f'p1_{m}', t)} THEN {2 - m} ELSE 0 END" for m in (0, 1))
            columns[f"d{j}"] = f"CASE WHEN fine = 1 THEN {old} + {new} ELSE -1 END"
        inner = "tt_judged"
        if d.means:
            of_classes = range(d.classes or 0)
            gaps = [f"ABS(p{k}_0 - p{k}_1)" for k in of_classes]
            columns["m0"] = gaps[1] if d.binary else f"({' + '.join(gaps)}) / 2"
        if len(d.means) > 1:
            q = {f"q{m}": f"CASE y {' '.join(f'WHEN {k} THEN p{k}_{m}' for k in of_classes)} END" for m in (0, 1)}
            inner = f"(SELECT *, {select(q)} FROM tt_judged) AS with_label"
            losses = [f"CASE WHEN q{m} > 0 THEN -LN(q{m}) END" for m in (0, 1)]
            columns |= {"m1": losses[0], "m2": losses[1], "m3": f"{losses[1]} - ({losses[0]})"}
            columns |= {f"zero_{m}": f"CASE WHEN fine = 1 AND q{m} = 0 THEN 1 ELSE 0 END" for m in (0, 1)}
        return f"SELECT *, {select(columns)} FROM {inner}"

    def conflicts(self) -> list[str]:
        """The roles whose columns both tables have."""
        roles = {role.split(" ")[0] for role in self._shared().values() if len(self._sides_of(role)) == 2}
        return [role for role in CONFLICTS if role in roles]


def select(columns: dict[str, str]) -> str:
    return ", ".join(sql if sql == name else f"{sql} AS {name}" for name, sql in columns.items())


def count(condition: str) -> str:
    return f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)"


def double(sql: str) -> str:
    return f"CAST({sql} AS DOUBLE)"


def _is_nan(p: str) -> str:
    """Whether a number is NaN, in engines where NaN equals itself and is above all numbers, and in engines where it is not."""
    return f"(1 / (1 + ABS({p})) > 1 OR {p} <> {p})"
