import math

import numpy as np
import pytest
import torch
from by_hand import close, components_and_examples, kl, softmax, value

from traintwice.losses import CrossEntropy, Entropy, LogitL2, Outputs, SymmetricKLToUniform
from traintwice.methods import entropy_regulariser


def test_entropy(batch):
    logits, labels = batch
    f = softmax(logits)
    by_hand = sum(-(f[j, b] * np.log(f[j, b])).sum() for j in range(len(f)) for b in range(f.shape[1])) / f.shape[1]
    assert value(Entropy(), logits, labels) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("renormalise", [True, False])
def test_entropy_of_the_largest(renormalise):
    logits = np.random.default_rng(3).normal(size=(2, 6, 5)) * 2
    f, total = softmax(logits), 0.0
    for j, b in components_and_examples(f):
        top = np.sort(f[j, b])[-3:]
        top = top / top.sum() if renormalise else top
        total += -(top * np.log(top)).sum() / 6
    assert value(Entropy(3, renormalise), logits, np.zeros(6, dtype=int)) == close(total)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def out_of(logits):
    return Outputs(logits, torch.arange(logits.shape[-2]) % logits.shape[-1])


def test_weight_of_the_entropy_is_minus_that_of_the_confidence_penalty():
    out = out_of(normal(1, 9, 4))
    total = entropy_regulariser(0.3).loss(out)
    torch.testing.assert_close(total, 0.7 * CrossEntropy()(out) + 0.3 * Entropy()(out))


def test_two_classes_and_confidence():
    """CH Theorem 3 (binary): lower entropy, or larger distance from uniform, means a larger margin between the two."""
    margins = torch.linspace(0, 6, 50, dtype=torch.float64)
    outs = [Outputs(torch.tensor([[[m, 0.0]]]), torch.tensor([0])) for m in margins]
    entropies = [Entropy()(o).item() for o in outs]
    distances = [SymmetricKLToUniform()(o).item() for o in outs]
    assert entropies == sorted(entropies, reverse=True)
    assert distances == sorted(distances, reverse=True)
    assert entropies[0] == pytest.approx(math.log(2))


@pytest.mark.parametrize(("top_k", "renormalise"), [(None, True), (3, True), (3, False)])
@pytest.mark.parametrize("cap", [None, 1.0])
def test_symmetric_kl_to_uniform(top_k, renormalise, cap):
    logits = np.random.default_rng(4).normal(size=(2, 6, 5)) * 2
    f, total, capped = softmax(logits), 0.0, 0
    for j, b in components_and_examples(f):
        p = np.sort(f[j, b])[-(top_k or 5) :]
        classes = 5
        if top_k and renormalise:
            p, classes = p / p.sum(), top_k
        skl = ((p - 1 / classes) * np.log(classes * p)).sum()
        if not top_k:
            uniform = np.full(5, 0.2)
            assert skl == close(kl(p, uniform) + kl(uniform, p))
        capped += cap is not None and skl > cap
        total -= min(skl, cap or np.inf) / 6
    assert value(SymmetricKLToUniform(cap, top_k, renormalise), logits, np.zeros(6, dtype=int)) == close(total)
    assert 0 < capped < 12 or cap is None


def test_logit_l2(batch):
    logits, labels = batch
    by_hand = sum((logits[j, b] ** 2).sum() for j, b in components_and_examples(logits)) / logits.shape[1]
    assert value(LogitL2(), logits, labels) == close(by_hand)
