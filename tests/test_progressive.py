import pytest

from traintwice.errors import BadSpec
from traintwice.progressive import Progressive


def test_a_window_has_at_least_one_place():
    assert Progressive(1).window == 1
    with pytest.raises(BadSpec, match=r"Progressive.window: got 0, expected at least 1"):
        Progressive(0)
