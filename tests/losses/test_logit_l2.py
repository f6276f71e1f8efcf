from by_hand import close, components_and_examples, value

from traintwice.losses import (
    LogitL2,
)


def test_logit_l2(batch):
    logits, labels = batch
    by_hand = sum((logits[j, b] ** 2).sum() for j, b in components_and_examples(logits)) / logits.shape[1]
    assert value(LogitL2(), logits, labels) == close(by_hand)
