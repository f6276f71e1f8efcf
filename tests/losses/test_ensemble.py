import numpy as np
from by_hand import close, softmax, value

from traintwice.losses import (
    EnsembleCrossEntropy,
    GateCrossEntropy,
)


def test_losses_of_the_average(batch):
    logits, labels = batch
    f, examples = softmax(logits), range(logits.shape[1])
    by_prob = -np.mean([np.log(f[:, b, labels[b]].mean()) for b in examples])
    by_logit = -np.mean([np.log(softmax(logits.mean(0))[b, labels[b]]) for b in examples])
    assert value(EnsembleCrossEntropy(), logits, labels) == close(by_prob)
    assert value(EnsembleCrossEntropy("logit"), logits, labels) == close(by_logit)
    gate = np.random.default_rng(11).normal(size=(logits.shape[1], len(logits)))
    mixed = -np.mean([np.log((softmax(gate)[b] * f[:, b, labels[b]]).sum()) for b in examples])
    assert value(GateCrossEntropy(), logits, labels, gate=gate) == close(mixed)
