"""Columns to show with rows, rows without a label, and columns on which files disagree."""

import numpy as np
import pytest

from traintwice.compare import diff, measure
from traintwice.errors import BadInput
from traintwice.gates import Budget, self_test
from traintwice.predictions import open_predictions, open_rows

IDS = np.arange(6)
P, Q = np.array([0.9, 0.8, 0.7, 0.2, 0.3, 0.1]), np.array([0.1, 0.8, 0.2, 0.2, 0.9, 0.1])
Y = np.array([1, 1, 1, 0, 0, 0])
WORDS = np.array([f"text {n}" for n in IDS])


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_column_to_show_is_no_group_and_may_differ_between_files(shuffled):
    order = IDS[::-1].copy() if shuffled else IDS
    old = {"id": IDS, "p": P, "y": Y, "prompt": WORDS, "country": np.array(list("ABABAB"))}
    new = {"id": order, "p": Q[order], "prompt": np.char.add("other ", WORDS)[order]}
    found = diff(old, new, show="prompt", by="country", min_support=1)
    assert [dict(row.shown) for row in found.regressed] == [{"prompt": f"text {row.id}"} for row in found.regressed]
    assert {s.column for s in found.slices} == {"country"}
    assert "by country" in found.alignment.layouts[0]
    assert "prompt" not in " ".join(found.alignment.layouts)
    assert diff(old, new, show="prompt", no_rows=True).regressed == ()
    with pytest.raises(BadInput, match=r"no column 'z' \(named by --show\)"):
        diff(old, new, show=["z"])


def test_columns_to_show_of_arrays():
    found = diff(P, Q, label=Y, show={"prompt": WORDS})
    assert {row.position: row.shown["prompt"] for row in found.regressed} == {n: f"text {n}" for n in (0, 2, 4)}
    with pytest.raises(BadInput, match="prompt: got 5 entries, expected 6"):
        diff(P, Q, show={"prompt": WORDS[1:]})


@pytest.mark.parametrize("form", ["tables", "arrays"])
def test_the_row_of_a_message_is_the_row_of_the_file(form):
    """Rows with and without a label are read in separate parts."""
    y = np.array([np.nan, 1, np.nan, 1, np.nan, 0])
    p = np.array([0.9, 0.8, 0.7, 0.0, 0.3, 0.1])
    models = [{"p": p, "y": y}, {"p": Q}]
    if form == "arrays":
        with open_rows(models, by_position=True) as rows:
            whole = rows.read()
        models = [whole.models(0, 1), whole.models(1, 2)]
    found = diff(*models, by_position=True, details=True) if form == "tables" else diff(*models, details=True)
    assert {row.position for row in found.regressed} == {1, 5} & {n for n in IDS if y[n] == (p[n] > 0.5) != (Q[n] > 0.5)}
    assert {row.position for row in found.largest_changes} == {0, 2, 3, 4} - {3} | {row.position for row in found.regressed} | {3}
    assert "row 3" in found.infinite["log_loss"]


def partly_labelled(missing):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200).astype(float)
    p = np.clip(0.3 + 0.4 * y + 0.25 * rng.normal(size=(4, 200)), 0.01, 0.99)
    p[3] = 1 - p[3]
    known = y.copy()
    known[missing] = np.nan
    return [{"id": np.arange(200), "p": one, "y": known} for one in p], y, p


def test_labels_that_only_some_rows_have_are_kept_with_a_mask():
    missing = np.arange(0, 200, 7)
    tables, y, p = partly_labelled(missing)
    with open_rows(tables) as rows:
        whole = rows.read()
    assert np.flatnonzero(~whole.labelled).tolist() == missing.tolist()
    assert not whole.has_labels
    with pytest.raises(BadInput, match=r"needs a label in every row: 29 of 200 rows have none"):
        _ = whole.labels
    assert [part.has_labels for part in whole.by_label()] == [True, False]
    kept = measure(tables, within_loss=0.3).kept
    assert len(kept) == 3
    found = self_test(tables[:3], [Budget("accuracy", min=-0.5)])
    labelled = np.setdiff1d(np.arange(200), missing)
    accuracy = ((p > 0.5) == y)[:3][:, labelled].mean(axis=1)
    assert (found.over.value, found.inconclusive.value) == (0, 0), accuracy


@pytest.mark.parametrize("order", ["same", "other"])
@pytest.mark.parametrize(
    ("option", "column", "role"), [("by", "country", "group"), ("weight", "w", "weight"), ("label", "y", "label")]
)
def test_a_column_of_the_second_and_third_file_on_which_they_differ(option, column, role, order):
    values = np.array(list("AABBCC")) if option == "by" else np.array([1, 1, 0, 1, 0, 1]) * (1.0 if option == "weight" else 1)
    changed = values.copy()
    changed[4] = values[0]
    back = IDS[::-1].copy() if order == "other" else IDS
    tables = [{"id": IDS, "p": P}, {"id": IDS, "p": P, column: values}, {"id": back, "p": Q[back], column: changed[back]}]
    message = rf"table 3: 1 of 6 rows have another {role} in '{column}' than in table 2 \(first: row 4, id 4: {values[4]} and {values[0]}"
    with pytest.raises(BadInput, match=message), open_predictions(tables, **{option: column}) as every:
        every.read()
    if option != "weight":
        empty = np.full(6, None, dtype=object) if option == "by" else np.full(6, np.nan)
        with (
            pytest.raises(BadInput, match=message),
            open_predictions([tables[0] | {column: empty}, *tables[1:]], **{option: column}) as every,
        ):
            every.read()
