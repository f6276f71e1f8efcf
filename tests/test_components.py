import pytest

from traintwice.components import Component, OwnBatches
from traintwice.errors import BadSpec


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Component(inputs=()), r"Component.inputs: got \[\]"),
        (lambda: Component(inputs=(0, -1)), r"Component.inputs: got \[0, -1\]"),
        (lambda: Component(subset=0.0), "Component.subset: got 0.0"),
        (lambda: Component(subset=1.1), "Component.subset: got 1.1"),
        (lambda: OwnBatches(-0.1), "OwnBatches.share: got -0.1"),
    ],
)
def test_ranges(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_size_of_the_shared_part_is_rounded():
    assert [OwnBatches(share).size(10) for share in (0.0, 0.04, 0.26, 1.5)] == [0, 0, 3, 15]
