import torch
from torch.nn.functional import avg_pool2d, conv2d, linear, pad

from traintwice.nets import LeNet5
from traintwice.randomness import stream


def built(network, shape=(3, 8, 8), classes=5, replica=0):
    return network.build(shape, classes, stream(0, "initialisation", replica=replica))


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
