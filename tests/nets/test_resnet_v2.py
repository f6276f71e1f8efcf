import torch

from traintwice import nets
from traintwice.nets import RESNET_V2_50, ResNetV2
from traintwice.randomness import stream


def built(network, shape=(3, 8, 8), classes=5, replica=0):
    return network.build(shape, classes, stream(0, "initialisation", replica=replica))


def size(module):
    return sum(p.numel() for p in module.parameters())


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
