from xml.etree import ElementTree

import pytest

from traintwice.compare import Budget, Check, GateResult
from traintwice.tables import gate_sheet, junit


@pytest.fixture
def result(made):
    checks = (
        Check(Budget("churn", max=0.1), None, None, made.estimate(0.0631), 0.0631, 0.1, True, "churn 6.31 % is at most 10 %"),
        Check(
            Budget("churn", max=0.1, by="country"), "country", "BR", made.estimate(0.12), 0.12, 0.1, False, "churn 12 % > 10 %"
        ),
        Check(Budget("accuracy", min=-0.01), None, None, made.estimate(0.0022), 0.0022, -0.01, True, "fine"),
    )
    return GateResult(checks, made.diff_of())


def test_failed_checks_come_first_with_number_interval_and_limit(result):
    sheet = gate_sheet(result)
    (table,) = sheet.tables
    assert [row.name for row in table.rows] == ["churn · country=BR", "churn", "accuracy"]
    assert table.strings()[0] == ["12.00 %", "11.60 to 12.40", "at most 10 %", "over"]
    assert table.strings()[2] == ["0.22 %", "−0.18 to 0.62", "at least -1 %", "kept"]
    assert sheet.verdict == "Gate failed: 1 of 3 budgets over (churn · country=BR)."
    assert "over: churn 12 % > 10 %" in sheet.notes


def test_junit_is_well_formed_and_counts(result, made):
    root = ElementTree.fromstring(junit(result))
    (suite,) = root
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("3", "1")
    failed = [case.attrib["name"] for case in suite if case.find("failure") is not None]
    assert failed == ["churn · country=BR at most 0.1"]
    assert suite[1].find("failure").attrib["message"] == "churn 12 % > 10 %"


@pytest.mark.parametrize("value", ["]]><x/>", "\x00\x1b\ufffe", '"&<', "日本\U0001f600", "\ud800"])
def test_junit_holds_any_name(made, value):
    check = Check(Budget("churn", max=0.1, by="g"), "g", value, made.estimate(0.12), 0.12, 0.1, False, f"of {value}")
    root = ElementTree.fromstring(junit(GateResult((check,), made.diff_of(files=(value, value)))).encode())
    assert len(root.findall(".//failure")) == 1
    assert len(list(root.iter())) == 4


def test_a_check_without_a_number_shows_none(made):
    check = Check(Budget("excess", max=0.1), None, None, None, float("nan"), 0.1, False, "no retrains were given")
    assert gate_sheet(GateResult((check,), made.diff_of())).tables[0].strings()[0][:2] == ["–", ""]
