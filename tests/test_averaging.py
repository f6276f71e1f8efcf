import pytest

from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.errors import BadSpec


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(0.0), "EMA.decay: got 0.0"),
        (lambda: EMA(1.0), "EMA.decay: got 1.0"),
        (lambda: SWA(1.0), "SWA.start: got 1.0"),
        (lambda: SWA(-0.1), "SWA.start: got -0.1"),
        (lambda: Snapshots(1), "Snapshots.count: got 1"),
    ],
)
def test_ranges(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_sets_of_weights_to_serve():
    assert [averaging.models for averaging in (EMA(), SWA(0.0), Snapshots(4))] == [1, 1, 4]
