import numpy as np
import pytest
import torch

from traintwice.errors import BadSpec
from traintwice.nets import MLP, Dropout, enter_dropout


def test_it_is_its_formula():
    layer, x = Dropout(0.3), torch.randn(500, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    enter_dropout(layer, np.random.default_rng(4))
    mask = np.random.default_rng(4).random((500, 20), dtype=np.float32) >= 0.3
    np.testing.assert_allclose(layer(x).numpy(), np.where(mask, x.numpy() / 0.7, 0), rtol=1e-12)
    assert abs(mask.mean() - 0.7) < 0.02
    assert torch.equal(layer.eval()(x), x)


def test_layers_draw_one_after_the_other():
    network = MLP((6, 6), dropout=0.5).build((4,), 3, np.random.default_rng(0))
    with pytest.raises(BadSpec, match=r"has no random stream; call traintwice.nets.enter_dropout"):
        network(torch.ones(2, 4))
    assert enter_dropout(network, np.random.default_rng(0))
    first, second = network(torch.ones(2, 4)), network(torch.ones(2, 4))
    assert not torch.equal(first, second)
    enter_dropout(network, np.random.default_rng(0))
    assert torch.equal(network(torch.ones(2, 4)), first)


def test_without_it_nothing_draws():
    assert not enter_dropout(MLP((6,)).build((4,), 3, np.random.default_rng(0)), np.random.default_rng(0))
    with pytest.raises(BadSpec, match=r"MLP.dropout: got 1.0, expected a share"):
        MLP(dropout=1.0)
