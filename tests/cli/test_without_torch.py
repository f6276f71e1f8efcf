"""What lists, shows and measures works where PyTorch is not installed."""

import json
import subprocess
import sys

import pytest

from no_torch import HIDE_TORCH

NO_TORCH_NO_PLUGINS = f"""{HIDE_TORCH}
import json
from contextlib import redirect_stderr, redirect_stdout
from importlib import metadata
from io import StringIO
metadata.entry_points = lambda **wanted: ()
from traintwice.cli import main
answers = []
for words in json.loads(sys.argv[1]):
    sys.argv, status = ["traintwice", *words], 0
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    answers.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(answers))
"""
SHOWN = ("churn", "Flights", "EMA", "LinearDecay")
REFUSED = {
    ("show", "digits"): "a study needs torch. Install it with: pip install 'traintwice[torch]'",
    ("show", "mine.toml"): "a study needs torch.",
    ("show", "co_distillation"): "methods, controls, losses, networks, optimisers are not listed; they need torch",
    ("run", "digits"): "training needs torch.",
}


@pytest.fixture(scope="module")
def without_torch():
    """Status, standard output and standard error of command lines in a process that has no PyTorch and no plug-ins."""
    lines = [("list", "--json"), ("list",), *(("show", name) for name in SHOWN), *REFUSED]
    command = [sys.executable, "-c", NO_TORCH_NO_PLUGINS, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(zip(lines, json.loads(done.stdout), strict=True))


def test_list_names_what_needs_no_torch(without_torch):
    status, out, err = without_torch["list", "--json"]
    assert (status, err) == (0, "")
    listed = json.loads(out)
    assert set(listed["studies"]) == {"digits", "flights"}
    assert {"churn", "accuracy"} <= set(listed["measures"])
    assert {"Digits", "Flights"} <= set(listed["data"])
    assert all(listed[group] for group in ("averaging", "schedules"))
    assert not {"methods", "losses", "networks"} & set(listed)
    assert listed["problems"] == [
        "methods, controls, losses, networks, optimisers are not listed; they need torch: pip install 'traintwice[torch]'"
    ]
    assert "Note: methods, controls" in without_torch["list",][1]


@pytest.mark.parametrize("name", SHOWN)
def test_show_prints_what_does_not_train(name, without_torch):
    status, out, err = without_torch["show", name]
    assert (status, err) == (0, "")
    assert out.startswith(f"{name} (")


@pytest.mark.parametrize(("arguments", "message"), REFUSED.items())
def test_what_trains_names_the_extra(arguments, message, without_torch):
    status, out, err = without_torch[arguments]
    assert (status, out) == (2, "")
    assert message in err
