import numpy as np
import pytest
import torch
from by_hand import close, value

from traintwice.errors import BadInput, BadSpec
from traintwice.losses import (
    Decorrelation,
    Difference,
    Entropy,
    GramSchmidt,
    Outputs,
    SymmetricKLToUniform,
)


def test_named_signal_takes_the_place_of_the_logits(batch):
    logits, labels = batch
    tower = np.random.default_rng(12).normal(size=(*logits.shape[:2], 6))
    for loss in (Decorrelation, GramSchmidt, Difference):
        named = loss(signal="tower")(
            Outputs(torch.from_numpy(logits), torch.from_numpy(labels), signals={"tower": torch.from_numpy(tower)})
        )
        assert named.item() == close(value(loss(), tower, labels * 0))
    with pytest.raises(BadInput, match="reads 'head', got 'tower'"):
        Decorrelation(signal="head")(
            Outputs(torch.from_numpy(logits), torch.from_numpy(labels), signals={"tower": torch.from_numpy(tower)})
        )


def test_top_k_of_all_classes_is_a_dead_switch():
    out = Outputs(torch.zeros(1, 4, 3), torch.zeros(4, dtype=torch.int64))
    for loss in (Entropy(top_k=3), SymmetricKLToUniform(top_k=5)):
        with pytest.raises(BadSpec, match="for 3 classes, expected fewer"):
            loss(out)
