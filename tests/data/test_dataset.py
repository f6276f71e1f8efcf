import numpy as np
import pytest

from traintwice.data import Columns, TableShape
from traintwice.data._dataset import LARGEST_VOCABULARY
from traintwice.errors import BadInput


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
