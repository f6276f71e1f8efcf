"""Examples of every loss, for the tests that loop over all of them, and mini-batches with everything a loss may read."""

import torch

from traintwice.losses import (
    ALL,
    Agreement,
    Anchor,
    CrossEntropy,
    CrossEntropyDifference,
    Decorrelation,
    Difference,
    Distillation,
    EnsembleCrossEntropy,
    Entropy,
    FocalDistillation,
    GateCrossEntropy,
    GramSchmidt,
    ImportedLoss,
    LabelSmoothing,
    LoggedDistillation,
    LogitDifference,
    LogitL2,
    LossWithMemory,
    NeighbourSmoothing,
    Only,
    Outputs,
    PeerCrossEntropy,
    RunningDecorrelation,
    SymmetricKLToUniform,
)
from traintwice.losses._outputs import at_least_single


def of_the_user(out, scale):
    """A loss of the user's: how far the components are from the first teacher, in the mean over the batch; 0 alone."""
    if out.components == 1:
        return 0 * out.logits.sum((-3, -2, -1))
    teacher = at_least_single(out.teacher).softmax(-1)
    teacher = teacher[..., :1, :, :] if teacher.ndim == out.logits.ndim else teacher.unsqueeze(-3)
    apart = out.probs - teacher
    return scale * out.mean(apart.square().sum(-1)).sum(-1)


LISTED = [
    CrossEntropy(),
    LabelSmoothing(0.2),
    LogitL2(),
    Entropy(),
    Entropy(top_k=2),
    Entropy(top_k=2, renormalise=False),
    SymmetricKLToUniform(),
    SymmetricKLToUniform(cap=0.5),
    SymmetricKLToUniform(top_k=2),
    SymmetricKLToUniform(top_k=2, renormalise=False),
    Agreement("skl"),
    Agreement("l1"),
    Agreement("ce"),
    PeerCrossEntropy(),
    PeerCrossEntropy(lag_steps=3),
    *[
        Decorrelation(matrix, signal, center, normalize)
        for matrix in ("second-moment", "covariance", "residue")
        for signal in ("logits", "probabilities")
        for center, normalize in (("none", False), ("class", False), ("none", True))
    ],
    Decorrelation("covariance", "tower"),
    RunningDecorrelation(),
    RunningDecorrelation(0.5, "covariance", "probabilities", "class", True),
    GramSchmidt(),
    GramSchmidt("probabilities", "class", 1e-3),
    GramSchmidt("tower"),
    Difference(),
    Difference("inverse"),
    Difference("negative", 1.0, "probabilities"),
    Difference("inverse", 3.0, "logits", "class", 0.1),
    Difference(signal="tower"),
    CrossEntropyDifference(),
    CrossEntropyDifference("inverse"),
    Distillation(),
    Distillation(3.0, "logit"),
    LoggedDistillation(0.3),
    LogitDifference(),
    LogitDifference(2, 0.5, 1.5),
    NeighbourSmoothing(0.3, 0.4, 5),
    Anchor(0.3, 0.2),
    FocalDistillation(),
    FocalDistillation(0.5, 2.0, 4.0),
    EnsembleCrossEntropy(),
    EnsembleCrossEntropy("logit"),
    GateCrossEntropy(),
    ImportedLoss("loss_examples:of_the_user", {"scale": 2.0}, ("teacher",), True),
    Only(LabelSmoothing(), (1,)),
    Only(Agreement("l1"), (0, 1)),
]

MEMBERS = [*LISTED, *[cls() for cls in ALL if cls not in {type(loss) for loss in LISTED}]]
"""Examples of every loss: those above, and the default settings of any other."""

FIXED_ORDER = (GramSchmidt, Only)
"""Losses that tell components apart, by definition."""


def outputs(*leading, components=3, batch=7, classes=4, scale=2.0, seed=0, dtype=torch.float64):
    """A mini-batch with everything that a loss may read; logits, gate and signal are leaves that take gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return scale * torch.randn(*leading, *shape, generator=generator, dtype=dtype)

    return Outputs(
        normal(components, batch, classes).requires_grad_(),
        torch.randint(classes, (*leading, batch), generator=generator),
        peers=normal(components, batch, classes),
        teacher=normal(2, batch, classes),
        gate=normal(batch, components).requires_grad_(),
        signals={"tower": normal(components, batch, 5).requires_grad_()},
    )


def leaves(out):
    return out.logits, out.gate, out.signals["tower"]


def change(out, f, **others):
    """The same mini-batch with every array passed through a function."""
    return Outputs(
        **{
            "logits": f(out.logits),
            "labels": f(out.labels),
            "peers": f(out.peers),
            "teacher": f(out.teacher),
            "gate": f(out.gate),
            "signals": {name: f(signal) for name, signal in out.signals.items()},
            **others,
        }
    )


def value(loss, out):
    """The loss alone, at the first step where it has a memory."""
    if isinstance(loss, LossWithMemory):
        return loss(out, loss.init(tuple(loss.signal_of(out).shape)))[0]
    return loss(out)
