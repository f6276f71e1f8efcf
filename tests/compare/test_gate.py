import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import Budget, diff, gate, gate_file, read_gate
from traintwice.compare.gate_file import SCHEMA, gate_from, gate_schema
from traintwice.errors import BadInput, BadSpec, TraintwiceError, UnknownName


@pytest.fixture
def models(draw):
    probs, y = draw(6, 400, 3)
    return probs, y, np.array(["AT", "BR"], dtype=object)[np.arange(400) % 2]


def test_each_rule_holds_its_own_number_against_the_limit(models):
    probs, y, _ = models
    churn = diff(probs[0], probs[1], label=y)["churn"]
    between = (churn.value + churn.high) / 2
    for rule, passes in (("point", True), ("bound", False), ("both", False)):
        result = gate(probs[0], probs[1], [Budget("churn", max=between)], rule=rule, label=y)
        assert result.passed == passes
        assert_allclose(result.checks[0].compared, churn.value if rule == "point" else churn.high)
    assert gate(probs[0], probs[1], [Budget("churn", max=between, rule="point")], rule="bound").passed
    below = (churn.value + churn.low) / 2
    assert gate(probs[0], probs[1], [Budget("churn", min=below)]).passed
    assert not gate(probs[0], probs[1], [Budget("churn", min=below, rule="bound")]).passed


def test_without_an_interval_bound_fails_and_both_takes_the_number(models):
    probs, y, _ = models
    budget = Budget("calibration_error", max=1.0)
    assert not gate(probs[0], probs[1], [budget], rule="bound", label=y).passed
    assert gate(probs[0], probs[1], [budget], rule="both", label=y).passed


def test_quality_is_the_change_or_either_model(models):
    probs, y, _ = models
    accuracy = diff(probs[0], probs[1], label=y).quality[0]
    for of in ("old", "new", "change"):
        value = getattr(accuracy, of).value
        assert gate(probs[0], probs[1], [Budget("accuracy", min=value - 1e-9, of=of)], label=y).passed
        assert not gate(probs[0], probs[1], [Budget("accuracy", min=value + 1e-9, of=of)], label=y).passed


def test_slices_are_checked_one_by_one(models, write):
    probs, y, country = models
    paths = write(probs[:2], y, country)
    budgets = [Budget(name, max=0.5, by="country") for name in ("churn", "negative_flips", "log_loss")]
    result = gate(*paths, [*budgets, Budget("churn", max=0.0, by="predicted class")], min_support=10)
    assert [c.value for c in result.checks] == ["AT", "BR"] * 3 + ["0", "1", "2"]
    assert [c.passed for c in result.checks] == [True] * 6 + [False] * 3
    inside = country == "AT"
    assert_allclose(
        result.checks[2].estimate.value, diff(probs[0, inside], probs[1, inside], label=y[inside])["negative_flips"].value
    )
    assert_allclose(result.checks[4].estimate.value, diff(probs[0, inside], probs[1, inside], label=y[inside])["log_loss"].value)
    assert "where country is AT" in result.checks[0].reason
    few = gate(*paths, [Budget("churn", max=1.0, by="country")], min_support=300)
    assert few.notes == ("5 slices of fewer than 300 rows were not checked",)


def test_excess_needs_retrains(models):
    probs, _, _ = models
    assert gate(probs[0], probs[1], [Budget("excess", max=0.5)], floor=list(probs[2:])).checks[0].passed
    with pytest.raises(BadInput, match="a budget on excess needs retrains"):
        gate(probs[0], probs[1], [Budget("excess", max=0.5)])


def test_what_has_no_value_does_not_pass(models):
    probs, _, _ = models
    result = gate(probs[0], probs[1], [Budget("negative_flips", max=1.0)])
    assert not result.passed
    assert result.checks[0].reason == "negative_flips cannot be checked: needs labels"
    assert json.dumps(result.to_dict(), allow_nan=False)


def test_waived_ids_do_not_count(models, write):
    probs, y, _ = models
    paths = write(probs[:2], y)
    changed = np.nonzero(probs[0].argmax(axis=1) != probs[1].argmax(axis=1))[0]
    result = gate(*paths, [Budget("churn", max=0.0)], waive=[str(n) for n in changed])
    assert result.passed
    assert result.waived == len(changed)


def test_a_file_says_it_all(models, write, tmp_path):
    probs, y, country = models
    write(probs, y, country)
    text = """
        old = "m0.parquet"
        new = "m1.parquet"
        floor = "m[2-5].parquet"
        by = "country"
        rule = "bound"
        waive = [3, "5"]
        budgets = [{measure = "churn", max = 0.9}, {measure = "negative_flips", max = 0.001, by = "country"}]
    """
    (tmp_path / "gate.toml").write_text(text)
    result = gate_file(tmp_path / "gate.toml")
    assert [c.passed for c in result.checks] == [True, False, False]
    assert (result.diff.floor.retrains, result.waived) == (4, 2)
    assert gate_file(tmp_path / "gate.toml", budgets=[Budget("churn", max=1.0)]).passed


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("budget = []", UnknownName, r"no setting of GateFile named 'budget'. Did you mean 'budgets'\? \(at budget\)"),
        ("", BadSpec, "budgets: missing"),
        ("budgets = [{max = 1}]", BadSpec, r"budgets\[0\].measure: missing"),
        ("budgets = [{measure = 'churn'}]", BadSpec, r"budgets\[0\]: budget on churn: give max or min"),
        ("budgets = [{measure = 'churn', max = '1'}]", BadSpec, r"budgets\[0\].max: got '1', expected a number"),
        ("budgets = [{measure = 'churn', maxx = 1}]", UnknownName, r"'maxx'. Did you mean 'max'.*at budgets\[0\].maxx"),
        ("budgets = [{measure = 'churn', max = inf}]", BadSpec, "expected a finite number"),
        ("rule = 'points'\nbudgets = [{measure = 'churn', max = 1}]", BadSpec, "rule: got 'points', expected one of"),
        ("rule = ", BadInput, "is no TOML"),
    ],
)
def test_bad_files_are_refused_with_the_path_of_the_key(tmp_path, text, error, message):
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(error, match=message):
        read_gate(tmp_path / "gate.toml")


def test_other_bad_gates(models, tmp_path):
    probs, _, _ = models
    with pytest.raises(BadInput, match="no budget was given"):
        gate(probs[0], probs[1], [])
    with pytest.raises(UnknownName, match="Did you mean 'negative_flips'"):
        gate(probs[0], probs[1], [Budget("negative_flip", max=0.1)])
    with pytest.raises(BadInput, match="only the change from old to new"):
        gate(probs[0], probs[1], [Budget("accuracy", max=0.1, by="country", of="new")])
    with pytest.raises(BadInput, match="cannot be read"):
        gate_file(tmp_path / "none.toml")
    (tmp_path / "gate.toml").write_text("budgets = [{measure = 'churn', max = 1}]")
    with pytest.raises(TraintwiceError, match="old is missing"):
        gate_file(tmp_path / "gate.toml")


def test_the_published_schema_is_that_of_the_dataclasses():
    assert json.loads(SCHEMA.read_text()) == gate_schema()


def test_what_the_schema_allows_is_read():
    example = {
        "budgets": [{"measure": "churn", "max": 0.1, "rule": "both", "of": "new", "by": "g"}],
        "id": ["a", "b"],
        "waive": 7,
    }
    assert gate_from(example).waive == ("7",)
    properties = gate_schema()["$defs"]["Budget"]["properties"]
    assert properties["rule"]["enum"] == ["point", "bound", "both"]
    assert all("description" in p for p in {**properties, **gate_schema()["properties"]}.values())
