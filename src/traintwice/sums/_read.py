"""Tables of sums: read from files and tables, checked, and added up."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from traintwice._database import Session
from traintwice.errors import BadInput
from traintwice.predictions._checks import repeated, unmatched
from traintwice.predictions._faults import faults
from traintwice.predictions._inputs import expand
from traintwice.predictions._layout import Kind as LayoutKind
from traintwice.predictions._layout import Layout
from traintwice.predictions._opening import open_source
from traintwice.predictions._source import Source
from traintwice.predictions._views import View
from traintwice.sums._format import CHECKS, COLUMNS, DECISIONS, VERSION, Description, described

Key = tuple[str, str, str, str, str, str]
"""Kind, part, name, value, state, other."""
Numbers = tuple[int, float, float]
"""n, total, squares."""

KINDS_OF_LINES = ("format", "sum", "product", "units", "infinite", "check")
EXPECTED = f"expected the result of the query that `traintwice sums` prints, with the columns {', '.join(COLUMNS)}"


ROLE_OF = {"label": "label", "weight": "weight", "cluster": "cluster", "by": "group"}
LAYOUTS: dict[str, LayoutKind] = {"score": "score", "probs": "columns", "pred": "votes"}


@dataclass(frozen=True)
class Sums:
    """Sums over the rows of two models; see docs/concepts/sums.md.

    Attributes:
        description: what they are about.
        lines: key to n, total and squares.
        parts: how many results were added up.
    """

    description: Description
    lines: Mapping[Key, Numbers]
    parts: int = 1

    @property
    def rows(self) -> int:
        """Number of rows that are compared."""
        return sum(n for (kind, part, *_), (n, _, _) in self.lines.items() if (kind, part) == ("sum", "all"))

    def count(self, side: str, check: str) -> int:
        """The count of a check of a table, "old" or "new", or of "both"."""
        return self.lines.get(("check", side, "", "", check, ""), (0, 0.0, 0.0))[0]

    def checked(self, on_missing: Literal["refuse", "drop"] = "refuse") -> Sums:
        """The same sums.

        Raises:
            BadInput: rows that cannot be compared, in the words of `traintwice.diff`; ids that one table lacks or has twice, and rows
                without a prediction, only with "refuse".
        """
        if on_missing not in ("refuse", "drop"):
            raise BadInput(f"on_missing: got {on_missing!r}, expected 'refuse' or 'drop'")
        _refuse(self, drop=on_missing == "drop")
        return self


def layout_of(d: Description) -> Layout:
    """What the columns of the tables mean."""
    return Layout(
        LAYOUTS[d.kind], d.predictions, classes=d.classes, id=d.id, label=d.label, weight=d.weight, by=d.by, cluster=d.cluster
    )


def _refuse(sums: Sums, *, drop: bool) -> None:
    """Raise `BadInput` where a count of a check is not zero, in the words that files are refused with; ``drop`` as in `Sums.checked`."""
    d, rows, count = sums.description, sums.rows, sums.count
    names = (d.old, d.new)
    for side, name in zip(("old", "new"), names, strict=True):
        total = count(side, "rows")
        if not total:
            raise BadInput(f"{name} has columns but no rows")
        for fault, check in _sentences(d, name):
            bad = count(side, check)
            if not drop:
                bad += count(side, {"missing": "empty", "not_finite": "empty_nan"}.get(check, "none"))
            if bad:
                raise BadInput(f"{name}: {bad:,} of {total:,} rows {fault}")
    counted = [count(side, "rows") for side in ("old", "new")]
    for side, name, total in zip(("old", "new"), names, counted, strict=True) if not drop else ():
        if bad := count(side, "repeated"):
            raise repeated(name, bad, total)
    alone = [count(side, "alone") for side in ("old", "new")]
    if not drop and any(alone):
        raise unmatched(names, alone, counted)
    for role, word in ROLE_OF.items():
        if bad := count("both", role):
            called = {"label": d.label, "weight": d.weight, "cluster": " + ".join(d.cluster), "by": ", ".join(d.by)}[role]
            told = f"{d.new}: {bad:,} of {rows:,} rows have another {word} in {called!r} than in {d.old}"
            raise BadInput(f"{told}; the files must be about the same examples")
    if not rows:
        raise BadInput("no id is in all 2 files; choose another --id")


def _sentences(d: Description, name: str) -> list[tuple[str, str]]:
    """What the rows of a file may not hold, in the words for files, with the check that counts such rows here."""
    letters = {"score": ("s",), "pred": ("v",)}.get(d.kind, tuple(f"k{k}" for k in range(len(d.predictions))))
    cells = {"y": "y", "raw_y": "raw"} if d.label is not None else {}
    ids = tuple(f"i{j}" for j in range(len(d.id)))
    source = Source(name, "", "", {})
    view = View(name, source, layout_of(d), dict.fromkeys(ids, "VARCHAR"), letters, "", "", cells, {"c": " + ".join(d.cluster)})
    checks = [
        "no_id",
        "missing",
        *([] if d.kind == "pred" else ["not_finite"]),
        "outside",
        *(["sum"] if d.kind == "probs" else []),
    ]
    checks += [*(["label"] if d.label is not None else []), *(["weight", "weight_size"] if d.weight is not None else [])]
    checks += ["cluster"] if d.cluster else []
    found = faults(view)
    return [(f"{fault.says}; {fault.advice}", check) for fault, check in zip(found, checks, strict=True)]


def read(*given: Any, memory: int | str | None = None) -> Sums:
    r"""Read results of the query of sums, and add them up.

    Args:
        given: paths of Parquet, CSV or JSON files, globs, folders, addresses, or tables in memory (pandas, Polars, Arrow). Several are
            parts of the rows, such as days or machines, and every row is in one of them. With clusters the parts are cut by
            cluster: a cluster that is in two parts counts as two.
        memory: limit for DuckDB.
    Returns:
        `Sums`.
    Raises:
        BadInput: a file is not a table of sums of this version, lines are missing, numbers cannot be, or parts are about
            different columns, classes or thresholds.
    Source:
        docs/concepts/sums.md, "Adding up".
    """
    inputs = [item for each in given for item in (each if isinstance(each, list | tuple) else [each])]
    if not inputs:
        raise BadInput("sums: nothing was given; pass the result of the query that `traintwice sums` prints")
    found = []
    session = Session(memory)
    try:
        for number, item in enumerate(expand(inputs)):
            source = open_source(session, item, number)
            found.append(_of_lines(_lines(session, source), source.name))
    finally:
        session.close()
    return merged(found)


def merged(parts: list[Sums]) -> Sums:
    """The sums of several parts, which must be about the same things."""
    first = parts[0]
    for other in parts[1:]:
        ours, theirs = (asdict(replace(p.description, old="", new="")) for p in (first, other))
        if differ := [key for key in ours if ours[key] != theirs[key]]:
            said = "; ".join(f"{key}: {_said(ours[key])} and {_said(theirs[key])}" for key in differ)
            raise BadInput(f"sums about different things cannot be added ({said}); make all of them with the same options")
    lines: dict[Key, Numbers] = {}
    for part in parts:
        for key, (n, total, squares) in part.lines.items():
            have = lines.get(key, (0, 0.0, 0.0))
            lines[key] = (have[0] + n, have[1] + total, have[2] + squares)
    old, new = (", ".join(dict.fromkeys(getattr(p.description, side) for p in parts)) for side in ("old", "new"))
    return Sums(replace(first.description, old=old, new=new), lines, sum(p.parts for p in parts))


def _said(value: Any) -> str:
    return "none" if value in (None, (), []) else ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _lines(session: Session, source: Any) -> list[tuple[Any, ...]]:
    """The lines of one result, columns in their order; other columns, and cells that are not numbers, are refused."""
    lower: dict[str, list[str]] = defaultdict(list)
    for name in source.columns:
        lower[name.lower()].append(name)
    missing = [name for name in COLUMNS if name not in lower]
    extra = [name for key, names in lower.items() for name in names if key not in COLUMNS or len(names) > 1]
    if missing or extra:
        told = [f"has no column {', '.join(missing)}"] if missing else []
        told += [f"has other columns ({', '.join(extra[:5])}{' …' if len(extra) > 5 else ''})"] if extra else []
        raise BadInput(f"{source.name} {' and '.join(told)}; {EXPECTED}")
    cells = [f"CAST({source.cell(lower[name][0])} AS VARCHAR)" for name in COLUMNS]
    texts = [f"coalesce({cell}, '')" for cell in cells[:6]]
    numbers = [f"TRY_CAST({cell} AS DOUBLE)" for cell in cells[6:]]
    bad = [f"(nullif({cell}, '') IS NOT NULL AND TRY_CAST({cell} AS DOUBLE) IS NULL)" for cell in cells[6:]]
    sql = f"SELECT {', '.join([*texts, *numbers, *bad])} FROM {source.relation}"
    found = session.rows(sql, doing=f"{source.name}: reading")
    for row in found:
        if any(row[9:]):
            column = COLUMNS[6 + row[9:].index(True)]
            raise BadInput(f"{source.name}: a cell of the column {column} is not a number; {EXPECTED}")
    return [row[:9] for row in found]


def _of_lines(found: list[tuple[Any, ...]], name: str) -> Sums:
    """The sums of one result, which may hold several below each other."""
    heads = [row for row in found if row[0] == "format"]
    if not heads:
        raise BadInput(f"{name} has no line of kind 'format'; {EXPECTED}")
    for head in heads:
        if head[6] != VERSION:
            raise BadInput(
                f"{name}: sums of version {_number(head[6])}, expected {VERSION}; print the query again with this version"
            )
    whole = [described(row[3], name) for row in heads]
    lines: dict[Key, Numbers] = {}
    for row in found:
        if row[0] == "format":
            continue
        key: Any = row[:6]
        n, total, squares = (0.0 if x is None else float(x) for x in row[6:])
        _check_line(key, row[6:], whole[0], name)
        have = lines.get(key, (0, 0.0, 0.0))
        lines[key] = (have[0] + int(n), have[1] + total, have[2] + squares)
    parts = [Sums(each, {}) for each in whole]
    made = replace(merged([Sums(whole[0], lines), *parts[1:]]), parts=len(whole))
    _check_complete(made, len(whole), name)
    return made


def _check_line(key: Key, numbers: tuple[Any, ...], d: Description, name: str) -> None:
    """Raise `BadInput` for a line that the description does not allow, or with numbers that cannot be."""
    kind, part, column, value, state, other = key
    states = {"threshold": DECISIONS, "mean": ("weight", "value"), "flow": ("",)}.get(part, tuple(d.states))
    columns = d.by if part in ("by", "missing") else d.means if part == "mean" else ("",)
    parts = ("old", "new", "both") if kind == "check" else ("all", "by", "missing", "predicted", "threshold", "mean", "flow")
    known = kind in KINDS_OF_LINES and part in parts and (kind == "check" or column in columns)
    known = known and (kind not in ("sum", "product") or state in states) and (kind != "product" or other in states)
    known = known and (part != "threshold" or _float(value) in d.thresholds)
    classes = {"predicted": (value,), "flow": (value, other)}.get(part, ())
    known = known and all(c.isdigit() and (d.classes is None or int(c) < d.classes) for c in classes)
    where = " ".join(filter(None, key))
    if not known:
        raise BadInput(f"{name}: a line of version {VERSION} cannot be {where!r}; {EXPECTED}")
    needed = {"sum": 3 if part in ("all", "by", "missing", "predicted", "threshold") else 1, "product": 0}.get(kind, 1)
    given = [x for x in numbers if x is not None]
    signed = kind in ("sum", "product") and column == "loss_change"
    whole = numbers[0] is None or float(numbers[0]).is_integer()
    fine = all(math.isfinite(x) for x in given) and whole and all(x is not None for x in numbers[:needed])
    if not fine or (kind == "product" and numbers[1] is None) or (not signed and any(x < 0 for x in given)):
        shown = ", ".join(f"{c} = {_number(x)}" for c, x in zip(COLUMNS[6:], numbers, strict=True) if x is not None)
        raise BadInput(f"{name}: the line {where!r} has {shown or 'no numbers'}; sums of rows are finite and not negative")


def _check_complete(sums: Sums, results: int, name: str) -> None:
    """Raise `BadInput` where lines are missing: a result that was cut short, or exported in part."""
    d = sums.description
    axes: dict[str, int] = defaultdict(int)
    for (kind, part, column, value, *_), (n, _, _) in sums.lines.items():
        if kind == "sum" and part != "mean":
            of = {"by": f"by {column}", "missing": f"by {column}", "threshold": f"threshold {_float(value)}"}
            axes[of.get(part, part)] += n
    wanted = ["all", "predicted", *(f"by {c}" for c in d.by), *([] if d.binary else ["flow"])]
    wanted += [f"threshold {float(threshold)}" for threshold in d.thresholds]
    checks = {key[1:5:3] for key in sums.lines if key[0] == "check"}
    missing = {(side, check) for side in ("old", "new") for check in CHECKS} - checks
    told = next((axis for axis in wanted if axes[axis] != sums.rows), None)
    counted = [sums.count(side, "rows") for side in ("old", "new")]
    if told is not None:
        raise BadInput(
            f"{name}: lines are missing: {axes[told]:,} rows in the lines of {told!r}, {sums.rows:,} in all; export all lines"
        )
    if missing:
        raise BadInput(f"{name}: lines are missing: no check {' '.join(min(missing))!r}; export all lines of the result")
    if min(counted) < sums.rows or results < 1:
        raise BadInput(f"{name}: {sums.rows:,} rows are compared, and the tables have {counted[0]:,} and {counted[1]:,}")
    units = {key[1:4] for key in sums.lines if key[0] == "units"}
    for key in sums.lines if d.cluster else ():
        if key[0] == "sum" and key[1] not in ("threshold", "flow", "mean") and key[1:4] not in units:
            raise BadInput(f"{name}: lines are missing: the number of clusters of {' '.join(key[1:4])!r}; export all lines")


def _number(x: Any) -> str:
    return "none" if x is None else f"{x:g}"


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
