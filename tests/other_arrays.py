"""Functions from a NumPy array to one of another library; of PyTorch only where it is installed."""

from importlib.util import find_spec

import array_api_strict
import pytest

CONVERTERS = {"strict": array_api_strict.asarray}
if find_spec("torch") is not None:
    import torch

    CONVERTERS["torch"] = torch.from_numpy

EACH_LIBRARY = pytest.mark.parametrize("convert", CONVERTERS.values(), ids=CONVERTERS.keys())
