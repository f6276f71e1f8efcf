import numpy as np
import pytest

from traintwice.data import Columns, TableShape
from traintwice.data.dataset import LARGEST_VOCABULARY
from traintwice.data.splits import reported
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


def test_columns_know_their_places():
    columns = Columns(("a", "b"), ("c", "d", "e"), (4, 5, 6), {"d": ("x",) * 5})
    assert (columns.width, columns.vocabulary, columns.offsets.tolist()) == (5, 15, [0, 4, 9])
    chosen = columns.select((1, 3, 4))
    assert chosen == Columns(("b",), ("d", "e"), (5, 6))
    assert list(chosen.values) == ["d"]
    assert TableShape.of(columns) == (5,)
    with pytest.raises(BadInput, match="a numeric column after a categorical column"):
        columns.select((3, 0))


def test_codes_must_be_exact_in_single_precision():
    largest = Columns((), ("c",), (LARGEST_VOCABULARY,))
    assert int(np.float32(largest.sizes[0] - 1)) == largest.sizes[0] - 1
    with pytest.raises(BadInput, match="hash the column to fewer"):
        Columns((), ("c",), (LARGEST_VOCABULARY + 1,))
    with pytest.raises(BadInput, match="expected one for each"):
        Columns((), ("c",), ())
