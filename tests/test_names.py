"""Names: what completion lists, and the nearest name where one is unknown."""

import importlib
import subprocess
import sys

import pytest

import traintwice

ROOMS = ["compare", "data", "engine", "logs", "losses", "methods", "metrics", "nets", "predictions", "presets"]
ROOMS += ["replication", "report", "schedules", "study", "tables"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_its_names_and_offers_the_nearest(room):
    module = importlib.import_module(f"traintwice.{room}")
    assert dir(module) == sorted(set(module.__all__))
    name = max(module.__all__, key=len)
    with pytest.raises(AttributeError, match=f"'traintwice.{room}' has no attribute '{name[:-1]}'. Did you mean '{name}'"):
        getattr(module, name[:-1])
    with pytest.raises(AttributeError, match=r"has no attribute 'qqqqqq'$"):
        module.qqqqqq  # noqa: B018


def test_the_package_lists_its_rooms_and_loads_one_on_first_use():
    assert {*traintwice.__all__, *ROOMS, "__version__"} <= set(dir(traintwice))
    code = "import traintwice; print(traintwice.report.write_diff.__name__, traintwice.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["write_diff", importlib.metadata.version("traintwice")]


def test_every_listed_name_is_there():
    assert all(getattr(traintwice, name) is not None for name in dir(traintwice))


def test_python_adds_no_second_suggestion():
    done = subprocess.run(
        [sys.executable, "-c", "import traintwice; traintwice.mesure"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        "AttributeError: module 'traintwice' has no attribute 'mesure'. Did you mean 'measure' or 'Measures'?"
    )
