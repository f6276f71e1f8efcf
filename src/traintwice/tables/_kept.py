"""Sheets of what is kept: the launches of a ledger, and the studies of banks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from traintwice._formatting import bytes_in_words, change, value_of, visible
from traintwice.bank import BankRecipe, BankStudy
from traintwice.compare._ledger import Check, History, Launch
from traintwice.tables._sheet import Cell, CellUnit, Column, Row, Sheet, Table, text_columns
from traintwice.types import Estimate

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
        *text_columns(models="old → new", rows="rows"),
        Column("churn", "churn" if unit == "fraction" else "difference", unit),
        Column("floor", "floor", unit),
        Column("lost", "right → wrong", "fraction"),
        *text_columns(quality="quality", outcome="gate", budgets="budgets"),
    )
    rows = tuple(Row(launch.date[:16].replace("T", " "), _cells(launch)) for launch in found.launches)
    known = tuple(c for c in columns if any(row.cells.get(c.key) is not None for row in rows))
    return Table("Launches", known, rows)


def _cells(launch: Launch) -> dict[str, Cell]:
    main = next((name for name in MAIN if name in launch.numbers), None)
    quality = quality_of(launch)
    return {
        "models": f"{visible(launch.old.name)} → {visible(launch.new.name)}",
        "rows": f"{launch.rows:,}",
        "churn": None if main is None else launch.numbers[main],
        "floor": launch.floors.get(main or ""),
        "lost": launch.numbers.get("negative_flips"),
        "quality": None if quality is None else " ".join(quality),
        "outcome": launch.outcome,
        "budgets": "; ".join(_budget(c) for c in launch.checks) or None,
    }


def _budget(check: Check) -> str:
    limits = (("≤", check.max), ("≥", check.min))
    allowed = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
    return f"{visible(check.budget)} {'–' if check.number is None else value_of(check.number, 'number', 4)} {allowed}"


def quality_of(launch: Launch) -> tuple[str, str] | None:
    """The first measure of quality of a launch and its change, in words."""
    for name, estimate in launch.quality.items():
        unit = "fraction" if name in ("accuracy", "precision", "recall", "mean_score") else "number"
        return name.replace("_", " "), change(estimate, unit)
    return None


def banks_sheet(studies: Sequence[BankStudy], problems: Sequence[str]) -> Sheet:
    """All studies of all banks."""
    rows = []
    for study in studies:
        about = study.manifest
        numbers = {"recipes": f"{len(study.recipes)}", "replicas": f"{study.replicas}", "examples": f"{about['examples']:,}"}
        size = bytes_in_words(study.parquet.stat().st_size) if study.parquet.is_file() else "missing"
        rows.append(Row(study.name, {**{key: str(about[key]) for key in ("data", "network", "date")}, **numbers, "size": size}))
    headline = (
        f"{len(studies)} {'study' if len(studies) == 1 else 'studies'} with predictions of every replica on every test example"
    )
    notes = [f"Not read: {problem}" for problem in problems]
    notes.append("`traintwice bank NAME` shows the recipes; `traintwice measure bank:NAME/RECIPE` measures one.")
    tables = (
        (Table("", text_columns("data", "network", "recipes", "replicas", "examples", "size", "date"), tuple(rows)),)
        if rows
        else ()
    )
    return Sheet(headline, "", tables=tables, notes=tuple(notes))


def study_sheet(study: BankStudy) -> Sheet:
    """One study: its recipes with cost, accuracy and churn."""
    about, rows = study.manifest, []
    for recipe in study.recipes.values():
        cells: dict[str, Any] = {"short": recipe.slug, "train": recipe.train, "serve": recipe.serve}
        for key in ("accuracy", "churn"):
            cells[key] = _cell(recipe, key, about["examples"])
        rows.append(Row(recipe.name, {**cells, "replicas": f"{recipe.replicas}"}))
    columns = (
        Column("short", f"bank:{study.name}/", "text"),
        Column("train", "train", "cost"),
        Column("serve", "serve", "cost"),
        Column("accuracy", "accuracy", "fraction"),
        Column("churn", "churn", "fraction"),
        Column("replicas", "replicas", "text"),
    )
    lines = [f"{about['data']}, {about['network']}", f"{about['examples']:,} test examples", about["date"]]
    lines += [", ".join(about["processors"])] if about.get("processors") else []
    notes = [f"Cost: a multiple of {about['cost_of']}. Intervals: 95 %, for new replicas and new examples.", f"{study.path}"]
    notes[1:1] = [f"Trained with: {about['command']}"] if about.get("command") else []
    return Sheet(f"{study.name} · {' · '.join(lines)}", "", tables=(Table("", columns, tuple(rows)),), notes=tuple(notes))


def _cell(recipe: BankRecipe, measure: str, examples: int) -> Cell:
    """A measure with its interval, where it has one."""
    found = recipe.measures.get(measure, ())
    if len(found) != 3:
        return found[0] if found else None
    return Estimate(*found, standard_error=math.nan, replicas=recipe.replicas, examples=examples)
