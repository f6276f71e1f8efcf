import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traintwice.report._style import (
    KIND_COLOURS,
    KIND_FILLS,
    KIND_SHAPES,
    PALETTE,
    Point,
    _box,
    _overlap,
    marks_of,
    place,
    span_of_most,
)


def test_no_row_wears_the_mark_of_the_baseline():
    marks = marks_of([str(n) for n in range(20)], PALETTE)
    assert marks[: len(PALETTE)] == list(PALETTE)
    assert marks.count(PALETTE[0]) == 1


def test_marks_of_findings_differ_without_colour():
    marks = {(KIND_SHAPES[k], KIND_FILLS[k] == KIND_COLOURS[k]) for k in KIND_COLOURS}
    assert len(marks) == len(KIND_COLOURS)


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


@pytest.mark.parametrize("seed", range(5))
def test_labels_do_not_cover_each_other_where_there_is_room(seed):
    rng = np.random.default_rng(seed)
    points = [Point(float(x), float(y), f"recipe {i}") for i, (x, y) in enumerate(rng.random((8, 2)) * [600, 380] + 20)]
    boxes = [_box(point, label) for point, label in zip(points, place(points, 640, 400), strict=True)]
    assert all(_overlap(a, b) == 0 for a, b in itertools.combinations(boxes, 2))
    assert all(box[0] >= 0 and box[2] <= 640 for box in boxes)
