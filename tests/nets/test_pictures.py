"""Networks for pictures: parameter counts from the papers' lists by hand, weights, shapes, work."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, linear, pad

from traintwice import nets
from traintwice.errors import BadSpec
from traintwice.nets import RESNET_20, RESNET_32, RESNET_56, RESNET_V2_50, LeNet5, ResNet, ResNetV2
from traintwice.nets.pictures import count_multiply_adds
from traintwice.randomness import stream

SMALL = {
    "LeNet5": LeNet5(),
    "ResNet": ResNet(((1, 4, 1), (1, 8, 2))),
    "ResNetV2": ResNetV2(((1, 4, 1), (1, 8, 2))),
}


def built(network, shape=(3, 8, 8), classes=5, replica=0):
    return network.build(shape, classes, stream(0, "initialisation", replica=replica))


def size(module):
    return sum(p.numel() for p in module.parameters())


def resnet_by_hand(blocks, channels, classes):
    """Convolutions of 3 x 3 without biases, a factor and a shift for each map of each, shortcuts without weights."""
    width = blocks[0][1]
    total = 9 * channels * width + 2 * width
    for units, filters, _ in blocks:
        for _ in range(units):
            total += 9 * width * filters + 2 * filters + 9 * filters * filters + 2 * filters
            width = filters
    return total + width * classes + classes


def resnet_v2_by_hand(blocks, channels, classes):
    """Three convolutions of 1, 3 and 1, batch norm before each, a projection at the head of every block."""
    width = 64
    total = 49 * channels * width
    for units, filters, stride in blocks:
        for unit in range(units):
            total += 2 * (width + filters + filters) + width * filters + 9 * filters * filters + filters * 4 * filters
            total += width * 4 * filters if unit == 0 and (width != 4 * filters or stride > 1) else 0
            width = 4 * filters
    return total + 2 * width + width * classes + classes


@pytest.mark.parametrize(
    ("network", "literal"),
    [(RESNET_20, 269_722), (RESNET_32, 464_154), (RESNET_56, 853_018)],
)
def test_parameters_of_the_residual_networks(network, literal):
    assert size(built(network, (3, 32, 32), 10)) == literal == resnet_by_hand(network.blocks, 3, 10)


def test_parameters_of_the_network_for_imagenet():
    network = nets.pictures.structure(lambda: RESNET_V2_50._layers((3, 224, 224), 1000))  # no need to draw 25 million weights
    assert size(network) == 25_549_352 == resnet_v2_by_hand(RESNET_V2_50.blocks, 3, 1000)


def test_parameters_of_lenet5():
    by_hand = (25 + 1) * 6 + (6 * 25 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10
    assert size(built(LeNet5(), (28, 28), 10)) == size(built(LeNet5(), (1, 32, 32), 10)) == by_hand == 61_706
    assert size(built(LeNet5(), (3, 32, 32), 10)) == by_hand + 2 * 25 * 6


def test_the_papers_lists():
    assert RESNET_32.blocks == ((5, 16, 1), (5, 32, 2), (5, 64, 2))
    assert RESNET_56.blocks == ((9, 16, 1), (9, 32, 2), (9, 64, 2))
    assert RESNET_V2_50.blocks == ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
    assert [n.describe((3, 32, 32), 10) for n in (RESNET_20, RESNET_32, RESNET_56)] == ["ResNet-20", "ResNet-32", "ResNet-56"]


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


def test_lenet5_is_its_formula():
    network, x = built(LeNet5("tanh"), (28, 28), 10), torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0))
    c1, c2, *dense = [layer for layer in network if hasattr(layer, "weight")]
    maps = avg_pool2d(torch.tanh(conv2d(pad(x.unsqueeze(1), (2, 2, 2, 2)), c1.weight)), 2)
    z = avg_pool2d(torch.tanh(conv2d(maps, c2.weight)), 2).flatten(1)
    for place, layer in enumerate(dense):
        z = linear(z, layer.weight) if place == 2 else torch.tanh(linear(z, layer.weight))
    torch.testing.assert_close(network(x), z)


def test_shortcuts_of_resnet_take_every_other_pixel_and_add_zeros():
    """With the factor of the residual's last batch norm at zero, a unit is the rectified shortcut: of positive inputs, the shortcut."""
    network = built(ResNet(((1, 4, 1), (1, 6, 2))))
    unit = network[5]
    torch.nn.init.zeros_(unit.second_norm.weight)
    x = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    out = unit(x)
    assert out.shape == (2, 6, 4, 4)
    torch.testing.assert_close(out[:, :4], x[:, :, ::2, ::2])
    assert (out[:, 4:] == 0).all()


def test_units_of_resnet_v2_leave_the_input_alone():
    """Nothing bends the sum of shortcut and residual: it may be negative."""
    network = built(ResNetV2(((2, 4, 1),)))
    unit = network[4]
    torch.nn.init.zeros_(unit.third.weight)
    x = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unit(x), x)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_shapes_and_activations(name, activation):
    for shape in ((8, 9), (1, 8, 9), (3, 9, 8)):
        network = built(replace(SMALL[name], activation=activation), shape)
        assert network(torch.zeros(2, *shape)).shape == (2, 5)
        kinds = {type(module) for module in network.modules()}
        assert type(nets.ACTIVATIONS[activation]()) in kinds


@pytest.mark.parametrize("name", SMALL)
def test_weights_come_from_the_stream_alone(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (built(SMALL[name], replica=r).state_dict() for r in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())
    assert all(value.dtype in (torch.float32, torch.int64) and value.device.type == "cpu" for value in first.values())


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
