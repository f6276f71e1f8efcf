import pytest
import torch
from by_hand import close, softmax, value

from traintwice.losses import (
    Decorrelation,
    GramSchmidt,
    Outputs,
)


@pytest.mark.parametrize("signal", ["logits", "probabilities"])
@pytest.mark.parametrize("center", ["none", "class"])
def test_gram_schmidt(batch, signal, center):
    logits, labels = batch
    s = logits if signal == "logits" else softmax(logits)
    if center == "class":
        s = s - s.mean(2, keepdims=True)
    examples, total = s.shape[1], 0.0
    for k in range(s.shape[2]):
        e = []
        for i in range(len(s)):
            z = s[i, :, k]
            total += sum((z @ before / examples) ** 2 for before in e)
            e.append(z - sum(((z @ before) / (before @ before + 0.01)) * before for before in e))
    assert value(GramSchmidt(signal, center, 0.01), logits, labels) == close(total)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def out_of(logits):
    return Outputs(logits, torch.arange(logits.shape[-2]) % logits.shape[-1])


def test_gram_schmidt_of_two_is_decorrelation_and_of_three_is_not():
    two, three = out_of(normal(2, 9, 4)), out_of(normal(3, 9, 4))
    torch.testing.assert_close(GramSchmidt()(two), Decorrelation()(two))
    assert not torch.isclose(GramSchmidt()(three), Decorrelation()(three), rtol=0.01)


def test_gram_schmidt_counts_what_is_common_once():
    """Two equal components and a third: the third's overlap with both counts once; de-correlation counts it twice."""
    a, c = normal(9, 1), normal(9, 1, seed=1)
    out = out_of(torch.stack([a, a, c]).expand(3, 9, 1).repeat(1, 1, 2))
    overlap, own = 2 * (a * c).mean() ** 2, 2 * (a * a).mean() ** 2
    torch.testing.assert_close(Decorrelation()(out), own + 2 * overlap)
    torch.testing.assert_close(GramSchmidt(epsilon=1e-12)(out), own + overlap)
