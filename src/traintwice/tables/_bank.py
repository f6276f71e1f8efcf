"""Tables of banks: their studies, and the recipes of one study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from traintwice._formatting import bytes_in_words
from traintwice.bank import BankRecipe, BankStudy
from traintwice.tables._sheet import Sheet
from traintwice.tables._table import Cell, Column, Row, Table
from traintwice.types import Estimate

NOTE = "Cost: a multiple of {cost_of}. Intervals: 95 %, for new replicas and new examples."


def banks_sheet(studies: Sequence[BankStudy], problems: Sequence[str]) -> Sheet:
    """All studies of all banks."""
    titles = ("data", "network", "recipes", "replicas", "examples", "size", "date")
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
    tables = (Table("", tuple(Column(t, t, "text") for t in titles), tuple(rows)),) if rows else ()
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
    notes = [NOTE.format(cost_of=about["cost_of"]), f"{study.path}"]
    notes[1:1] = [f"Trained with: {about['command']}"] if about.get("command") else []
    return Sheet(f"{study.name} · {' · '.join(lines)}", "", tables=(Table("", columns, tuple(rows)),), notes=tuple(notes))


def _cell(recipe: BankRecipe, measure: str, examples: int) -> Cell:
    """A measure with its interval, where it has one."""
    found = recipe.measures.get(measure, ())
    if len(found) != 3:
        return found[0] if found else None
    return Estimate(*found, standard_error=math.nan, replicas=recipe.replicas, examples=examples)
