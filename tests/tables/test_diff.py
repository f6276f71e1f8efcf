import dataclasses

import numpy as np
import pytest

from traintwice.compare import diff as compare_two
from traintwice.tables import diff_sheet
from traintwice.tables.diff import DETAILS, headline, left_out, moved_table, slices_table, verdict_sentence


def test_says_what_was_joined_and_how(made):
    assert headline(made.diff_of()) == (
        "old.parquet → new.parquet · 5,000 rows in the same order, every id compared · 3 classes in p_0 … p_2 · id row_id · labels in y"
    )


def test_lines_of_the_mock_up(made):
    text = diff_sheet(made.diff_of()).to_text(120)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for expected in (
        "accuracy 91.200 % → 91.420 % +0.220 points (0.150 to 0.290)",
        "churn 6.31 % (5.91 to 6.71, these two models, new rows)",
        "noise floor 5.90 % (old against 5 retrains of its recipe)",
        "excess 0.41 points (0.18 to 0.64) → beyond noise",
        "negative flips 1.71 % (1.31 to 2.11) wrong after right",
        "left out: delta_label (needs probabilities)",
        "10 of 5,000 rows have no label and count only where none is needed",
        "3 slices of fewer than 100 rows are not shown (--min-support)",
    ):
        assert expected in lines
    assert "country=BR 9.8 % (excess -0.9" not in text  # it has no excess, so it is not named
    assert "class 'refund' 14.2 % (excess 8.3, q < 0.001) · 61 % of flips lie in the 10 % least stable rows" in text


def test_without_retrains_the_verdict_asks_for_them(made):
    said = verdict_sentence(made.diff_of(floor=None))
    assert said.startswith("6.31 % of the rows get another label (5.91 to 6.71); accuracy changes by +0.220 points")
    assert "--floor" in said


def test_too_few_retrains_have_no_interval_and_say_so(made):
    nothing = dataclasses.replace(made.estimate(0.004), low=float("nan"), high=float("nan"))
    text = diff_sheet(made.diff_of(floor=made.floor_of("cannot tell", excess=nothing, retrains=1))).to_text()
    assert "(old against 1 retrain of its recipe)" in text
    assert "(no interval: too few retrains) → cannot tell" in text
    assert "nan" not in text


def test_rows_left_out_and_waived_are_said(made):
    found = made.diff_of()
    alignment = dataclasses.replace(found.alignment, dropped=(0, 3), order="joined")
    text = diff_sheet(made.diff_of(alignment=alignment, waived=2)).to_text()
    assert "5,000 rows joined by id" in text
    assert "new.parquet: 3 rows left out, ids missing elsewhere or on several rows" in text
    assert "2 rows waived by id" in text


def test_left_out_groups_names_by_reason():
    assert list(left_out({"a": "x", "b": "y", "c": "x"})) == ["left out: a, c (x)", "left out: b (y)"]


def test_ids_are_in_no_form_where_rows_are_kept_out(made):
    sheet = diff_sheet(made.diff_of(no_rows=True, moved=()))
    for text in (sheet.to_text(), sheet.to_markdown(), sheet.to_html()):
        assert "a17" not in text
    assert moved_table(made.diff_of(moved=())) is None


def test_control_characters_of_a_file_do_not_reach_the_terminal(made):
    nasty = "x\x1b[2J\r\ny\u202e"
    text = diff_sheet(made.diff_of(values=(nasty, "b"), classes=(nasty, "b"), ids=(nasty,), files=(nasty, nasty))).to_text()
    assert not set(text) & {"\x1b", "\r", "\u202e"}
    assert "x\\x1b[2J\\r\\ny\\u202e" in text


def test_a_table_that_is_cut_says_how_many_more(made):
    found = made.diff_of(values=[f"v{i}" for i in range(12)])
    assert slices_table(found, most=10).notes == ("3 more slices in --report and --json",)
    assert len(slices_table(found).rows) == 13


@pytest.mark.parametrize("every", [False, True])
def test_of_a_true_diff_every_measure_is_shown_or_counted(every):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    old, new = (rng.dirichlet(np.ones(3), 300) for _ in range(2))
    found = compare_two(old, new, label=labels, moved=3)
    sheet = diff_sheet(found, every=every)
    shown = {line.name for line in sheet.lines}
    for measured in (*found.measures, *found.quality):
        assert (measured.title in shown) == (every or measured.name not in DETAILS)
    assert any("more measures" in note for note in sheet.notes) != every


def test_regression_has_a_sentence_without_churn():
    rng = np.random.default_rng(0)
    old = rng.normal(size=200)
    found = compare_two(old, old + rng.normal(size=200) / 10, regression=True)
    sheet = diff_sheet(found)
    assert "between the two models is" in sheet.verdict
    assert "churn" not in sheet.to_text().replace("left out", "").split("intervals:")[0]
