import numpy as np
import pytest
from by_hand import close, components_and_examples, kl, softmax, value

from traintwice.losses import (
    SymmetricKLToUniform,
)


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
