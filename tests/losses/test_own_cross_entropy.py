import numpy as np
import pytest
import torch
from by_hand import close, softmax

from traintwice.errors import BadInput
from traintwice.losses import CrossEntropy, Outputs, OwnCrossEntropy


def test_value_and_gradient():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 7, 3)), rng.integers(0, 3, (2, 7))
    f, own = softmax(logits), [0, 1, 2, 6]
    total, gradient = 0.0, np.zeros_like(logits)
    for j in range(2):
        for b in own:
            total -= np.log(f[j, b, labels[j, b]]) / len(own)
            gradient[j, b] = (f[j, b] - np.eye(3)[labels[j, b]]) / len(own)
    z = torch.from_numpy(logits).requires_grad_()
    found = OwnCrossEntropy()(Outputs(z, torch.from_numpy(labels), shared=slice(3, 6)))
    assert found.item() == close(total)
    found.backward()
    np.testing.assert_allclose(z.grad.numpy(), gradient, atol=1e-12)


def test_without_a_shared_part_it_is_the_cross_entropy():
    out = Outputs(torch.randn(2, 3, 4, 5), torch.randint(5, (2, 3, 4)))
    for shared in (None, slice(0, 0)):
        torch.testing.assert_close(
            OwnCrossEntropy()(Outputs(out.logits, out.labels, shared=shared)), CrossEntropy()(out), rtol=0, atol=1e-6
        )
    with pytest.raises(BadInput, match="has all 4 examples, and OwnCrossEntropy reads the others"):
        OwnCrossEntropy()(Outputs(out.logits, out.labels, shared=slice(None)))
