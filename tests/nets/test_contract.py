"""What holds for every network."""

from pathlib import Path

import pytest
import torch

from traintwice import nets
from traintwice.data import Columns, TableShape
from traintwice.nets import Factory, LeNet5, Network, ResNet, ResNetV2, SharedTowers, Towers
from traintwice.nets._pictures import count_multiply_adds
from traintwice.randomness import stream
from traintwice.specs import decode, encode

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "networks.md").read_text()

PICTURE = (3, 8, 8)
TABLE = TableShape.of(Columns(("a", "b"), ("c", "d"), (5, 7)))
CLASSES = 5

LISTED = {
    LeNet5: (LeNet5(), PICTURE),
    ResNet: (ResNet(((1, 4, 1), (1, 8, 2))), PICTURE),
    ResNetV2: (ResNetV2(((1, 4, 1), (1, 8, 2))), PICTURE),
    Towers: (Towers(), TABLE),
    SharedTowers: (SharedTowers(), TABLE),
}
"""An example and the shape of its inputs, where these are not the default settings and six numbers."""

EXAMPLES = {cls: LISTED[cls] if cls in LISTED else (cls(), (6,)) for cls in nets.ALL if cls is not Factory}
"""Networks of this package; a function of the user's has tests of its own."""

each = pytest.mark.parametrize(("network", "shape"), EXAMPLES.values(), ids=[cls.__name__ for cls in EXAMPLES])


def built(network, shape, replica=0):
    return network.build(shape, CLASSES, stream(0, "initialisation", replica=replica))


@each
def test_weights_come_from_the_stream_alone(network, shape):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = built(network, shape).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = (built(network, shape, replica).state_dict() for replica in (0, 1))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())
    assert all(value.dtype in (torch.float32, torch.int64) and value.device.type == "cpu" for value in first.values())


@each
def test_gives_a_logit_of_each_class(network, shape):
    logits = built(network, shape)(torch.zeros(2, *shape))
    assert logits.shape == (2, CLASSES)
    assert logits.dtype == torch.float32


@each
def test_work_is_that_of_its_layers(network, shape):
    assert network.multiply_adds(shape, CLASSES) == count_multiply_adds(built(network, shape), shape)
    assert network.describe(shape, CLASSES)


@each
def test_settings_survive_a_file_and_print_as_they_are(network, shape):
    assert decode(Network, encode(network), "network") == network
    assert eval(repr(network), vars(nets)) == network  # noqa: S307
    assert hash(decode(Network, encode(network), "network")) == hash(network)


@pytest.mark.parametrize("cls", nets.ALL)
def test_the_page_of_networks_names_it(cls):
    assert f"| `{cls.__name__}` |" in PAGE, f"docs/guides/networks.md: add a line for {cls.__name__} to the table"
