"""Parts of `Outputs` that several losses read: a named signal, a teacher, the k largest predictions."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Need, ends
from traintwice.losses._outputs import Outputs
from traintwice.losses._prepare import looked_at
from traintwice.losses._probabilities import at_least_single, probs_of
from traintwice.schedules import Weight

Center: TypeAlias = Literal["none", "class"]
"""Whether to subtract from each component's signal its mean over classes, which softmax ignores."""

OUTPUTS = ("logits", "probabilities")
"""Signals of every network. Other names are those of sub-networks."""

GAUGE = (
    "softmax ignores a number added to all logits of a component, so this term on logits can fall with no change of any probability; "
    "center='class' prevents this (a network of a single logit needs no centering)"
)


def check_signal(loss: str, signal: str, center: str) -> None:
    """Raise `BadSpec` where settings of a loss contradict each other."""
    if not signal:
        raise BadSpec(f"{loss}.signal: got '', expected 'logits', 'probabilities' or the name of a sub-network's output")
    if center not in ("none", "class"):
        raise BadSpec(f"{loss}.center: got {center!r}, expected one of 'none', 'class'")
    if center == "class" and signal not in OUTPUTS:
        raise BadSpec(f"{loss}.center: got 'class' for the signal {signal!r}, whose entries are not classes; set 'none'")


def in_words(signal: str) -> str:
    """A signal in the words of a message.

    >>> in_words("logits"), in_words("0")
    ('the logits', "the outputs of '0'")
    """
    return f"the {signal}" if signal in OUTPUTS else f"the outputs of {signal!r}"


def needs_of(signal: str) -> frozenset[Need]:
    """What a trainer has to supply for a signal."""
    return frozenset() if signal in OUTPUTS else frozenset({"signals"})


def read_signal(out: Outputs, signal: str, center: str) -> Tensor:
    """A signal in at least float32, ``*M J B D``.

    Raises:
        BadInput: the signal is missing.
    """
    if signal == "logits":
        values = at_least_single(out.logits)
    elif signal == "probabilities":
        values = out.probs if out.task == "classes" else out.probs.chunk(2, dim=-1)[1]
    elif out.signals is not None and signal in out.signals:
        values = at_least_single(out.signals[signal])
    else:
        present = ", ".join(map(repr, out.signals or ())) or "none"
        raise BadInput(
            f"Outputs.signals: a loss reads {signal!r}, got {present}; pass signals={{{signal!r}: tensor of *M J B D}}"
        )
    if center != "class":
        return values
    centred = values - mean_over_classes(out, values).unsqueeze(-1)
    return centred if out.masked is None else centred.masked_fill(out.masked, 0.0)


def without_masked(out: Outputs, values: Tensor, signal: str, loss: str) -> Tensor:
    """A centred signal with 0 for masked classes.

    Raises:
        BadInput: other classes are masked in other examples, so that a class has no mean over the batch.
    """
    if out.masked is None or signal not in OUTPUTS:
        return values
    if looked_at(out.masked) and bool((out.masked != out.masked[..., :1, :]).any()):
        raise BadInput(f"{loss}: got other masked classes in other examples, expected the same; take matrix='second-moment'")
    return values.masked_fill(out.masked, 0.0)


def allowed_classes(out: Outputs) -> int | Tensor:
    """Number of classes that are not masked: K, or ``*M J B``."""
    return out.logits.shape[-1] if out.masked is None else (~out.masked).sum(-1)


def mean_over_classes(out: Outputs, values: Tensor) -> Tensor:
    """Mean over the classes that are not masked, whose values are 0 where they are."""
    return values.mean(-1) if out.masked is None else values.sum(-1) / allowed_classes(out)


Average: TypeAlias = Literal["prob", "logit"]
"""How several models are averaged: the mean of their probabilities, or the softmax of the mean of their logits."""


def check_average(loss: str, average: str) -> None:
    """Raise `BadSpec` for an unknown average."""
    if average not in ("prob", "logit"):
        raise BadSpec(f"{loss}.average: got {average!r}, expected one of 'prob', 'logit'")


def check_fraction(name: str, weight: Weight) -> None:
    """Raise `BadSpec` for a weight outside [0, 1]."""
    if not all(0 <= value <= 1 for value in ends(weight)):
        raise BadSpec(f"{name}: got {weight}, expected a number from 0 to 1, or a schedule within that range")


def check_temperature(loss: str, temperature: float) -> None:
    """Raise `BadSpec` for a temperature that is not positive."""
    if not temperature > 0:
        raise BadSpec(f"{loss}.temperature: got {temperature}, expected a number greater than 0")


def teacher_probs(loss: str, out: Outputs, temperature: float = 1.0, average: Average = "prob") -> Tensor:
    """Probabilities of the teacher at a temperature, ``*M 1 B K``; a constant.

    Raises:
        BadInput: the teacher is missing.
    """
    logits = _teacher(loss, out) / temperature
    if average == "logit":
        return probs_of(logits.mean(-3, keepdim=True), out.task)
    return probs_of(logits, out.task).mean(-3, keepdim=True)


def mean_of_teachers(loss: str, out: Outputs) -> Tensor:
    """Mean of the numbers of the teachers of a regression, ``*M 1 B K``."""
    return _teacher(loss, out).mean(-3, keepdim=True)


def _teacher(loss: str, out: Outputs) -> Tensor:
    if out.teacher is None:
        raise BadInput(
            f"Outputs.teacher: got none, and {loss} needs the logits of a teacher, *M B K; pass probabilities as teacher_probs="
        )
    logits = at_least_single(out.teacher.detach())
    return logits.unsqueeze(-3) if logits.ndim < out.logits.ndim else logits


def old_probs(loss: str, out: Outputs, temperature: float = 1.0) -> Tensor:
    """Probabilities of the old model at a temperature, ``*M 1 B K``: those logged, else those of the teacher.

    Raises:
        BadInput: there is neither.
    """
    if out.logged is None:
        if out.teacher is None:
            raise BadInput(
                f"Outputs.teacher: got none, and {loss} needs an old model: its logged probabilities as logged=, *M B K, or its logits as "
                "teacher="
            )
        return teacher_probs(loss, out, temperature)
    logged = at_least_single(out.logged.detach()).unsqueeze(-3)
    if temperature == 1:
        return logged
    powers = logged.pow(1 / temperature)
    return powers / powers.sum(-1, keepdim=True)


def kl_from(teacher: Tensor, log_student: Tensor, out: Outputs) -> Tensor:
    """KL(teacher ‖ student) of each example; classes with teacher probability 0 add 0, masked ones without it are infinite."""
    entropies: Tensor = torch.special.entr(teacher)
    if out.masked is not None:
        log_student = log_student.masked_fill(out.masked & (teacher > 0), -torch.inf)
    return -(entropies + teacher * log_student).sum(-1)


def check_top_k(loss: str, top_k: int | None, renormalise: bool) -> None:
    """Raise `BadSpec` where settings of a loss contradict each other."""
    if top_k is None:
        if not renormalise:
            raise BadSpec(f"{loss}: got renormalise=False without top_k; all K predictions already sum to one")
    elif top_k < 1 + renormalise:
        raise BadSpec(
            f"{loss}.top_k: got {top_k}, expected at least {1 + renormalise}: a single renormalised prediction is always 1"
        )


def largest(loss: str, out: Outputs, top_k: int | None, renormalise: bool) -> tuple[Tensor, int | Tensor]:
    """Logarithms of the k largest predictions, ``*M J B k``, and the number of classes that can be.

    Raises:
        BadSpec: k is not below the number of classes, so that it has no effect.
    """
    classes = out.logits.shape[-1]
    if top_k is None:
        return out.log_probs, allowed_classes(out)
    out.expect_classes(f"{loss}(top_k={top_k})")
    if top_k >= classes:
        raise BadSpec(
            f"{loss}.top_k: got {top_k} for {classes} classes, expected fewer than the classes; leave top_k out to read all classes"
        )
    log_probs = out.log_probs
    if out.masked is not None:
        if looked_at(out.masked) and bool(((~out.masked).sum(-1) < top_k).any()):
            raise BadInput(f"{loss}.top_k: got {top_k}, expected at most the number of classes that are not masked (logit -inf)")
        log_probs = log_probs.masked_fill(out.masked, -torch.inf)
    top = log_probs.topk(top_k, dim=-1).values
    return (top.log_softmax(-1), top_k) if renormalise else (top, allowed_classes(out))


def top_k_cautions(loss: str, top_k: int | None, classes: int | None) -> tuple[str, ...]:
    """Warnings for the user about ``top_k``."""
    if top_k is None or classes is None or top_k < classes:
        return ()
    return (
        f"{loss}: top_k={top_k} with {classes} classes raises an error at the first step; top_k must be below the number of classes",
    )
