import torch

from traintwice.losses import (
    GateCrossEntropy,
    Outputs,
)


def test_gate_gives_no_gradient_to_the_components():
    logits = torch.randn(2, 5, 3, requires_grad=True)
    gate = torch.randn(5, 2, requires_grad=True)
    GateCrossEntropy()(Outputs(logits, torch.zeros(5, dtype=torch.int64), gate=gate)).backward()
    assert logits.grad is None
    assert gate.grad.abs().sum() > 0
