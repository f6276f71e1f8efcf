import numpy as np
import pytest
import torch
from by_hand import close, components_and_examples, cross_entropy, softmax, value

from traintwice.errors import BadSpec
from traintwice.losses import CrossEntropy, LabelSmoothing, NeighbourSmoothing, Outputs


def test_value_and_gradient(batch):
    logits, labels = batch
    f, classes = softmax(logits), logits.shape[2]
    shares = np.random.default_rng(0).dirichlet(np.ones(classes), logits.shape[1])
    total, gradient = 0.0, np.zeros_like(logits)
    for j, b in components_and_examples(f):
        target = 0.3 * (0.6 * shares[b] + 0.4 / classes)
        target[labels[b]] += 0.7
        total += cross_entropy(target, f[j, b]) / f.shape[1]
        gradient[j, b] = (f[j, b] - target) / f.shape[1]
    loss = NeighbourSmoothing(0.3, uniform=0.4)
    assert value(loss, logits, labels, teacher=np.log(shares)) == close(total)
    z = torch.from_numpy(logits).requires_grad_()
    loss(Outputs(z, torch.from_numpy(labels), teacher=torch.from_numpy(np.log(shares)))).backward()
    np.testing.assert_allclose(z.grad.numpy(), gradient, atol=1e-12)


def test_its_ends_are_other_losses(batch):
    logits, labels = batch
    one_hot = (
        torch.eye(logits.shape[2], dtype=torch.float64)[torch.from_numpy(labels)].log().numpy()
    )  # all neighbours have the label
    assert value(NeighbourSmoothing(0.3, 1.0), logits, labels, teacher=one_hot) == close(
        value(LabelSmoothing(0.3), logits, labels)
    )
    for loss in (NeighbourSmoothing(0.0), NeighbourSmoothing(0.5, 0.0)):
        assert value(loss, logits, labels, teacher=one_hot) == close(value(CrossEntropy(), logits, labels))


def test_settings_are_checked():
    with pytest.raises(BadSpec, match=r"NeighbourSmoothing.neighbours: got 0, expected at least 1"):
        NeighbourSmoothing(neighbours=0)
    with pytest.raises(BadSpec, match=r"NeighbourSmoothing.uniform: got 1.5"):
        NeighbourSmoothing(uniform=1.5)
