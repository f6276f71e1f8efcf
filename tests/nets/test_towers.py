import math

import numpy as np
import pytest
import torch
from scipy import stats

from traintwice import nets
from traintwice.data import Columns, TableShape
from traintwice.errors import BadSpec
from traintwice.nets import MLP, SharedTowers, Towers
from traintwice.nets._towers import truncated_normal
from traintwice.randomness import stream

COLUMNS = Columns(("a", "b"), ("c", "d"), (5, 7))
SHAPE = TableShape.of(COLUMNS)


def rows(count=6, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, count) for size in COLUMNS.sizes], axis=1)
    return torch.from_numpy(np.concatenate([rng.normal(size=(count, 2)), codes], axis=1).astype(np.float32))


def test_is_embeddings_beside_numbers_through_layers():
    network = Towers((4, 3), embedding=2).build(SHAPE, 2, stream(0, "initialisation"))
    table, (first, second, last) = (
        network.table.weight.detach().numpy(),
        [m for m in network.layers if isinstance(m, torch.nn.Linear)],
    )
    x = rows()
    for row, found in zip(x.numpy(), network(x).detach().numpy(), strict=True):
        h = np.concatenate([row[:2], table[int(row[2])], table[5 + int(row[3])]])
        for layer in (first, second):
            h = np.maximum(layer.weight.detach().numpy() @ h + layer.bias.detach().numpy(), 0)
        np.testing.assert_allclose(found, [0.0, (last.weight.detach().numpy() @ h)[0]], rtol=1e-5, atol=1e-6)


def test_more_than_two_classes_have_a_logit_each():
    assert Towers((4,)).build(SHAPE, 3, stream(0, "initialisation"))(rows()).shape == (6, 3)


@pytest.mark.parametrize("s", [1.0, 10.0])
def test_scale_of_the_embeddings_alone(s):
    def built(scale):
        shape = TableShape.of(Columns(("a",), ("c",), (20_000,)))
        return Towers((300, 3), embedding=4, embedding_scale=scale).build(shape, 2, stream(0, "initialisation"))

    network, plain = built(s), built(1.0)
    assert network.table.weight.var().item() == pytest.approx(s / 4, rel=0.02)
    assert network.table.weight.mean().item() == pytest.approx(0.0, abs=0.02 * math.sqrt(s))
    assert torch.equal(network.layers[0].weight, plain.layers[0].weight)
    assert network.layers[0].weight.var().item() == pytest.approx(1 / 5, rel=0.1)


def test_truncated_normal_is_the_outside_one():
    drawn = truncated_normal((50_000,), 1.0, np.random.default_rng(0)).numpy()
    cut = stats.truncnorm(-2, 2)
    assert stats.kstest(drawn * cut.std(), cut.cdf).pvalue > 0.01


def test_sparse_gradients_take_the_same_adagrad_steps():
    found = []
    for sparse in (False, True):
        network = Towers((4,), embedding=2, sparse=sparse).build(SHAPE, 2, stream(0, "initialisation"))
        optimizer = torch.optim.Adagrad(network.parameters(), lr=0.1, initial_accumulator_value=0.1)
        for step in range(5):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(rows(seed=step)), torch.tensor([0, 1, 0, 1, 1, 0])).backward()
            assert network.table.weight.grad.is_sparse is sparse
            optimizer.step()
        found.append(network.table.weight.detach())
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-7)


def test_shared_embeddings_are_one_object():
    rngs = [stream(0, "initialisation", component=j) for j in range(3)]
    first, second, third = SharedTowers((4,), embedding=2).build_together(SHAPE, 2, rngs)
    assert first.table is second.table is third.table
    assert not torch.equal(second.layers[0].weight, third.layers[0].weight)
    alone = Towers((4,), embedding=2).build(SHAPE, 2, stream(0, "initialisation"))
    assert torch.equal(first.table.weight, alone.table.weight)
    assert torch.equal(first.layers[0].weight, alone.layers[0].weight)


def test_cost_is_that_of_the_layers():
    network = Towers((6, 3), embedding=5)
    weights = [p for p in network.build(SHAPE, 2, stream(0, "initialisation")).layers.parameters() if p.ndim == 2]
    assert network.multiply_adds(SHAPE, 2) == sum(w.numel() for w in weights) == 12 * 6 + 6 * 3 + 3
    assert SharedTowers().shared_multiply_adds(SHAPE) == 0


@pytest.mark.parametrize("network", [Towers((3, 2), 4, "gelu", 5.0, True), SharedTowers((3,))])
def test_prints_as_itself(network):
    assert eval(repr(network), vars(nets)) == network  # noqa: S307


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (4, 8)}, "none above the one before"),
        ({"hidden": (0,)}, "widths of at least 1"),
        ({"embedding": 0}, "at least 1"),
        ({"activation": "swish"}, "got 'swish'"),
        ({"embedding_scale": 0.0}, "greater than 0"),
    ],
)
def test_ranges(settings, message):
    with pytest.raises(BadSpec, match=message):
        Towers(**settings)


def test_needs_a_table_and_other_networks_do_not_mind_one():
    with pytest.raises(BadSpec, match=r"without named columns.*use an MLP for plain numbers"):
        Towers().build((4,), 2, stream(0, "initialisation"))
    assert MLP((3,)).build(SHAPE, 2, stream(0, "initialisation"))(rows()).shape == (6, 2)
