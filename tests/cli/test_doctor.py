"""`traintwice doctor`."""

import json
import tomllib
from pathlib import Path

from command_line import _command_built_once, traintwice  # noqa: F401  (fixtures)
from traintwice.cli._app import PURPOSES

FOR_CONTRIBUTORS = {"dev", "docs", "engines", "frameworks"}


def test_says_what_is_installed_and_what_bits_do_here(traintwice):  # noqa: F811
    status, out, err = traintwice("doctor")
    assert (status, err) == (0, "")
    assert "report" in out
    assert "charts in reports and notebooks; installed" in out
    assert "loop" in out.partition("Bits")[2]


def test_as_json(traintwice):  # noqa: F811
    found = json.loads(traintwice("doctor", "--json")[1])
    assert found["versions"]["numpy"]
    assert found["bits"].keys() == {"loop", "stacked", "gpu"}


def test_every_extra_has_a_purpose():
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    assert set(PURPOSES) == set(project["optional-dependencies"]) - FOR_CONTRIBUTORS
