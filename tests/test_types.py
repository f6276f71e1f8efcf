import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from traintwice._typed import fits
from traintwice.types import TARGET_IN_WORDS, Estimate, plain_number


def test_half_width_and_float():
    e = Estimate(0.5, 0.4, 0.6, 0.05, 3, 10)
    assert e.half_width == pytest.approx(0.1)
    assert float(e) == 0.5
    assert e.target in TARGET_IN_WORDS
    assert len(TARGET_IN_WORDS) == 3


def test_json_has_neither_nan_nor_infinity():
    e = Estimate(math.inf, math.nan, -math.inf, 0.05, 3, 10, units=4)
    text = json.dumps(e.to_dict(), allow_nan=False)
    assert json.loads(text) == {
        "value": "infinite",
        "low": None,
        "high": "-infinite",
        "standard_error": 0.05,
        "replicas": 3,
        "examples": 10,
        "level": 0.95,
        "target": "both",
        "units": 4,
    }


def test_plain_number_leaves_the_rest_alone():
    assert [plain_number(x) for x in (1, "a", None, True)] == [1, "a", None, True]


def test_a_sequence_of_settings_is_neither_an_array_nor_a_set():
    from traintwice.gates import Budget

    assert fits([], Sequence[Budget])
    assert not any(fits(of, Sequence[Budget]) for of in (np.zeros((2, 2)), {1}, (n for n in ())))
