import numpy as np
import pytest

from traintwice.data import Digits
from traintwice.data._splits import measured, reported
from traintwice.errors import BadInput


def test_parts_follow_each_other_and_are_disjoint():
    found = reported(1000, warm_up=0.1, validation=0.2, most=10_000)
    np.testing.assert_array_equal(np.concatenate([found[name] for name in ("warm_up", "validation", "test")]), np.arange(1000))
    assert [len(found[name]) for name in ("warm_up", "validation", "test")] == [100, 200, 700]


def test_a_long_stream_is_thinned_evenly_to_the_end():
    test = reported(1_000_003, warm_up=0.0, validation=0.5, most=1000)["test"]
    assert len(test) <= 1000
    assert len(set(np.diff(test).tolist())) == 1
    assert 1_000_003 - test[-1] <= test[1] - test[0]


@pytest.mark.parametrize(
    "settings", [{"warm_up": 0.9}, {"validation": 0.0}, {"warm_up": -0.1}, {"validation": 0.001}, {"most": 0}]
)
def test_impossible_parts(settings):
    with pytest.raises(BadInput, match="places: got"):
        reported(**{"examples": 100, "warm_up": 0.1, "validation": 0.2, "most": 10, **settings})


RNG = np.random.default_rng(3)


def test_each_channel_has_a_mean_and_a_deviation_of_its_own():
    many = RNG.integers(0, 256, size=(5000, 3, 4, 4), dtype=np.uint8) // np.array([1, 2, 3], np.uint8)[:, None, None]
    values, scaling = many.transpose(1, 0, 2, 3).reshape(3, -1) / 255, measured(many)
    np.testing.assert_allclose(scaling.mean, values.mean(axis=1))
    np.testing.assert_allclose(scaling.std, values.std(axis=1))
    with pytest.raises(BadInput, match="is constant"):
        measured(np.zeros((4, 1, 2, 2), np.uint8))


@pytest.mark.parametrize("sizes", [{"train": 1000}, {"test": 0}])
def test_impossible_splits(sizes):
    with pytest.raises(BadInput, match=r"expected three positive numbers of sum at most 1797"):
        Digits(**sizes).load()
