import dataclasses
from html.parser import HTMLParser

import pytest

from traintwice.tables._diff import diff_sheet, notes
from traintwice.tables._words import against_floor, findings, headline, left_out
from traintwice.types import Estimate


def words(text):
    return " ".join(text.split())


def test_the_headline_says_what_was_compared_and_how(made):
    assert headline(made.diff_of().alignment) == (
        "old.parquet → new.parquet · 5,000 rows in the same order, every id compared · 3 classes in p_0 … p_2 · id row_id · labels in y"
    )


def test_answers_come_first_each_on_its_line(made):
    found = made.diff_of()
    lines = diff_sheet(found).lines
    assert [line.name for line in lines] == ["Quality", "Regressions", "Disagreement", "Slices", "Operating point"]
    assert [(line.value, line.detail, line.concern) for line in lines] == [
        (a.verdict, a.detail, a.concern) for a in found.answers
    ]
    text = diff_sheet(found, every=True).to_text(120)
    order = ["old.parquet", "Quality ", "Operating point", "Verdict: ", "Noise floor: "]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_the_verdict_is_the_worst_answer(made):
    found = made.diff_of()
    assert diff_sheet(found).verdict == "Verdict: 1.71 % of rows went from right to wrong, 1.3 times the floor."
    harmless = dataclasses.replace(found, answers=tuple(a for a in found.answers if a.concern != "problem"))
    assert diff_sheet(harmless).verdict == "Verdict: Decisions at 0.5: inconclusive."


def test_by_default_it_fits_a_screen(made):
    lines = diff_sheet(made.diff_of(ids=tuple(f"id{i}" for i in range(20)))).to_text(80).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("id") for line in lines) == 3
    assert lines[-1] == "95 % intervals for new rows (ratios: also new retrains) · 2 more notes: --full"
    assert not any(line.startswith("id") for line in diff_sheet(made.diff_of(), rows=0).to_text(80).splitlines())


def test_floors_are_ratios_with_the_margin_in_words(made):
    text = words(diff_sheet(made.diff_of(), every=True).to_text(120))
    assert "Noise floor: churn 1.07 times the floor of 5.90 % (1.02 to 1.1): beyond noise; " in text
    assert "negative flips 1.3 times the floor of 1.31 % (0.90 to 1.7): inconclusive" in text
    assert "(within noise means below 1.5 times the floor; 5 retrains of the old recipe, given this old model)." in text
    both = made.diff_of(floors=(made.floor_of(new_retrains=2, retrains=1, margin=1.25),))
    assert "(within noise means below 1.25 times the floor; 1 retrain of the old recipe and 2 of the new recipe)." in words(
        diff_sheet(both, every=True).to_text(120)
    )
    assert "Noise floor" not in diff_sheet(made.diff_of(floors=()), every=True).to_text()
    assert "Noise floor" not in str(made.diff_of())


def test_a_floor_without_an_interval_prints_none(made):
    ratio = Estimate(1.2345, float("nan"), float("nan"), float("nan"), 3, 100)
    floor = made.floor_of("inconclusive", ratio=ratio, retrains=2)
    assert against_floor(floor) == "churn 1.2 times the floor of 5.90 %: inconclusive"
    assert "nan" not in diff_sheet(made.diff_of(floors=(floor,)), every=True).to_text().partition("Slices")[0]


def test_slices_beyond_the_answer_are_named_where_significant(made):
    many = made.diff_of(slices=tuple(made.slice_of("g", f"v{i}", 0.2, 0.0001 if i else 0.9) for i in range(9)))
    text = words(diff_sheet(many, every=True).to_text(120))
    assert "Slices with a significant finding: g=v1, g=v2, g=v3, g=v4, g=v5, g=v6, 3 more" in text  # one is a predicted class
    assert "significant finding" not in diff_sheet(made.diff_of(), every=True).to_text()
    assert "significant finding" not in str(many)


def test_findings_of_a_slice(made):
    worse = made.slice_of("country", "BR", 0.098, 0.0001, recall=(0.44, 0.0, 0.0002))
    assert list(findings(worse)) == ["recall 44.0 % → 0.0 %", "churn 9.8 %, its floor 5.9 %"]
    assert list(findings(made.slice_of("country", "DE", 0.2, 0.2))) == []
    assert list(findings(made.slice_of("country", "DE", 0.01, 0.0001))) == []  # less churn than its floor


def test_slices_keep_their_order_and_kinds_their_tables(made):
    titles = {table.title: [row.name for row in table.rows] for table in diff_sheet(made.diff_of(), every=True).tables}
    assert titles["Slices"] == ["country=BR", "country=DE"]
    assert titles["By the class that the old model predicts"] == ["class 'refund'"]
    assert titles["By period"] == ["day=2024-01", "day=2024-02", "day=2024-03"]


def test_every_table_is_in_the_full_form(made):
    text = diff_sheet(made.diff_of(), every=True).to_text(200)
    for expected in (
        "accuracy  91.20 %  91.42 %  +0.22 pp (0.15 to 0.29)",
        "churn            6.31 % (5.9 to 6.7)",
        "negative flips  1.71 %  1.31 %  1.3              0.90 to 1.7",
        "country=BR  400   9.8 ±2.0 %     5.90 %",
        "score ≥ 0.5",
        "top 500",
        "moved by more than 0.01        60.00 %  59.6 to 60.4",
        "KL(old ‖ new), mean            0.0310",
        "cat → dog",
        "Largest changes",
        "left out: delta_label (needs probabilities)",
    ):
        assert expected in text, expected


def test_calibration_has_no_interval_but_what_chance_would_show(made):
    (table,) = [t for t in diff_sheet(made.diff_of(), every=True).tables if t.title == "Calibration"]
    assert [c.title for c in table.columns] == ["calibration error", "if perfectly calibrated", "less chance"]
    assert table.strings() == [["3.10 %", "1.20 %", "2.80 %"], ["1.40 %", "1.20 %", "0.60 %"]]


def test_regressed_rows_show_the_columns_asked_for(made):
    (table,) = [t for t in diff_sheet(made.diff_of()).tables if "right → wrong" in t.title]
    assert table.title == "Rows right → wrong (first 2 of 86)"
    assert [c.title for c in table.columns] == ["label", "old → new", "P(old class)", "instability", "amount"]
    assert table.strings()[0] == ["cat", "cat → dog", "0.900 → 0.100", "0.500", "17"]


def test_warnings_follow_the_verdict(made):
    text = str(made.diff_of(warnings=("the score ranks against the labels (AUC 0.31)",)))
    assert "\n\nWarning: The score ranks against the labels (AUC 0.31).\n" in text.partition("Verdict: ")[2]


def test_rows_left_out_waived_and_weighted(made):
    found = made.diff_of()
    alignment = dataclasses.replace(found.alignment, dropped=(0, 3), order="joined", weight="w")
    text = words(str(dataclasses.replace(found, alignment=alignment, waived=2, effective_rows=812.4)))
    assert "5,000 rows joined by id" in text
    assert "weighted by w" in text
    assert "new.parquet: 3 rows left out (ids missing in another file, or on several rows)" in text
    five = ("old.csv", "new.csv", "a.csv", "b.csv", "c.csv")
    layouts = ("labels in y", "labels in y", "labels in y", "no labels", "no labels")
    alignment = dataclasses.replace(found.alignment, files=five, layouts=layouts, dropped=(2, 0, 2, 2, 2))
    lines = list(notes(dataclasses.replace(found, alignment=alignment)))[:2]
    assert lines == [
        "b.csv, c.csv: no labels",
        "old.csv, a.csv, b.csv and 1 more: 2 rows left out (ids missing in another file, or on several rows)",
    ]
    assert "2 rows waived by id" in text
    assert "effective number of rows under these weights: 812" in text


def test_left_out_groups_names_by_reason():
    assert list(left_out({"a": "x", "b": "y", "c": "x"})) == ["left out: a, c (x)", "left out: b (y)"]


def test_a_comparison_of_labels_alone_has_no_empty_table(made):
    bare = made.diff_of(quality=(), floors=(), flow=None, movement=None, decisions=(), swap_sets=(), slices=(), predicted=(),
                        periods=(), regressed=(), largest_changes=(), calibration=(), left_out={}, bounds={}, reviews=())  # fmt: skip
    assert [table.title for table in diff_sheet(bare, every=True).tables] == ["Between old and new"]
    assert "left out" not in str(bare)


def test_ids_are_in_no_form_where_rows_are_kept_out(made):
    sheet = diff_sheet(made.diff_of(no_rows=True, regressed=(), largest_changes=()), every=True)
    for text in (sheet.to_text(), sheet.to_markdown(), sheet.to_html()):
        assert "a17" not in text
    assert "a17" in str(made.diff_of())


@pytest.mark.parametrize("every", [False, True])
def test_control_characters_and_markup_of_a_file_stay_text(made, every):
    nasty = "x\x1b[2J\r\ny\u202e</td><script>"
    sheet = diff_sheet(made.diff_of(values=(nasty, "b"), classes=(nasty, "b"), ids=(nasty,), files=(nasty, nasty)), every=every)
    text = sheet.to_text()
    assert not set(text) & {"\x1b", "\r", "\u202e"}
    assert "x\\x1b[2J\\r\\ny\\u202e" in text
    tags = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.add(tag)
    parser.feed(sheet.to_html())
    assert "script" not in tags
    assert "<script" not in sheet.to_markdown()


def test_a_result_displays_as_its_sheet(made):
    found = made.diff_of()
    assert str(found) == diff_sheet(found).to_text()
    assert found._repr_html_() == diff_sheet(found).to_html()


def test_without_retrains_a_slice_is_compared_with_the_other_rows(made):
    alone = made.slice_of("country", "BR", 0.098, 0.0001, excess=None)
    assert list(findings(alone)) == ["churn 9.8 %, against 5.9 % in other rows"]
    (table,) = [t for t in diff_sheet(made.diff_of(slices=(alone,), floors=()), every=True).tables if t.title == "Slices"]
    assert [c.title for c in table.columns][:3] == ["rows", "churn", "other rows"]
    assert "q: churn against the churn of all other rows" in table.notes[0]
