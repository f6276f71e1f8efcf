import numpy as np
import pytest
from by_hand import close, components_and_examples, kl, softmax, value

from traintwice.losses import (
    Anchor,
    Distillation,
    FocalDistillation,
    LoggedDistillation,
)


def averaged(teachers, temperature, average):
    if average == "logit":
        return softmax(teachers.mean(0) / temperature)
    return softmax(teachers / temperature).mean(0)


@pytest.mark.parametrize("average", ["prob", "logit"])
def test_distillation(batch, average):
    logits, labels = batch
    teachers = np.random.default_rng(9).normal(size=(3, *logits.shape[1:])) * 2
    teacher, student = averaged(teachers, 2.5, average), softmax(logits / 2.5)
    by_hand = 2.5**2 * sum(kl(teacher[b], student[j, b]) for j, b in components_and_examples(logits)) / logits.shape[1]
    assert value(Distillation(2.5, average), logits, labels, teacher=teachers) == close(by_hand)


def test_one_teacher_needs_no_axis(batch):
    logits, labels = batch
    teachers = np.random.default_rng(9).normal(size=(1, *logits.shape[1:]))
    for loss in (Distillation(), LoggedDistillation(), Anchor(), FocalDistillation()):
        assert value(loss, logits, labels, teacher=teachers) == close(value(loss, logits, labels, teacher=teachers[0]))
