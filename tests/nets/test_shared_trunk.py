import numpy as np
import pytest
import torch

from traintwice.errors import BadSpec
from traintwice.nets import MLP, SharedTrunk, enter_dropout


def streams(count):
    return [np.random.default_rng(j) for j in range(count)]


def test_one_component_is_an_mlp_of_the_same_widths():
    both = SharedTrunk((8,), (6,), scale=0.5, input_scale=4.0, dropout=0.2), MLP((8, 6), scale=0.5, input_scale=4.0, dropout=0.2)
    found, expected = (network.build((4, 2), 3, np.random.default_rng(0)).state_dict() for network in both)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert both[0].multiply_adds((4, 2), 3) == both[1].multiply_adds((4, 2), 3)


def test_input_scale_is_that_of_the_variance_of_the_first_layer_alone():
    plain, scaled = (SharedTrunk((8, 8), (6,), input_scale=s).build_together((4,), 3, streams(2)) for s in (1.0, 9.0))
    for one, other in zip(plain, scaled, strict=True):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value * 3 if name == "0.weight" else value)


def test_weights_of_the_trunk_are_shared_and_masks_are_not():
    first, second = SharedTrunk((8, 8), (6,), dropout=0.5).build_together((4,), 3, streams(2))
    shared = [a is b for a, b in zip(first, second, strict=True) if isinstance(a, torch.nn.Linear)]
    assert shared == [True, True, False, False]
    x = torch.ones(16, 4)
    alone = MLP((8, 8, 6), dropout=0.5).build((4,), 3, np.random.default_rng(0))
    alone.load_state_dict(first.state_dict())
    for network, rng in zip((first, second, alone), (*streams(2), np.random.default_rng(0)), strict=True):
        enter_dropout(network, rng)
    expected = alone(x)
    second(x)
    torch.testing.assert_close(first(x), expected)  # whatever the other component drew


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SharedTrunk(()), "and a trunk"),
        (lambda: SharedTrunk((4,), (0,)), "widths of at least 1"),
        (lambda: SharedTrunk(activation="swish"), "expected one of 'relu'"),
        (lambda: SharedTrunk(scale=0.0), "SharedTrunk.scale: got 0.0"),
        (lambda: SharedTrunk(input_scale=-1.0), "SharedTrunk.input_scale: got -1.0"),
        (lambda: SharedTrunk(dropout=1.0), "SharedTrunk.dropout: got 1.0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()
