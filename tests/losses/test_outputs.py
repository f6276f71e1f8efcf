import numpy as np
import pytest
import torch
from by_hand import close, value

from traintwice.errors import BadInput
from traintwice.losses import (
    Agreement,
    CrossEntropy,
    Decorrelation,
    Difference,
    Distillation,
    EnsembleCrossEntropy,
    Entropy,
    Outputs,
    PeerCrossEntropy,
    SymmetricKLToUniform,
)


def test_shared_examples():
    """Own parts of 2 and 1 examples behind a shared part of 3, in a batch of 5."""
    rng = np.random.default_rng(13)
    logits, labels = rng.normal(size=(2, 5, 3)), rng.integers(3, size=(2, 5))
    labels[1, :3] = labels[0, :3]
    out = Outputs(torch.from_numpy(logits), torch.from_numpy(labels), shared=slice(0, 3))
    assert Agreement()(out).item() == close(value(Agreement(), logits[:, :3], labels[0, :3]))
    assert EnsembleCrossEntropy()(out).item() == close(value(EnsembleCrossEntropy(), logits[:, :3], labels[0, :3]))
    assert CrossEntropy()(out).item() == close(sum(value(CrossEntropy(), logits[j : j + 1], labels[j]) for j in range(2)))
    with pytest.raises(BadInput, match="labels per component and no `shared`"):
        Agreement()(Outputs(out.logits, out.labels))
    with pytest.raises(BadInput, match="leaves none of 5 examples"):
        Agreement()(Outputs(out.logits, out.labels, shared=slice(0, 0)))


def test_one_logit_is_read_as_two_classes():
    z = np.random.default_rng(5).normal(size=(2, 9, 1))
    labels = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0])
    two = np.concatenate([np.zeros_like(z), z], axis=-1)
    for loss in (CrossEntropy(), Entropy(), Agreement(), Decorrelation(), SymmetricKLToUniform(), Difference()):
        assert value(loss, z, labels) == pytest.approx(value(loss, two, labels))
    peers, teacher = z[::-1].copy(), z[0] * 2
    with_two = {"peers": two[::-1].copy(), "teacher": two[0] * 2}
    for loss in (PeerCrossEntropy(1), Distillation()):
        assert value(loss, z, labels, peers=peers, teacher=teacher) == pytest.approx(value(loss, two, labels, **with_two))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ((4, 3), (4,), r"expected \(\.\.\., components, batch, classes\)"),
        ((2, 4, 3), (3,), r"got labels of shape \(3,\) for logits \(2, 4, 3\), expected \(4,\) or \(2, 4\)"),
        ((5, 2, 4, 3), (4,), r"expected \(5, 4\) or \(5, 2, 4\)"),
    ],
)
def test_shapes_that_do_not_fit(logits, labels, message):
    with pytest.raises(BadInput, match=message):
        Outputs(torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"peers": (4, 3)}, r"got peers of shape \(4, 3\) for logits \(2, 4, 3\), expected \(2, 4, 3\)"),
        ({"teacher": (2, 4)}, r"got teacher of shape \(2, 4\).*expected \(4, 3\)"),
        ({"gate": (2, 4)}, r"got gate of shape \(2, 4\).*expected \(4, 2\)"),
    ],
)
def test_further_inputs_that_do_not_fit(others, message):
    with pytest.raises(BadInput, match=message):
        Outputs(
            torch.zeros(2, 4, 3),
            torch.zeros(4, dtype=torch.int64),
            **{name: torch.zeros(shape) for name, shape in others.items()},
        )
    with pytest.raises(BadInput, match=r"got signal 'tower' of shape \(1, 4, 6\).*expected \(2, 4, 6\)"):
        Outputs(torch.zeros(2, 4, 3), torch.zeros(4, dtype=torch.int64), signals={"tower": torch.zeros(1, 4, 6)})
