import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, linear, pad

from traintwice import nets
from traintwice.errors import BadSpec
from traintwice.nets import RESNET_20, RESNET_56, RESNET_V2_50, LeNet5, ResNet, ResNetV2
from traintwice.nets._pictures import count_multiply_adds
from traintwice.randomness import stream

SMALL = {
    "LeNet5": LeNet5(),
    "ResNet": ResNet(((1, 4, 1), (1, 8, 2))),
    "ResNetV2": ResNetV2(((1, 4, 1), (1, 8, 2))),
}


def built(network, shape=(3, 8, 8), classes=5, replica=0):
    return network.build(shape, classes, stream(0, "initialisation", replica=replica))


def test_work_by_hand():
    """Every output of a convolution costs filter size x input maps; pictures are 32, 16 and 8 wide in the three blocks."""
    plain = lambda width, filters, side: 9 * width * filters * side * side  # noqa: E731
    blocks = 6 * plain(16, 16, 32) + plain(16, 32, 16) + 5 * plain(32, 32, 16) + plain(32, 64, 8) + 5 * plain(64, 64, 8)
    assert RESNET_20.multiply_adds((3, 32, 32), 10) == plain(3, 16, 32) + blocks + 640
    assert LeNet5().multiply_adds((28, 28), 10) == 25 * 6 * 28**2 + 150 * 16 * 10**2 + 48_000 + 10_080 + 840
    assert RESNET_V2_50.multiply_adds((3, 224, 224), 1000) == pytest.approx(3.86e9, rel=1e-2)


def test_work_is_counted_without_changing_the_network():
    network = built(SMALL["ResNet"])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert count_multiply_adds(network, (3, 8, 8)) == SMALL["ResNet"].multiply_adds((3, 8, 8), 5)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_shapes_and_activations(name, activation):
    for shape in ((8, 9), (1, 8, 9), (3, 9, 8)):
        network = built(replace(SMALL[name], activation=activation), shape)
        assert network(torch.zeros(2, *shape)).shape == (2, 5)
        kinds = {type(module) for module in network.modules()}
        assert type(nets.ACTIVATIONS[activation]()) in kinds


def test_initial_weights():
    network = built(ResNet(((1, 32, 1),), scale=0.5), classes=40)
    unit = network[4]
    assert unit.second.weight.std().item() == pytest.approx(0.5 * math.sqrt(2 / (9 * 32)), rel=0.05)
    assert (unit.first_norm.weight == 1).all()
    assert (unit.first_norm.running_var == 1).all()
    assert (unit.first_norm.bias == 0).all()
    limit = 0.5 * math.sqrt(6 / 72)
    assert 0.95 * limit < network[-1].weight.abs().max() <= limit
    assert (network[-1].bias == 0).all()


def test_channels_come_in_where_they_are_left_out():
    network, x = built(LeNet5(), (20, 20)), torch.randn(2, 20, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), network(x.unsqueeze(1)))


@pytest.mark.parametrize("name", SMALL)
def test_vectors_are_refused(name):
    for ask in (lambda n: n.build((64,), 10, np.random.default_rng(0)), lambda n: n.multiply_adds((64,), 10)):
        with pytest.raises(BadSpec, match=rf"{name}: got inputs of shape \(64,\), expected pictures .*; use an MLP"):
            ask(SMALL[name])


@pytest.mark.parametrize("network", [*SMALL.values(), RESNET_56, LeNet5("gelu", 0.3, 0.1)])
def test_prints_as_itself(network):
    assert eval(repr(network), vars(nets)) == network  # noqa: S307
    assert hash(network) == hash(eval(repr(network), vars(nets)))  # noqa: S307


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (LeNet5, {"activation": "swish"}, "LeNet5.activation: got 'swish'"),
        (LeNet5, {"scale": 0.0}, "greater than 0"),
        (LeNet5, {"dropout": 1.0}, "expected a share"),
        (ResNet, {"blocks": ()}, r"ResNet.blocks: got \[\], expected a list of \[units, filters, stride\]"),
        (ResNet, {"blocks": ((3, 16),)}, r"got \[\[3, 16\]\]"),
        (ResNet, {"blocks": ((3, 16, 0),)}, "each at least 1"),
        (ResNet, {"blocks": ((1, 16, 1), (1, 8, 2))}, r"got \[16, 8\] filters"),
        (ResNet, {"scale": -1.0}, "ResNet.scale: got -1.0"),
        (ResNetV2, {"activation": "swish"}, "ResNetV2.activation: got 'swish'"),
    ],
)
def test_ranges(kind, settings, message):
    with pytest.raises(BadSpec, match=message):
        kind(**settings)


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_of_lenet5():
    by_hand = (25 + 1) * 6 + (6 * 25 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10
    assert size(built(LeNet5(), (28, 28), 10)) == size(built(LeNet5(), (1, 32, 32), 10)) == by_hand == 61_706
    assert size(built(LeNet5(), (3, 32, 32), 10)) == by_hand + 2 * 25 * 6


def test_lenet5_is_its_formula():
    network, x = built(LeNet5("tanh"), (28, 28), 10), torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0))
    c1, c2, *dense = [layer for layer in network if hasattr(layer, "weight")]
    maps = avg_pool2d(torch.tanh(conv2d(pad(x.unsqueeze(1), (2, 2, 2, 2)), c1.weight)), 2)
    z = avg_pool2d(torch.tanh(conv2d(maps, c2.weight)), 2).flatten(1)
    for place, layer in enumerate(dense):
        z = linear(z, layer.weight) if place == 2 else torch.tanh(linear(z, layer.weight))
    torch.testing.assert_close(network(x), z)
