"""The last steps of the query of sums: from rows to cells, slices, products over clusters, and the lines of the result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

from traintwice._database import literal
from traintwice.sums._format import COLUMNS, DECISIONS, EMPTY, FAULTS, MEANS, Description
from traintwice.sums._rows_sql import count, double, select


@dataclass(frozen=True)
class LineSteps:
    """The SQL of the steps that have sums, by the names of the steps; ``conflicts`` are roles whose columns both tables have."""

    description: Description
    conflicts: list[str]

    def steps(self) -> dict[str, str]:
        """Each step and its SELECT, in their order."""
        found = {"tt_cells": self._cells(), "tt_slices": self._slices()}
        return found | ({"tt_totals": self._totals()} if self.description.cluster else {})

    def _cells(self) -> str:
        """Sums over the rows, by state, classes, decisions, groups and cluster."""
        d, w = self.description, "w" if self.description.weight is not None else "1"
        keys = ["state", "v0", "v1", *(f"d{j}" for j in range(len(d.thresholds))), *self._of("g"), *self._of("c")]
        columns = {key: key for key in keys} | {"n": "SUM(fine)"}
        if d.weight is not None:
            columns |= {"w": "SUM(CASE WHEN fine = 1 THEN w ELSE 0 END)", "ww": "SUM(CASE WHEN fine = 1 THEN w * w ELSE 0 END)"}
        for j in range(len(d.means)):
            sums = {"t": f"{w} * m{j}"} if d.cluster else {"t": f"{w} * m{j}", "bt": f"{w} * {w} * m{j}"}
            sums |= {} if d.cluster else {"tt": f"{w} * {w} * m{j} * m{j}"}
            columns |= {f"{k}{j}": f"SUM(CASE WHEN fine = 1 THEN {sql} ELSE 0 END)" for k, sql in sums.items()}
        columns |= {f"zero_{m}": f"SUM(zero_{m})" for m in (0, 1) if len(d.means) > 1}
        return f"SELECT {select(columns | self._checks())} FROM tt_measured GROUP BY {', '.join(keys)}"

    def _of(self, letter: str) -> list[str]:
        return [f"{letter}{j}" for j in range(len(self.description.by if letter == "g" else self.description.cluster))]

    def _checks(self) -> dict[str, str]:
        """Counts of what is wrong with rows, and of rows."""
        found = {}
        for m in (0, 1):
            found[f"rows_{m}"] = f"SUM(rows_{m})"
            found |= {f"{name}_{m}": count(f"fault_{m} = {j + 1}") for j, name in enumerate(FAULTS)}
            found[f"{FAULTS[0]}_{m}"] = (
                f"SUM(CASE WHEN fault_{m} = 1 THEN copies_{m} ELSE 0 END)"  # no id: rows, all in one group
            )
            found |= {f"empty_{m}": f"SUM(empty_{m})", f"empty_nan_{m}": f"SUM(rows_{m} - copies_{m} - empty_{m})"}
            found[f"repeated_{m}"] = count(f"copies_{m} > 1")
            found[f"alone_{m}"] = count(f"copies_{m} > 0 AND copies_{1 - m} = 0")
        both = {f"conflict_{role}": f"SUM(CASE WHEN fine = 1 THEN conflict_{role} ELSE 0 END)" for role in self.conflicts}
        return found | both

    def _axes(self) -> list[tuple[str, str, str]]:
        """What rows are sliced by: the part, the name of the column, and the SQL of the value."""
        groups = [("by", name, f"g{j}") for j, name in enumerate(self.description.by)]
        axes = [("all", "", "NULL"), *groups, ("predicted", "", "CAST(v0 AS VARCHAR)")]
        return axes if self.description.binary else [*axes, ("flow", "", "CAST(v0 AS VARCHAR)")]

    def _vectors(self) -> dict[str, list[str]]:
        """The columns of each vector of disjoint states: the sums of the rows' weights are n…, w… and ww…."""
        d = self.description
        found = {"s": [f"s{s}" for s in range(len(d.states))]}
        return found | {f"d{j}": [f"d{j}_{s}" for s in range(len(DECISIONS))] for j in range(len(d.thresholds))}

    def _weighing(self) -> list[str]:
        return ["n", "w", "ww"] if self.description.weight is not None else ["n"]

    def _slices(self) -> str:
        """Cells by axis and value (and cluster), one column for each state."""
        d, axes = self.description, self._axes()
        values = " ".join(f"WHEN {a} THEN {sql}" for a, (_, _, sql) in enumerate(axes) if a)
        keys = {"axis": "axis", "value": f"CASE axis {values} END"}
        flow = len(axes) - 1
        keys["second"] = f"CASE WHEN axis = {flow} THEN CAST(v1 AS VARCHAR) END" if not d.binary else "CAST(NULL AS VARCHAR)"
        keys |= {c: c for c in self._of("c")}
        columns = dict(keys)
        for of in self._weighing():
            columns[f"{of}_all"] = f"SUM({of})"
            for vector, states in self._vectors().items():
                for s, column in enumerate(states):
                    when = f"state = {s}" if vector == "s" else f"axis = 0 AND {vector} = {s}"
                    columns[f"{of}_{column}"] = f"SUM(CASE WHEN {when} THEN {of} ELSE 0 END)"
        further = [f"{k}{j}" for j in range(len(d.means)) for k in (("t",) if d.cluster else ("t", "bt", "tt"))]
        further += [f"zero_{m}" for m in (0, 1) if len(d.means) > 1]
        columns |= {name: f"SUM(CASE WHEN axis = 0 THEN {name} ELSE 0 END)" for name in (*further, *self._checks())}
        numbers = " UNION ALL ".join(f"SELECT {a} AS axis" for a in range(len(axes)))
        by = ", ".join(dict.fromkeys(("axis", "value", "second", *self._of("c"))))
        own = select({k: v for k, v in keys.items() if k not in self._of("c")})
        inner = f"SELECT tt_cells.*, {own} FROM tt_cells CROSS JOIN ({numbers}) AS axes"
        outer = select({name: name if name in keys else sql for name, sql in columns.items()})
        return f"SELECT {outer} FROM ({inner}) AS sliced GROUP BY {by}"

    def _totals(self) -> str:
        """Sums over clusters, and of the products of what each cluster has."""
        d, w = self.description, "w" if self.description.weight is not None else "n"
        columns = {name: name for name in ("axis", "value", "second")}
        columns |= {"n_all": "SUM(n_all)", "units": count("n_all > 0")}
        for states in self._vectors().values():
            columns |= {f"{of}_{s}": f"SUM({of}_{s})" for of in self._weighing() for s in states}
            for a, b in combinations_with_replacement(states, 2):
                columns[f"x_{a}_{b}"] = f"SUM({double(f'{w}_{a}')} * {double(f'{w}_{b}')})"
        for j, mean in enumerate(d.means):
            base = self._base(w, mean)
            columns[f"units{j}"] = count(f"{self._base('n', mean)} > 0")
            columns |= {f"t{j}": f"SUM(t{j})", f"tt{j}": f"SUM(t{j} * t{j})", f"bt{j}": f"SUM({double(base)} * t{j})"}
            columns[f"bb{j}"] = f"SUM({double(base)} * {double(base)})"
        columns |= {f"zero_{m}": f"SUM(zero_{m})" for m in (0, 1) if len(d.means) > 1}
        columns |= {name: f"SUM({name})" for name in self._checks()}
        return f"SELECT {select(columns)} FROM tt_slices GROUP BY axis, value, second"

    def _base(self, of: str, mean: str) -> str:
        """The weight of the rows that a mean is over."""
        states = [s for s, (_, _, label) in enumerate(self.description.states.values()) if mean == MEANS[0] or label is not None]
        return "(" + " + ".join(f"{of}_s{s}" for s in states) + ")"

    def lines(self) -> str:
        """One line for each sum that is not zero, and for each count of a check."""
        d, axes, items = self.description, self._axes(), self._items()
        numbered = list(enumerate(items))
        heads = " UNION ALL ".join(
            f"SELECT {n} AS item, {literal(i.kind)} AS kind, {literal(i.part)} AS part, {literal(i.name)} AS name, "
            f"{literal(i.value)} AS value, {literal(i.state)} AS state, {literal(i.other)} AS other"
            for n, i in numbered
        )
        flow = len(axes) - 1 if not d.binary else len(axes)
        of_axis = {"slice": f"axis < {flow}", "flow": f"axis = {flow}"}
        of_group = "CASE WHEN s.value IS NULL THEN 'missing' ELSE 'by' END"
        parts = " ".join(f"WHEN {a} THEN {of_group if part == 'by' else literal(part)}" for a, (part, _, _) in enumerate(axes))
        names = " ".join(f"WHEN {a} THEN {literal(name)}" for a, (_, name, _) in enumerate(axes))
        columns = {
            "kind": "items.kind",
            "part": f"CASE WHEN items.part IN ('slice', 'flow') THEN CASE axis {parts} END ELSE items.part END",
            "name": f"CASE WHEN items.part = 'slice' THEN CASE axis {names} END ELSE items.name END",
            "value": "CASE WHEN items.part IN ('slice', 'flow') THEN COALESCE(s.value, '') ELSE items.value END",
            "state": "items.state",
            "other": "CASE WHEN items.part = 'flow' THEN second ELSE items.other END",
        }
        for name in COLUMNS[6:]:
            cases = " ".join(f"WHEN {n} THEN {sql}" for n, i in numbered if (sql := getattr(i, name)) is not None)
            kind = "BIGINT" if name == "n" else "DOUBLE"
            columns[name] = f"CAST(CASE item {cases} END AS {kind})"
        conditions = " OR ".join(f"(items.part = '{part}' AND {sql})" for part, sql in of_axis.items())
        where = f"{conditions} OR (items.part NOT IN ('slice', 'flow') AND axis = 0)"
        source = "tt_totals" if d.cluster else "tt_slices"
        whole = f"SELECT {select(columns)} FROM {source} AS s CROSS JOIN ({heads}) AS items WHERE {where}"
        kept = "kind = 'check' OR n <> 0 OR total <> 0"
        return f"SELECT {', '.join(COLUMNS)} FROM ({whole}) AS lines WHERE {kept}"

    def _items(self) -> list[_Item]:
        d, found = self.description, []
        w, ww = ("w", "ww") if d.weight is not None else ("n", "n")
        vectors = {"s": ("slice", "", list(d.states))}
        vectors |= {f"d{j}": ("threshold", repr(t), list(DECISIONS)) for j, t in enumerate(d.thresholds)}
        for vector, columns in self._vectors().items():
            part, value, states = vectors[vector]
            for s, column in zip(states, columns, strict=True):
                found.append(_Item("sum", part, "", value, s, "", f"n_{column}", f"{w}_{column}", f"{ww}_{column}"))
            if d.cluster:
                for (a, x), (b, y) in combinations_with_replacement(list(zip(states, columns, strict=True)), 2):
                    found.append(_Item("product", part, "", value, a, b, None, f"x_{x}_{y}"))
        if d.cluster:
            found.append(_Item("units", "slice", "", "", "", "", "units"))
        for j, mean in enumerate(d.means):
            n, b, bb = (self._base(of, mean) for of in ("n", w, ww))
            found.append(_Item("sum", "mean", mean, "", "weight", "", n, b, bb))
            found.append(_Item("sum", "mean", mean, "", "value", "", n, f"t{j}"))
            products = {("weight", "weight"): f"bb{j}" if d.cluster else bb, ("weight", "value"): f"bt{j}"}
            products[("value", "value")] = f"tt{j}"
            found += [_Item("product", "mean", mean, "", a, c, None, sql) for (a, c), sql in products.items()]
            if d.cluster:
                found.append(_Item("units", "mean", mean, "", "", "", f"units{j}"))
        if len(d.means) > 1:
            found += [_Item("infinite", "mean", name, "", "", "", f"zero_{m}") for m, name in enumerate(MEANS[1:3])]
        if not d.binary:
            found.append(_Item("sum", "flow", "", "", "", "", "n_all"))
        for m, side in enumerate(("old", "new")):
            names = ("rows", *FAULTS, *EMPTY, "repeated", "alone")
            found += [_Item("check", side, "", "", name, "", f"{name}_{m}") for name in names]
        return found + [_Item("check", "both", "", "", role, "", f"conflict_{role}") for role in self.conflicts]


@dataclass(frozen=True)
class _Item:
    """A line that is written for each slice: its key, and the SQL of its numbers."""

    kind: str
    part: str
    name: str
    value: str
    state: str
    other: str
    n: str | None = None
    total: str | None = None
    squares: str | None = None
