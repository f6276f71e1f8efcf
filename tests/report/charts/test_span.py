import pytest
from hypothesis import given
from hypothesis import strategies as st

from traintwice.report.charts.span import span_of_most

ENDS = st.lists(st.floats(-100, 100), min_size=1, max_size=40)


@given(ENDS)
def test_half_of_the_ends_or_more_lie_inside(ends):
    low, high = span_of_most(ends)
    assert low < high
    assert 2 * sum(low <= end <= high for end in ends) >= len(ends)


def test_one_far_row_does_not_squeeze_the_rest():
    near = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
    assert span_of_most([*near, 19.0, 32.0]) == span_of_most(near) == pytest.approx((-2.21, 1.71))


def test_without_spread_nothing_is_far():
    assert span_of_most([1.0, 1.0, 1.0, 1.0, 1.0, 5.0])[1] > 5
    assert span_of_most([1.0]) == (0.0, 2.0)
