import numpy as np
import pytest
import torch
from by_hand import close, value

from traintwice.errors import BadInput, BadSpec
from traintwice.losses import (
    Agreement,
    Anchor,
    CrossEntropy,
    CrossEntropyDifference,
    Decorrelation,
    Difference,
    Distillation,
    Entropy,
    FocalDistillation,
    GramSchmidt,
    LabelSmoothing,
    LoggedDistillation,
    Only,
    Outputs,
    PeerCrossEntropy,
    RunningDecorrelation,
    SymmetricKLToUniform,
)
from traintwice.methods import anti_distillation_difference, entropy_regulariser, symmetric_kl_regulariser
from traintwice.metrics import surrogate_churn
from traintwice.schedules import Jump, Ramp


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelSmoothing(1.0), r"expected a number in \[0, 1\)"),
        (lambda: Entropy(renormalise=False), "without top_k"),
        (lambda: Entropy(top_k=1), "expected at least 2"),
        (lambda: SymmetricKLToUniform(cap=0.0), "greater than 0"),
        (lambda: PeerCrossEntropy(-1), "expected 0 or more"),
        (lambda: Decorrelation(center="batch"), "expected one of 'none', 'class'"),
        (lambda: Decorrelation(signal="tower", center="class"), "whose entries are not classes"),
        (lambda: Decorrelation(signal=""), "the name of a sub-network's output"),
        (lambda: GramSchmidt(epsilon=0.0), "greater than 0"),
        (lambda: Difference("minus"), "expected one of 'negative', 'inverse'"),
        (lambda: Difference(power=0.5), "expected at least 1"),
        (lambda: CrossEntropyDifference(epsilon=-1.0), "greater than 0"),
        (lambda: Distillation(0.0), "greater than 0"),
        (lambda: Distillation(average="mean"), "expected one of 'prob', 'logit'"),
        (lambda: LoggedDistillation(1.5), "from 0 to 1"),
        (lambda: LoggedDistillation(Ramp(1.5, epochs=1)), "a schedule within that range"),
        (lambda: LabelSmoothing(Jump(1.0, steps=3)), r"expected a number in \[0, 1\)"),
        (lambda: Anchor(epsilon=-0.1), "Anchor.epsilon: got -0.1, expected a number from 0 to 1"),
        (lambda: FocalDistillation(0.0, -1.0), "expected both at least 0"),
        (lambda: Only(CrossEntropy(), ()), "at least one"),
        (lambda: Only(CrossEntropy(), (0, 0)), "none twice"),
        (lambda: Only(RunningDecorrelation(), (0, 1)), "which has a memory"),
        (lambda: RunningDecorrelation(1.0), r"expected a number in \[0, 1\)"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(BadSpec, match=message):
        make()


def test_unknown_options():
    with pytest.raises(BadSpec, match="got 'cov', expected one of 'second-moment', 'covariance', 'residue'"):
        Decorrelation("cov")
    for _ in range(2):  # types that fit are remembered, values are not
        with pytest.raises(BadSpec, match="expected one of 'skl', 'l1', 'ce'"):
            Agreement("kl")
        assert Agreement("l1").kind == "l1"
    with pytest.raises(BadSpec, match=r"Outputs.task: got 'ranks', expected one of 'classes', 'multi-label', 'numbers'"):
        Outputs(torch.zeros(1, 2, 3), torch.zeros(2), task="ranks")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def out_of(logits):
    return Outputs(logits, torch.arange(logits.shape[-2]) % logits.shape[-1])


def said(method, words):
    return any(words in sentence for sentence in method.warnings(classes=10))


@pytest.mark.parametrize("loss", [Difference(), Difference(power=1.0), CrossEntropyDifference(), SymmetricKLToUniform()])
def test_d4_unbounded_below(loss):
    logits = normal(2, 9, 3)
    values = [loss(out_of(c * logits)).item() for c in (1, 10, 100, 1000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 100 * values[0] < 0


@pytest.mark.parametrize(
    ("loss", "floor"),
    [
        (Difference(signal="probabilities"), -2.0),
        (Difference("inverse"), 0.0),
        (CrossEntropyDifference("inverse"), 0.0),
        (SymmetricKLToUniform(cap=1.5), -3.0),
        (Entropy(), 0.0),
    ],
)
def test_d4_bounded_forms(loss, floor):
    logits = normal(2, 9, 3)
    assert min(loss(out_of(c * logits)).item() for c in (0.1, 1, 10, 100, 1000)) >= floor


def test_d4_is_said():
    assert said(anti_distillation_difference(signal="logits"), "unbounded below")
    assert not said(anti_distillation_difference(signal="probabilities"), "unbounded below")
    assert not said(anti_distillation_difference(signal="logits", form="inverse"), "unbounded below")
    assert said(symmetric_kl_regulariser(), "unbounded below")
    assert not said(symmetric_kl_regulariser(cap=2.0), "unbounded below")
    assert said(entropy_regulariser(top_k=10), "top_k=10 with 10 classes raises an error")
    assert not said(entropy_regulariser(top_k=9), "refused")


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_alpha_of_surrogate_churn_is_an_inverse_temperature(alpha):
    """SChurn_α(f) = SChurn_1(softmax(α · logits)): what a loss does to the scale of the logits moves it, with no label changed."""
    logits = normal(4, 30, 5)
    sharpened = surrogate_churn((alpha * logits).softmax(-1).numpy())
    assert surrogate_churn(logits.softmax(-1).numpy(), alpha=alpha) == pytest.approx(sharpened)


@pytest.mark.parametrize("loss", [CrossEntropy(), Entropy(), Agreement(), Difference(), SymmetricKLToUniform(top_k=2)])
def test_one_example_repeated_is_one_example(loss):
    logits = normal(2, 1, 3)
    many = Outputs(logits.expand(2, 8, 3), torch.zeros(8, dtype=torch.int64))
    torch.testing.assert_close(loss(many), loss(Outputs(logits, torch.zeros(1, dtype=torch.int64))))


def test_only_some_components(batch):
    logits, labels = batch
    last = len(logits) - 1
    assert value(Only(CrossEntropy(), (last,)), logits, labels) == close(value(CrossEntropy(), logits[last:], labels))
    with pytest.raises(BadInput, match="counted from 0"):
        value(Only(CrossEntropy(), (last + 1,)), logits, labels)


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
