import json
import subprocess
import sys
from pathlib import Path

import pytest

from gate_schema import SCHEMA, gate_schema
from traintwice.errors import BadInput, BadSpec, UnknownName
from traintwice.gates._gate_files import GateFile, gate_from, read_gate
from traintwice.predictions._reading import OPTIONS


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("budget = []", UnknownName, "no key of a gate named 'budget'. Did you mean 'budgets'"),
        ("lable = 'y'", UnknownName, "Did you mean 'label'"),
        ("", BadSpec, "budgets: missing"),
        ("budgets = [{max = 1}]", BadSpec, r"budgets\[0\].measure: missing"),
        ("budgets = [{measure = 'churn'}]", BadSpec, r"budgets\[0\]: budget on churn: give max or min"),
        ("budgets = [{measure = 'churn', max = '1'}]", BadSpec, r"budgets\[0\].max: got the text '1', expected a number such as"),
        ("budgets = [{measure = 'churn', max = 'x%'}]", BadSpec, r"budgets\[0\].max: got the text 'x%'"),
        (
            "budgets = [{measure = 'churn', max = 1}, {measure = 'churn', min = '0.02'}]",
            BadSpec,
            r"budgets\[1\].min: got the text",
        ),
        ("budgets = [{measure = 'churn', maxx = 1}]", UnknownName, r"'maxx'. Did you mean 'max'.*at budgets\[0\].maxx"),
        ("budgets = [{measure = 'churn', max = inf}]", BadSpec, "expected a finite number"),
        ("rule = 'points'\nbudgets = [{measure = 'churn', max = 1}]", BadSpec, "rule: got 'points', expected one of"),
        ("inconclusive = 'x'\nbudgets = [{measure = 'churn', max = 1}]", BadSpec, "inconclusive: got 'x', expected one of"),
        ("label = 3\nbudgets = [{measure = 'churn', max = 1}]", BadSpec, "label: got 3, expected a text"),
        ("by = [[1]]\nbudgets = [{measure = 'churn', max = 1}]", BadSpec, "by: got .* expected a text or a list of texts"),
        ("logits = 'yes'\nbudgets = [{measure = 'churn', max = 1}]", BadInput, "logits: got 'yes', expected True or False"),
        ("rule = ", BadInput, "is not TOML"),
        ("budgets = 3", BadSpec, "budgets"),
    ],
)
def test_bad_files_are_refused_with_the_path_of_the_key(tmp_path, text, error, message):
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(error, match=message):
        read_gate(tmp_path / "gate.toml")


@pytest.mark.parametrize(("limit", "expected"), [("2%", 0.02), (" -0.5 % ", -0.005), ("1e1%", 0.1), (0.02, 0.02), (1, 1)])
def test_a_limit_is_a_number_or_a_percentage(limit, expected):
    (budget,) = gate_from({"budgets": [{"measure": "churn", "max": limit}]}).budgets
    assert budget.max == pytest.approx(expected)


def test_one_text_stands_for_a_list_and_numbers_for_ids():
    budgets = [{"measure": "churn", "max": 0.1}]
    found = gate_from({"budgets": budgets, "id": ["a", "b"], "waive": 7, "floor": "again*", "probs": "p", "by": "country"})
    assert (found.waive, found.floor) == (("7",), ("again*",))
    assert found.read_with == {"id": ("a", "b"), "probs": ("p",), "by": ("country",)}
    assert gate_from({"budgets": budgets}).read_with == {}


def test_absent_keys_have_the_defaults_of_the_functions():
    found = gate_from({"budgets": [{"measure": "churn", "max": 0.1}]})
    assert found == GateFile(budgets=found.budgets)
    assert (found.rule, found.inconclusive, found.margin, found.same_within) == ("bound", None, 1.5, 0.005)


def test_the_published_schema_is_that_of_the_dataclasses():
    assert json.loads(SCHEMA.read_text()) == gate_schema()


def test_the_schema_does_not_depend_on_types_evaluated_before():
    code = (
        "from typing import Literal; kept = [Literal['bound', 'point'] | None, Literal['fail', 'pass'] | None];"
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r});"
        "import json; from gate_schema import SCHEMA, gate_schema;"
        "assert json.loads(SCHEMA.read_text()) == gate_schema()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_schema_knows_every_key_and_describes_it():
    schema = gate_schema()
    budget = schema["$defs"]["Budget"]
    assert set(OPTIONS) <= set(schema["properties"])
    assert "read_with" not in schema["properties"]
    assert budget["properties"]["rule"]["enum"] == ["bound", "point"]
    assert budget["properties"]["against"]["enum"] == ["minus floor", "times floor"]
    assert schema["properties"]["inconclusive"]["enum"] == ["fail", "pass"]
    assert all("description" in p for p in {**budget["properties"], **schema["properties"]}.values())
    assert (schema["required"], budget["required"]) == (["budgets"], ["measure"])


@pytest.mark.parametrize(
    ("budget", "valid"),
    [
        ({"measure": "churn", "max": "2%"}, True),
        ({"measure": "churn", "max": 0.02, "by": "g", "where": "BR"}, True),
        ({"measure": "churn", "max": "0.02"}, False),
        ({"measure": "churn"}, False),
        ({"measure": "churn", "max": 1, "rule": "both"}, False),
    ],
)
def test_what_the_schema_allows_is_what_is_read(budget, valid):
    jsonschema = pytest.importorskip("jsonschema")
    said = {"budgets": [budget]}
    assert jsonschema.Draft202012Validator(gate_schema()).is_valid(said) == valid
    if valid:
        assert gate_from(said).budgets
    else:
        with pytest.raises((BadSpec, UnknownName)):
            gate_from(said)
