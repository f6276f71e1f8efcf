"""Names that every doctest may use, and modules that are left out where their package is not installed."""

import gc
import os
from importlib.util import find_spec

# Before NumPy starts its threads: there is a process of tests on each core, and threads that wait for a core spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

collect_ignore = [
    f"src/traintwice/integrations/{package}.py" for package in ("transformers", "lightning") if find_spec(package) is None
]
if find_spec("griffe") is None:
    collect_ignore.append("reproduction/src/traintwice_reproduction/site/docstrings.py")

# The same examples in every run, however slow the machine is; `make fuzz` looks for others.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


def pytest_collection():
    """Modules and tests live to the end, so the garbage collector does not search them."""
    gc.disable()


def pytest_collection_finish():
    """What was collected is set apart; garbage of tests is collected from now on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _names_of_doctests(doctest_namespace):
    doctest_namespace["np"] = np
    from traintwice import errors, predictions, types

    doctest_namespace["Predictions"] = predictions.Predictions
    doctest_namespace["open_predictions"] = predictions.open_predictions
    doctest_namespace["write_predictions"] = predictions.write_predictions
    doctest_namespace["Estimate"] = types.Estimate
    doctest_namespace["UnknownName"] = errors.UnknownName
    from traintwice.compare import VarianceParts
    from traintwice.gates import Budget

    doctest_namespace["Budget"] = Budget
    doctest_namespace["VarianceParts"] = VarianceParts
