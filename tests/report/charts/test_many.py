import json

import pytest
import vl_convert

from traintwice import metrics
from traintwice.report.charts import accuracy_churn_of_many, churn_by_confidence, churn_matrix, forest
from traintwice.report.style import KIND_COLOURS, KIND_FILLS, KIND_SHAPES, PALETTE, marks_of
from traintwice.study import verdict


def svg(spec):
    sized = {**json.loads(json.dumps(spec, allow_nan=False)), **({"width": 300} if spec.get("width") == "container" else {})}
    return vl_convert.vegalite_to_svg(sized)


def test_the_forest_is_sorted_and_holds_the_comparisons(fifteen):
    figure = forest(verdict(fifteen))
    churn, accuracy = fifteen.compare(metrics.churn), fifteen.compare(metrics.accuracy)
    records = figure.wide["datasets"]["differences"]
    assert [r["row"] for r in records] == sorted(churn, key=lambda row: churn[row].estimate.value)
    for r in records:
        for name, found in (("churn", churn[r["row"]]), ("accuracy", accuracy[r["row"]])):
            assert r[f"{name}_value"] == pytest.approx(100 * found.estimate.value)
            assert r[f"{name}_settled"] == found.significant
            if not r[f"{name}_cut"]:
                ends = [100 * found.estimate.low, 100 * found.estimate.high]
                assert [r[f"{name}_low"], r[f"{name}_high"]] == pytest.approx(ends)
        assert (r["kind"] == "unsettled") == (not churn[r["row"]].significant)
        assert r["row"] in figure.alt


def test_the_forest_writes_what_lies_outside_and_says_so(fifteen):
    figure = forest(verdict(fifteen))
    (wild,) = [r for r in figure.wide["datasets"]["differences"] if r["row"] == "wild"]
    assert (wild["churn_cut"], wild["churn_outside"]) == ("right", "right")
    assert wild["churn_low"] == wild["churn_high"] < wild["churn_value"]
    assert f"wild, churn {wild['churn_text']}" in figure.note
    for spec in (figure.wide, figure.narrow):
        drawn = svg(spec)
        assert f"▲ {wild['churn_number']}" in drawn
        assert all(row in drawn for row in fifteen.rows if row != "baseline")


def test_a_forest_without_far_rows_cuts_nothing(study):
    figure = forest(verdict(study({"baseline": 0.3, **{f"row {n}": 0.3 for n in range(12)}}, examples=200)))
    assert figure.note == ""
    assert not any(r["churn_cut"] for r in figure.wide["datasets"]["differences"])


def test_only_settled_rows_are_named_and_far_ones_are_left_to_the_note(fifteen):
    found = verdict(fifteen)
    figure = accuracy_churn_of_many(fifteen, found)
    named = {r["recipe"] for r in figure.wide["datasets"]["named"]}
    grey = {r["recipe"] for r in figure.wide["datasets"]["grey"]}
    assert grey == {f.row for f in found.unsettled}
    assert named == set(fifteen.rows) - grey - {"wild"}
    assert "wild: churn" in figure.note
    assert all(row in figure.alt for row in fifteen.rows)
    for spec in (figure.wide, figure.narrow):
        drawn = svg(spec)
        assert ">calm<" in drawn
        assert not any(f">{row}<" in drawn for row in grey)


def test_panels_of_chosen_rows(fifteen):
    confidence = churn_by_confidence(fifteen, ["calm", "row 3"], name="some")
    assert confidence.name == "some"
    assert {r["panel"] for r in confidence.wide["datasets"]["bins"]} == {"calm", "row 3"}
    matrix = churn_matrix(fifteen, ["row 1", "row 2", "row 3", "wild"], name="some")
    assert {r["recipe"] for r in matrix.wide["datasets"]["pairs"]} == {"row 1", "row 2", "row 3", "wild"}
    assert matrix.note.endswith("darkest shade: in wild.")
    assert churn_matrix(fifteen).note == ""


def test_marks_of_findings_differ_without_colour():
    marks = {(KIND_SHAPES[k], KIND_FILLS[k] == KIND_COLOURS[k]) for k in KIND_COLOURS}
    assert len(marks) == len(KIND_COLOURS)


def test_no_row_wears_the_mark_of_the_baseline():
    marks = marks_of([str(n) for n in range(20)], PALETTE)
    assert marks[: len(PALETTE)] == list(PALETTE)
    assert marks.count(PALETTE[0]) == 1
