"""Tests that need other libraries or many processes, or that repeat a shorter one, run in `make test-frameworks`."""

import os

import pytest

heavy = pytest.mark.skipif("TRAINTWICE_FRAMEWORKS" not in os.environ, reason="runs in make test-frameworks")
