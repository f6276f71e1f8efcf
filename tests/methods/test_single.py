import pytest
import torch

from traintwice.losses import (
    CrossEntropy,
    Entropy,
    Outputs,
)
from traintwice.methods import (
    Method,
    blend,
)


@pytest.fixture
def out():
    generator = torch.Generator().manual_seed(0)
    return Outputs(torch.randn(2, 6, 3, generator=generator), torch.tensor([0, 1, 2, 2, 1, 0]))


def test_confidence_penalty_is_a_negative_alpha(out):
    torch.testing.assert_close(
        Method(blend(-0.1, CrossEntropy(), Entropy()), 2).loss(out), 1.1 * CrossEntropy()(out) - 0.1 * Entropy()(out)
    )
