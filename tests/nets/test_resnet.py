import pytest
import torch

from traintwice import nets
from traintwice.nets import RESNET_20, RESNET_32, RESNET_56, RESNET_V2_50, ResNet, ResNetV2
from traintwice.randomness import stream


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


@pytest.mark.parametrize(
    ("network", "literal"),
    [(RESNET_20, 269_722), (RESNET_32, 464_154), (RESNET_56, 853_018)],
)
def test_parameters_of_the_residual_networks(network, literal):
    assert size(built(network, (3, 32, 32), 10)) == literal == resnet_by_hand(network.blocks, 3, 10)


def test_the_papers_lists():
    assert RESNET_32.blocks == ((5, 16, 1), (5, 32, 2), (5, 64, 2))
    assert RESNET_56.blocks == ((9, 16, 1), (9, 32, 2), (9, 64, 2))
    assert RESNET_V2_50.blocks == ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
    assert [n.describe((3, 32, 32), 10) for n in (RESNET_20, RESNET_32, RESNET_56)] == ["ResNet-20", "ResNet-32", "ResNet-56"]


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


def test_parameters_of_the_network_for_imagenet():
    network = nets._pictures.structure(lambda: RESNET_V2_50._layers((3, 224, 224), 1000))  # no need to draw 25 million weights
    assert size(network) == 25_549_352 == resnet_v2_by_hand(RESNET_V2_50.blocks, 3, 1000)


def test_units_of_resnet_v2_leave_the_input_alone():
    """Nothing bends the sum of shortcut and residual: it may be negative."""
    network = built(ResNetV2(((2, 4, 1),)))
    unit = network[4]
    torch.nn.init.zeros_(unit.third.weight)
    x = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unit(x), x)
