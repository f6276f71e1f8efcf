import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from traintwice import specs
from traintwice._typed import fits
from traintwice.compare import compare_with_baseline
from traintwice.errors import BadInput, BadSpec, TraintwiceError, require, unknown
from traintwice.tables import columns_of
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


def test_types_of_tensors_are_checked_once_for_a_class():
    import torch

    from traintwice import _typed
    from traintwice.losses import Outputs

    made = Outputs(torch.zeros(1, 4, 3), torch.zeros(4, dtype=torch.int64), plain=True)
    assert any(seen[0] is type(made) for seen in _typed._fitting)
    with pytest.raises(BadSpec, match="labels: got 'cat', expected a Tensor of PyTorch"):
        Outputs(torch.zeros(1, 4, 3), "cat")


def test_a_class_that_only_type_checkers_import_is_known_by_its_name():
    from traintwice.report import write

    with pytest.raises(BadInput, match="results: got 3, expected a Results of traintwice"):
        write(3, "out")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unknown("recipe", "a", 3), "known: got 3, expected names"),
        (lambda: require("a b", extra="report", purpose="It"), "module: got 'a b', expected the name of a module"),
        (lambda: specs.digest({"a": {1}}), "value: cannot be written as JSON"),
        (lambda: specs.decode([1], 3), "cls: got a list, expected a class"),
        (lambda: columns_of(np.zeros(3)), "result: got a ndarray, expected a result of traintwice"),
        (lambda: compare_with_baseline(np.zeros((2, 2, 2))), "pairs: got array"),
    ],
)
def test_wrong_kinds_of_arguments_of_small_functions(call, message):
    with pytest.raises(TraintwiceError, match=message):
        call()
