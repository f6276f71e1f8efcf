"""What lists, shows and measures works where PyTorch is not installed."""

import json
import subprocess
import sys

import pytest

from no_torch import HIDE_TORCH

NO_TORCH_NO_PLUGINS = f"""{HIDE_TORCH}
from importlib import metadata
metadata.entry_points = lambda **wanted: ()
from traintwice.cli import main
sys.argv = ["traintwice", *sys.argv[1:]]
main()
"""


def without_torch(*arguments):
    """Status, standard output and standard error of a command line in a process that has no PyTorch and no plug-ins."""
    done = subprocess.run([sys.executable, "-c", NO_TORCH_NO_PLUGINS, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_list_names_what_needs_no_torch():
    status, out, err = without_torch("list", "--json")
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
    assert "Note: methods, controls" in without_torch("list")[1]


@pytest.mark.parametrize("name", ["churn", "Flights", "EMA", "LinearDecay"])
def test_show_prints_what_does_not_train(name):
    status, out, err = without_torch("show", name)
    assert (status, err) == (0, "")
    assert out.startswith(f"{name} (")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "digits"), "a study needs torch. Install it with: pip install 'traintwice[torch]'"),
        (("show", "mine.toml"), "a study needs torch."),
        (("show", "co_distillation"), "methods, controls, losses, networks, optimisers are not listed; they need torch"),
        (("run", "digits"), "training needs torch."),
    ],
)
def test_what_trains_names_the_extra(arguments, message):
    status, out, err = without_torch(*arguments)
    assert (status, out) == (2, "")
    assert message in err
