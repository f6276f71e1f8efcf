"""Refusals of sums whose checks found rows that cannot be compared, in the words that files are refused with."""

from __future__ import annotations

from collections.abc import Callable

from traintwice.errors import BadInput
from traintwice.predictions._faults import faults, repeated, unmatched
from traintwice.predictions._layout import Kind as LayoutKind
from traintwice.predictions._layout import Layout
from traintwice.predictions._source import Source
from traintwice.predictions._views import View
from traintwice.sums._format import Description

ROLE_OF = {"label": "label", "weight": "weight", "cluster": "cluster", "by": "group"}
LAYOUTS: dict[str, LayoutKind] = {"score": "score", "probs": "columns", "pred": "votes"}


def layout_of(d: Description) -> Layout:
    """What the columns of the tables mean."""
    return Layout(
        LAYOUTS[d.kind], d.predictions, classes=d.classes, id=d.id, label=d.label, weight=d.weight, by=d.by, cluster=d.cluster
    )


def refuse(d: Description, rows: int, count: Callable[[str, str], int], *, drop: bool) -> None:
    """Raise `BadInput` where a count of a check is not zero.

    Args:
        rows: how many rows are compared.
        count: the count of a check of "old", "new" or "both".
        drop: leave out rows without a prediction, and ids that one table lacks or has twice.
    """
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
    view = View(name, source, layout_of(d), ids, letters, "", "", cells, {"c": " + ".join(d.cluster)})
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
