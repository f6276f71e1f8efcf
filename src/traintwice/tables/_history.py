"""Sheet of the launches of a ledger."""

from __future__ import annotations

from traintwice._formatting import change, value_of, visible
from traintwice.compare._ledger import Check, History, Launch
from traintwice.tables._sheet import Sheet
from traintwice.tables._table import Cell, CellUnit, Column, Row, Table

MAIN = ("churn", "regression_difference")


def history_sheet(found: History) -> Sheet:
    """One row for each launch: rows, churn and its floor, right → wrong, the change of accuracy, the outcome and its budgets."""
    first, last = found.launches[0], found.launches[-1]
    gates = [launch.outcome for launch in found.launches if launch.outcome is not None]
    counts = ", ".join(f"{gates.count(word)} {word}" for word in ("kept", "over", "inconclusive") if word in gates)
    many = f"{len(found.launches):,} launch{'' if len(found.launches) == 1 else 'es'}"
    headline = f"{visible(found.path)} · {many} from {first.date[:10]} to {last.date[:10]}"
    verdict = f"Last launch: {visible(last.headline)}{'' if last.outcome is None else f' Gate: {last.outcome}.'}"
    return Sheet(
        headline, verdict, tables=(launches_table(found),), notes=(*([f"gates: {counts}"] if counts else []), *found.notes)
    )


def launches_table(found: History) -> Table:
    """The launches, oldest first; columns without any value are left out."""
    unit: CellUnit = "number" if any("regression_difference" in launch.numbers for launch in found.launches) else "fraction"
    columns = (
        Column("models", "old → new", "text"),
        Column("rows", "rows", "text"),
        Column("churn", "churn" if unit == "fraction" else "difference", unit),
        Column("floor", "floor", unit),
        Column("lost", "right → wrong", "fraction"),
        Column("quality", "quality", "text"),
        Column("outcome", "gate", "text"),
        Column("budgets", "budgets", "text"),
    )
    rows = tuple(Row(launch.date[:16].replace("T", " "), _cells(launch)) for launch in found.launches)
    known = tuple(c for c in columns if any(row.cells.get(c.key) is not None for row in rows))
    return Table("Launches", known, rows)


def _cells(launch: Launch) -> dict[str, Cell]:
    main = next((name for name in MAIN if name in launch.numbers), None)
    quality = next(((name, e) for name, e in launch.quality.items()), None)
    return {
        "models": f"{visible(launch.old.name)} → {visible(launch.new.name)}",
        "rows": f"{launch.rows:,}",
        "churn": None if main is None else launch.numbers[main],
        "floor": launch.floors.get(main or ""),
        "lost": launch.numbers.get("negative_flips"),
        "quality": None if quality is None else f"{quality[0].replace('_', ' ')} {change(quality[1], _unit(quality[0]))}",
        "outcome": launch.outcome,
        "budgets": "; ".join(_budget(c) for c in launch.checks) or None,
    }


def _budget(check: Check) -> str:
    limits = (("≤", check.max), ("≥", check.min))
    said = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
    return f"{visible(check.budget)} {'–' if check.number is None else value_of(check.number, 'number', 4)} {said}"


def _unit(name: str) -> str:
    return "fraction" if name in ("accuracy", "precision", "recall", "mean_score") else "number"
