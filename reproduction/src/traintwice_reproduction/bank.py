"""The bank: predictions of every replica of a study on every row of its test split, for studies that take long to train.

A study of the bank is a Parquet file and a JSON file of the same name in `kept/bank`. The JSON file says how the replicas were trained and
what the columns of the Parquet file are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from traintwice import compare_recipes, measure
from traintwice.errors import unknown
from traintwice.predictions import Predictions
from traintwice_reproduction.kept import KEPT, read

BANK = KEPT / "bank"


def names() -> list[str]:
    """Studies of the bank."""
    return sorted(path.stem for path in BANK.glob("*.parquet"))


def manifest(name: str) -> dict[str, Any]:
    """How a study of the bank was trained, its rows with their cost, and the measures of each with intervals.

    Raises:
        UnknownName: no such study.
    """
    if name not in names():
        raise unknown("study of the bank", name, names())
    found: dict[str, Any] = read(BANK / f"{name}.json")
    return found


def predictions(name: str) -> dict[str, Predictions]:
    """Recipe to its replicas: predicted class, right or wrong, on every test example in the order of the data set.

    Raises:
        UnknownName: no such study.
    """
    import duckdb

    about = manifest(name)
    m, n = about["replicas"], about["examples"]
    sql = "SELECT vote, correct FROM read_parquet(?) WHERE row = ? ORDER BY replica, example"
    found = {}
    with duckdb.connect() as connection:
        for row in about["rows"]:
            columns = connection.execute(sql, [str(path_of(name)), row]).fetchnumpy()
            vote, correct = (np.asarray(columns[column]).reshape(m, n) for column in ("vote", "correct"))
            found[row] = Predictions.from_outcomes(correct.astype(np.float64), vote.astype(np.int64))
    return found


def path_of(name: str) -> Path:
    """The Parquet file of a study."""
    return BANK / f"{name}.parquet"


def table(name: str, baseline: str) -> str:
    """Accuracy and churn of every recipe with intervals, and the difference of churn from a baseline, in Markdown.

    Raises:
        UnknownName: no such study, or no such row.
    """
    of, about = predictions(name), manifest(name)
    if baseline not in of:
        raise unknown("row", baseline, of)
    lines = [
        "| recipe | train | serve | accuracy | churn | churn − baseline | p |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row, replicas in of.items():
        m = measure(replicas, which=["accuracy", "churn"])
        cells = [f"{100 * m[k].value:.2f} % ({100 * m[k].low:.2f} to {100 * m[k].high:.2f})" for k in ("accuracy", "churn")]
        gap = ["", ""]
        if row != baseline:
            d = compare_recipes(of[baseline], replicas, paired=True, which=["churn"])["churn"].difference
            e = d.estimate
            gap = [f"{100 * e.value:+.2f} pp ({100 * e.low:+.2f} to {100 * e.high:+.2f})", f"{d.p_value:.2g}"]
        cost = about["rows"][row]
        lines.append(f"| {row} | {cost['train']}x | {cost['serve']}x | {' | '.join([*cells, *gap])} |")
    note = f"{about['title']}; {about['replicas']} replicas, {about['examples']:,} test examples; {about['hardware']}, {about['date']}."
    return "\n".join([*lines, "", f"{note} 95 % intervals, for new replicas and new examples; baseline: {baseline}."])


__all__ = ["BANK", "manifest", "names", "path_of", "predictions", "table"]
