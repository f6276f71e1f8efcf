import dataclasses
from xml.etree import ElementTree

import pytest

from traintwice.gates._budgets import Budget, Check, GateResult, SelfTest
from traintwice.tables._gate import budgets_table, gate_sheet, junit
from traintwice.types import Estimate


@pytest.fixture
def result(made):
    checks = (
        Check(Budget("churn", max=0.1), None, None, "fraction", made.estimate(0.0631), "kept", "in fractions"),
        Check(
            Budget("negative_flips", max=1.5, against="times floor"), None, None, "number",
            Estimate(1.3, 0.9, 1.7, 0.2, 6, 5000), "inconclusive", "in fractions",
        ),
        Check(
            Budget("churn", max=0.1, by="country"), "country", "BR", "fraction", made.estimate(0.12), "over", "in fractions"
        ),
        Check(Budget("accuracy", min=-0.01), None, None, "points", made.estimate(0.0022), "kept", "in fractions"),
    )  # fmt: skip
    return GateResult(checks, made.diff_of())


def test_the_outcome_is_the_first_line(result):
    first, *rest = gate_sheet(result).to_text(200).splitlines()
    assert first == "Gate failed: 1 over (churn · country=BR), 1 inconclusive (negative_flips / floor), of 4 budgets."
    assert any(line.startswith("old.parquet → new.parquet") for line in rest)


@pytest.mark.parametrize(
    ("outcomes", "counts_as", "sentence"),
    [
        (["kept", "kept"], None, "Gate passed: 2 of 2 budgets kept."),
        (["kept", "inconclusive"], None, "Gate inconclusive: 1 inconclusive (churn), of 2 budgets."),
        (["inconclusive"], "pass", "Gate passed: 1 inconclusive (churn), of 1 budget. Inconclusive counts as pass."),
        (["inconclusive"], "fail", "Gate failed: 1 inconclusive (churn), of 1 budget. Inconclusive counts as fail."),
        (["over"] * 5, None, "Gate failed: 5 over (churn, churn, churn, …), of 5 budgets."),
    ],
)
def test_sentences(made, outcomes, counts_as, sentence):
    checks = tuple(Check(Budget("churn", max=0.1), None, None, "fraction", made.estimate(0.1), o, "why") for o in outcomes)
    assert gate_sheet(GateResult(checks, made.diff_of(), counts_as)).verdict == sentence


def test_budgets_not_kept_come_first_with_number_interval_and_limit(result):
    (table,) = gate_sheet(result).tables
    assert [row.name for row in table.rows] == ["churn · country=BR", "negative_flips / floor", "churn", "accuracy"]
    assert table.strings()[0] == ["over", "12.00 %", "11.6 to 12.4", "at most 10 %"]
    assert table.strings()[1] == ["inconclusive", "1.30", "0.9 to 1.7", "at most 1.5"]
    assert table.strings()[3] == ["kept", "+0.22 pp", "−0.2 to 0.6", "at least −1 pp"]
    assert table.notes == ("inconclusive: the limit is inside the interval, or there is no interval",)


def test_of_many_budgets_those_not_kept_are_all_there(made):
    def check(outcome):
        return Check(Budget("churn", max=0.1), None, None, "fraction", made.estimate(0.1), outcome, "why")

    many = GateResult((check("kept"), check("kept"), check("over"), check("over")), made.diff_of())
    assert budgets_table(many, most=1).strings()[-1][0] == "over"
    assert len(budgets_table(many, most=1).rows) == 2
    assert budgets_table(many, most=3).notes[-1] == "1 more kept"


def test_names_of_slices_are_never_cut(made):
    name = "x" * 400
    check = Check(Budget("churn", max=0.1, by="g"), "g", name, "fraction", made.estimate(0.12), "over", "why")
    text = str(GateResult((check,), made.diff_of()))
    assert f"g={name}" in text.replace("\n", "")
    assert f"churn · g={name}  " in text


@pytest.mark.parametrize(
    ("counts_as", "failures", "kinds"),
    [(None, "2", {"OverBudget", "Inconclusive"}), ("fail", "2", {"OverBudget", "Inconclusive"}), ("pass", "1", {"OverBudget"})],
)
def test_junit_counts_what_does_not_pass(result, counts_as, failures, kinds):
    (suite,) = ElementTree.fromstring(junit(dataclasses.replace(result, inconclusive=counts_as)))
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("4", failures)
    assert {f.attrib["type"] for f in suite.iter("failure")} == kinds
    case = next(case for case in suite.iter("testcase") if case.attrib["name"] == "negative_flips / floor at most 1.5")
    assert (
        case.findtext("system-out") == "inconclusive: negative_flips / floor is 1.30 (0.9 to 1.7); allowed is at most 1.5"
    ) == (counts_as == "pass")
    over = next(case for case in suite.iter("testcase") if case.attrib["name"] == "churn · country=BR at most 10 %")
    assert over.find("failure").attrib["message"] == "churn · country=BR is 12.00 % (11.6 to 12.4); allowed is at most 10 %"


@pytest.mark.parametrize("value", ["]]><x/>", "\x00\x1b\ufffe", '"&<', "日本\U0001f600", "\ud800"])
def test_junit_holds_any_name(made, value):
    check = Check(Budget("churn", max=0.1, by="g"), "g", value, "fraction", made.estimate(0.12), "over", f"of {value}")
    root = ElementTree.fromstring(junit(GateResult((check,), made.diff_of(files=(value, value)))).encode())
    assert len(root.findall(".//failure")) == 1
    assert len(list(root.iter())) == 6


def test_a_check_without_a_number_shows_none(made):
    check = Check(
        Budget("churn", max=0.1), None, None, "fraction", None, "inconclusive", "churn cannot be checked: no retrains were given"
    )
    result = GateResult((check,), made.diff_of())
    table = budgets_table(result)
    assert table.strings()[0] == ["inconclusive", "–", "", "at most 10 %"]
    assert table.notes == ("churn cannot be checked: no retrains were given",)
    assert 'message="churn cannot be checked: no retrains were given"' in junit(result)


def test_of_a_self_test(made):
    test = SelfTest(
        ("a", "b", "c"), 6, made.estimate(0.0, 0.0), made.estimate(0.3333, 0.2), (("churn", 4, 0, 2),), "2 of 6 pairs"
    )
    text = str(test)
    assert text.startswith("6 ordered pairs of 3 retrains, each compared as old and new")
    assert "inconclusive 33 % (13 to 53) of pairs" in " ".join(text.split())
    assert "churn  4     0     2" in text
    assert "2 of 6 pairs." in text
