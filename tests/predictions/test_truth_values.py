"""Truth values as a type, as text and as whole numbers: which of them name the same two classes, in files and in frames."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import open_predictions

OLD, NEW = np.array([0, 1, 1, 0, 1]), np.array([1, 1, 0, 0, 1])

CELLS = {
    "true": lambda x: x == 1,
    "True as text": lambda x: np.where(x == 1, "True", "False"),
    "true as text": lambda x: np.where(x == 1, "true", "false"),
    "1": lambda x: x,
    "1 as text": lambda x: x.astype(str),
    "yes as text": lambda x: np.where(x == 1, "yes", "no"),
}

KINDS = {
    "true": "truth",
    "True as text": "text",
    "true as text": "text",
    "1": "number",
    "1 as text": "number",
    "yes as text": "other",
}

SAME = {("truth", "truth"), ("truth", "text"), ("text", "text"), ("number", "number"), ("number", "truth"), ("other", "other")}
"""Kinds of cells whose classes are the same."""


def written(folder: Path, name: str, ending: str, cells: np.ndarray):
    table = pa.table({"id": np.arange(len(cells)), "pred": pa.array(cells.tolist())})
    path = folder / f"{name}.{ending}"
    if ending == "frame":
        return table
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        (pyarrow.csv.write_csv if ending == "csv" else pyarrow.parquet.write_table)(table, path)
    return path


def votes(folder: Path, endings: tuple[str, str], old: str, new: str):
    inputs = [
        written(folder, name, ending, CELLS[kind](classes))
        for name, ending, kind, classes in zip(("old", "new"), endings, (old, new), (OLD, NEW), strict=True)
    ]
    with open_predictions(inputs) as both:
        found = both.read()
        return found.votes.tolist(), found.class_names, both.summary.class_rule


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "frame"])
@pytest.mark.parametrize("old", CELLS)
@pytest.mark.parametrize("new", CELLS)
def test_typed_truth_values_are_both_the_texts_and_the_numbers_but_these_two_are_not_each_other(tmp_path, old, new, ending):
    if tuple(sorted((KINDS[old], KINDS[new]))) in {tuple(sorted(pair)) for pair in SAME}:
        assert votes(tmp_path, (ending, ending), old, new)[0] == [OLD.tolist(), NEW.tolist()]
    else:
        with pytest.raises(BadInput, match="different label maps"):
            votes(tmp_path, (ending, ending), old, new)


@pytest.mark.parametrize("other", [kind for kind in CELLS if KINDS[kind] != "other"])
@pytest.mark.parametrize("endings", [("csv", "parquet"), ("parquet", "csv")])
def test_cells_true_and_false_of_a_csv_are_truth_values(tmp_path, endings, other):
    kinds = ("True as text", other) if endings[0] == "csv" else (other, "True as text")
    assert votes(tmp_path, endings, *kinds)[0] == [OLD.tolist(), NEW.tolist()]


def test_the_rule_that_is_printed_names_both_kinds(tmp_path):
    found = votes(tmp_path, ("parquet", "parquet"), "true", "true as text")
    assert found[1:] == (("False", "True"), "classes in pred: False, True, as truth values and as text")
