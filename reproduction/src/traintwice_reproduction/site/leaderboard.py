"""The leaderboard: every recipe of every study with rows of equal settings, from the kept results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from traintwice.bank import BankStudy
from traintwice_reproduction.kept import BANK, KEPT, read

HEAD = """---
hide: [navigation, toc]
---

# Leaderboard

Every recipe of the studies that compare many recipes on one data set: accuracy and prediction churn (share of test rows whose answer
changes from one training to the next), with 95 % intervals for new replicas and new test rows, and the cost as a multiple of one plain
network, to train and to serve. Rows of one data set and network are comparable; rows of different data sets are not. Differences between
two rows of a study are more precise than the intervals suggest, because replicas are paired: [What we found](findings.md) has the
comparisons and what is significant. Studies whose name starts with `bank:` are in [the bank](bank.md): `traintwice measure
bank:STUDY/RECIPE` measures their rows again.

Type into a field to filter (`>0.9` and `<2` work for numbers); click a heading to sort.

<div class="filterable" markdown>

| study | data | network | recipe | train | serve | accuracy, % | churn, % | churn / error | replicas | date |
| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
"""


def rows() -> Iterator[tuple[Any, ...]]:
    """Study, data, network, recipe, cost, measures with intervals, replicas, date."""
    for path in sorted(BANK.glob("*.json")):
        study = BankStudy.read(path)
        about = study.manifest
        drawn = ", each replica draws its own" if about.get("data_draws") else ""
        data = f"{about['data']}, {about['train_examples']:,} for training{drawn}" if "train_examples" in about else about["data"]
        for recipe in study.recipes.values():
            cost = {"train": recipe.train, "serve": recipe.serve}
            yield f"bank:{study.name}", data, about["network"], recipe.name, cost, recipe.measures, recipe.replicas, about["date"]
    others = [path for path in (KEPT / "evidence").glob("*.json") if not (BANK / path.name).exists()]
    for path in sorted([*(KEPT / "findings").glob("rivals-*.json"), *others]):
        kept = read(path)
        if kept.get("sample"):
            kept["data"] += f", {kept['train_examples']:,} for training, each replica draws its own"
        for row, found in kept["rows"].items():
            yield path.stem, kept["data"], kept["network"], row, found, found, kept["replicas"], kept["date"]


def page() -> str:
    """The page."""
    lines = []
    for study, data, network, row, cost, found, replicas, date in rows():
        numbers: list[str] = []
        for key in ("accuracy", "churn"):
            value, low, high = (100 * x for x in found[key])
            numbers.append(f"{value:.2f} ({low:.2f} to {high:.2f})")
        cells = [
            study,
            data,
            network,
            row,
            f"{cost['train']:.3g}",
            f"{cost['serve']:.3g}",
            *numbers,
            f"{found['churn_to_error'][0]:.2f}",
        ]
        lines.append("| " + " | ".join([*cells, str(replicas), date]) + " |")
    return HEAD + "\n".join(lines) + "\n\n</div>\n"
