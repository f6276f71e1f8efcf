"""Parts of the formulas of losses, written as loops in NumPy."""

import numpy as np
import pytest
import torch

from traintwice.losses import Outputs


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def value(loss, logits, labels, **others):
    others = {name: torch.from_numpy(other) for name, other in others.items()}
    return loss(Outputs(torch.from_numpy(logits), torch.from_numpy(labels), **others)).item()


def close(by_hand):
    return pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def components_and_examples(f):
    return [(j, b) for j in range(f.shape[0]) for b in range(f.shape[1])]


def cross_entropy(p, q):
    return -sum(p[k] * np.log(q[k]) for k in range(len(p)))


def kl(p, q):
    return sum(p[k] * np.log(p[k] / q[k]) for k in range(len(p)) if p[k] > 0)
