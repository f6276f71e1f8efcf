"""Tests train without worker processes and share fixtures and helpers with the tests of traintwice."""

import sys
from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "data")]

from command_line import _command_built_once, traintwice  # noqa: E402, F401  (fixtures)

torch.set_num_threads(1)  # two threads change bits


@pytest.fixture(scope="session", autouse=True)
def _studies_in_this_process():
    from in_process import in_process

    with pytest.MonkeyPatch.context() as patch:
        in_process(patch)
        yield
