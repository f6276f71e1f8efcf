import math

import numpy as np
import pytest
import torch

from traintwice import nets
from traintwice.errors import BadSpec
from traintwice.nets import MLP, SharedTrunk, enter_dropout
from traintwice.randomness import stream


def weights(network):
    return [p for name, p in network.named_parameters() if name.endswith("weight")]


def test_parameters_of_the_papers_network():
    network = MLP((1200, 1200)).build((784,), 10, stream(0, "initialisation"))
    assert sum(p.numel() for p in network.parameters()) == 2_395_210
    assert network(torch.zeros(3, 784)).shape == (3, 10)


def test_pictures_are_flattened():
    assert MLP((5,)).build((1, 8, 8), 10, stream(0, "initialisation"))(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_no_hidden_layer_is_logistic_regression():
    network = MLP(()).build((7,), 3, stream(0, "initialisation"))
    assert sum(p.numel() for p in network.parameters()) == 24


@pytest.mark.parametrize(("initialisation", "limit"), [("glorot", math.sqrt(6 / 1064)), ("he", math.sqrt(6 / 64))])
def test_range_of_the_weights(initialisation, limit):
    network = MLP((1000,), initialisation=initialisation, scale=0.5).build((64,), 10, stream(0, "initialisation"))
    first = weights(network)[0].detach()
    assert first.abs().max() <= 0.5 * limit
    assert first.abs().max() > 0.49 * limit
    assert first.std().item() == pytest.approx(0.5 * limit / math.sqrt(3), rel=0.02)
    assert all((p == 0).all() for name, p in network.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
def test_activations(activation):
    network = MLP((4,), activation).build((2,), 2, np.random.default_rng(0))
    x = torch.tensor([[0.3, -1.2]])
    hidden = weights(network)[0] @ x[0]
    expected = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu, "tanh": torch.tanh}
    torch.testing.assert_close(network(x)[0], weights(network)[1] @ expected[activation](hidden))


def test_multiply_adds_are_the_weights():
    network = MLP((30, 20)).build((64,), 10, stream(0, "initialisation"))
    assert MLP((30, 20)).multiply_adds((64,), 10) == sum(w.numel() for w in weights(network))


def test_prints_as_itself():
    network = MLP((3, 2), "gelu", "he", 0.3)
    assert eval(repr(network), vars(nets)) == network  # noqa: S307


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (0,)}, "widths of at least 1"),
        ({"activation": "swish"}, "got 'swish'"),
        ({"initialisation": "normal"}, "one of 'glorot', 'he'"),
        ({"scale": 0.0}, "greater than 0"),
    ],
)
def test_ranges(settings, message):
    with pytest.raises(BadSpec, match=message):
        MLP(**settings)


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
