import sys
from pathlib import Path

import numpy as np
import pytest

# tests are imported by file (--import-mode=importlib); the modules next to them are found by path
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=[(2, 5, 3), (3, 4, 2), (1, 6, 4), (4, 1, 3)])
def batch(request):
    rng = np.random.default_rng(7)
    logits = rng.normal(size=request.param) * 2
    return logits, rng.integers(request.param[2], size=request.param[1])
