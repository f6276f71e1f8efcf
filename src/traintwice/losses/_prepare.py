"""Checks of what a training loop gives to `Outputs`, its one form inside, and parts of it: examples, components, positions."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from traintwice.errors import BadInput

if TYPE_CHECKING:
    from traintwice.losses._outputs import Outputs


SUM_TOLERANCE = 1e-2
"""Largest distance from 1 of a sum of probabilities, which may be in half precision."""


def looked_at(values: Tensor) -> bool:
    """Whether the content of an array may decide what is computed: elsewhere a look waits for the device, or cannot be traced."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def prepared(out: Outputs) -> dict[str, Any]:
    """Fields of `Outputs` in their one form: labels as classes (int64) or as targets of every class, weights with axis J, no NaN."""
    if not out.logits.is_floating_point():
        raise BadInput(f"Outputs: got logits of {out.logits.dtype}, expected floating point numbers")
    if out.group is None and not out.logits.shape[-2]:
        raise BadInput(f"Outputs: got logits of shape {tuple(out.logits.shape)}, without examples; leave empty batches out")
    looks = looked_at(out.logits)
    labels = _labels(out, looks)
    made: dict[str, Any] = {"labels": labels, "plain": True, "mask": None}
    for name in ("teacher_probs", "logged"):
        if (probs := getattr(out, name)) is not None:
            made[name] = _probabilities(out, name, probs)
    if made.get("teacher_probs") is not None:
        if out.teacher is not None:
            raise BadInput("Outputs: got teacher and teacher_probs, expected one: logits, or probabilities")
        made |= {"teacher": _logits_of(made["teacher_probs"], out), "teacher_probs": None}
    weights = made["weights"] = _weights(out, labels, looks)
    if not labels.is_floating_point():
        if weights is not None and out.ignored is not None:
            made["labels"] = torch.where(labels == out.ignored, 0, labels)
        if looks:
            _check_classes(made["labels"], max(out.logits.shape[-1], 2))
    unmasked = looks and not bool(out.logits.isneginf().any())
    if out.task == "classes" and out.logits.shape[-1] > 1 and not unmasked:
        made |= _masked(out, made["labels"], weights, looks)
    if weights is not None:
        made |= _without_left_out(out, made, weights)
    return made


def _labels(out: Outputs, looks: bool) -> Tensor:
    """Classes ``*M B`` or ``*M J B`` (int64), or targets ``*M B K`` or ``*M J B K`` (floats)."""
    labels, (*leading, components, batch, classes) = out.labels, out.logits.shape
    shared, own, shape = (*leading, batch), (*leading, components, batch), tuple(out.labels.shape)
    if out.task == "numbers":
        labels = labels.unsqueeze(-1) if classes == 1 and shape == shared else labels
        out.check_shape("labels", labels, (*shared, classes), (*own, classes))
        return labels.to(out.logits.dtype)
    if out.task == "multi-label":
        out.check_shape("labels", labels, (*shared, classes), (*own, classes))
        targets = labels.to(out.logits.dtype)
        if looks:
            _check_fractions("labels", targets, "one number in [0, 1] for each example and label")
        return torch.cat([1 - targets, targets], dim=-1)
    if classes == 1 and shape == (*shared, 1):
        labels, shape = labels.squeeze(-1), shared
    if not labels.is_floating_point():
        out.check_shape("labels", labels, shared, own)
        return labels.long()
    targets = labels.to(out.logits.dtype)
    if shape in (shared, own) and not (shape == own == (*shared, classes)):
        if classes > 2:
            raise BadInput(
                f"Outputs: got labels of {labels.dtype} and shape {shape} for {classes} classes, expected classes as integers, or soft "
                f"labels of shape {(*shared, classes)}"
            )
        if looks:
            _check_fractions("labels", targets, "0 and 1, or probabilities of class 1")
        return torch.stack([1 - targets, targets], dim=-1)
    out.check_shape("labels", labels, shared, own, (*shared, classes), (*own, classes))
    if looks:
        _check_distribution("labels", targets)
    return targets


def _check_classes(labels: Tensor, classes: int) -> None:
    if not labels.numel():
        return
    low, high = (int(bound) for bound in labels.aminmax())
    if low < 0 or high >= classes:
        raise BadInput(
            f"Outputs: got labels from {low} to {high}, expected classes from 0 to {classes - 1}; ignored= names the label of examples to "
            "leave out (-100)"
        )


def _check_fractions(name: str, values: Tensor, expected: str) -> None:
    if values.numel() and not bool(((values >= 0) & (values <= 1)).all()):
        low, high = (bound.item() for bound in values.detach().aminmax())
        raise BadInput(f"Outputs: got {name} from {low:g} to {high:g}, expected {expected}")


def _check_distribution(name: str, probs: Tensor) -> None:
    _check_fractions(name, probs, "probabilities of all classes")
    total = probs.detach().sum(-1)
    if total.numel() and not bool(((total - 1).abs() <= SUM_TOLERANCE).all()):
        raise BadInput(f"Outputs: got {name} whose classes sum to {total.min().item():g} to {total.max().item():g}, expected 1")


def _probabilities(out: Outputs, name: str, probs: Tensor) -> Tensor:
    """Probabilities of an earlier model, ``*M B K`` (or ``*M T B K``), with both classes of a binary network.

    They are checked on every device: logits in their place would teach something else.
    """
    *leading, _, batch, classes = out.logits.shape
    if out.task == "numbers":
        raise BadInput(
            f"Outputs.{name}: got probabilities, and the outputs are numbers; pass the numbers of the model as teacher="
        )
    probs = probs.to(out.logits.dtype if out.logits.dtype in (torch.float32, torch.float64) else torch.float32)
    if classes == 1 and tuple(probs.shape) == (*leading, batch):
        probs = probs.unsqueeze(-1)
    several = probs.shape[-3] if probs.ndim == out.logits.ndim and name == "teacher_probs" else 1
    out.check_shape(name, probs, (*leading, batch, classes), (*leading, several, batch, classes))
    binary = out.task == "multi-label" or classes == 1
    if not torch.compiler.is_compiling():
        _check_fractions(name, probs, "probabilities; logits are passed as teacher=")
        if not binary:
            _check_distribution(name, probs)
    return torch.cat([1 - probs, probs], dim=-1) if binary else probs


def _logits_of(probs: Tensor, out: Outputs) -> Tensor:
    """Logits with these probabilities."""
    if out.task == "multi-label":
        against, of = probs.chunk(2, dim=-1)
        return of.log() - against.log()
    return probs.log()


def _weights(out: Outputs, labels: Tensor, looks: bool) -> Tensor | None:
    """Weights ``*M 1 B`` or ``*M J B``; None where all examples count alike."""
    *leading, components, batch, _ = out.logits.shape
    shared, own = (*leading, batch), (*leading, components, batch)

    def with_components(values: Tensor) -> Tensor:
        return values if tuple(values.shape) == own else values.unsqueeze(-2)

    parts = []
    if out.weights is not None:
        out.check_shape("weights", out.weights, shared, own)
        parts.append(with_components(out.weights).to(out.logits.dtype))
        if looks and not bool(((parts[0] >= 0) & (parts[0] < torch.inf)).all()):
            raise BadInput("Outputs: got weights that are negative or not finite, expected numbers of at least 0")
    if out.mask is not None:
        out.check_shape("mask", out.mask, shared, own)
        if out.mask.is_floating_point():
            raise BadInput(f"Outputs: got a mask of {out.mask.dtype}, expected booleans (True: counts); pass numbers as weights=")
        parts.append(with_components(out.mask.bool()))
    if out.ignored is not None and not labels.is_floating_point():
        counts = labels != out.ignored
        if not looks or not bool(counts.all()):
            parts.append(with_components(counts))
    if not parts and out.group is not None:  # processes must take the same sums
        parts.append(torch.ones(shared, dtype=torch.bool, device=labels.device).unsqueeze(-2))
    return reduce(torch.mul, parts[1:], parts[0].to(out.logits.dtype)) if parts else None


def _masked(out: Outputs, labels: Tensor, weights: Tensor | None, looks: bool) -> dict[str, Tensor]:
    """Classes whose logit is -inf, and the logits with 0 in their places."""
    masked = out.logits.isneginf()
    if looks:
        seen = masked if weights is None else masked & (weights > 0).unsqueeze(-1)
        if bool(seen.all(-1).any()):
            raise BadInput(
                "Outputs: got an example with all classes masked (logit -inf), expected at least one class that can be"
            )
        if bool((masked != masked[..., :1, :, :]).any()):
            raise BadInput(
                "Outputs: got classes masked (logit -inf) in some components only, expected the same classes in all components"
            )
        soft = labels.is_floating_point()
        of = labels if labels.ndim == out.logits.ndim - (not soft) else labels.unsqueeze(-3 if soft else -2)
        taken = seen & (of > 0) if soft else seen.gather(-1, of.expand(masked.shape[:-1]).unsqueeze(-1))
        if bool(taken.any()):
            raise BadInput("Outputs: got a label whose class is masked (logit -inf), expected labels of classes that can be")
    return {"masked": masked, "logits": out.logits.masked_fill(masked, 0.0)}


def _without_left_out(out: Outputs, made: dict[str, Any], weights: Tensor) -> dict[str, Any]:
    """Zeros in the place of all outputs on examples of weight 0, which may be anything."""
    nothing = (weights == 0).unsqueeze(-1)
    found: dict[str, Any] = {"logits": made.get("logits", out.logits).masked_fill(nothing, 0.0)}
    if made.get("masked") is not None:
        found["masked"] = made["masked"] & ~nothing
    if out.peers is not None:
        found["peers"] = out.peers.masked_fill(nothing, 0.0)
    if out.signals is not None:
        found["signals"] = {name: signal.masked_fill(nothing, 0.0) for name, signal in out.signals.items()}
    of_all = nothing.all(-3)
    for name in ("teacher", "gate", "logged"):
        if (values := made.get(name, getattr(out, name))) is not None:
            own = of_all.unsqueeze(-3) if values.ndim == out.logits.ndim else of_all
            found[name] = values.masked_fill(own, 0.0)
    return found


IGNORED = -100
"""Label of examples that no loss reads, as in PyTorch."""


def of_examples(out: Outputs, rows: slice | Tensor) -> dict[str, Any]:
    """Fields of `Outputs` on some examples of the batch."""

    def cut(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., rows, :]

    return {
        **{name: cut(getattr(out, name)) for name in ("logits", "peers", "teacher", "gate", "logged", "masked")},
        "labels": out.labels[..., rows, :] if out.soft else out.labels[..., rows],
        "signals": None if out.signals is None else {name: cut(signal) for name, signal in out.signals.items()},
        "weights": None if out.weights is None else out.weights[..., rows],
        "shared": None,
    }


def shared_part(out: Outputs) -> dict[str, Any] | None:
    """Fields of `Outputs` on the examples that all components see; None where these are all examples."""
    if out.shared is None:
        if out.own_labels and out.components > 1:
            raise BadInput(
                "Outputs: got labels per component and no `shared`; a loss between components needs the slice of the batch that "
                "all components see (slice(None) where they see the same examples)"
            )
        return None
    found = of_examples(out, out.shared)
    if found["logits"].shape[-2] == 0:
        raise BadInput(f"Outputs.shared: {out.shared} leaves none of {out.logits.shape[-2]} examples, expected at least one")
    if out.own_labels:
        found["labels"] = found["labels"].select(-3 if out.soft else -2, 0)
    if out.weights is not None:
        found["weights"] = of_all_components(found["weights"]).unsqueeze(-2)
    return found


def parts_of_components(out: Outputs, components: tuple[int, ...]) -> dict[str, Any]:
    """Fields of `Outputs` that differ between components, of some of them."""
    if not set(components) <= set(range(out.components)):
        raise BadInput(f"Outputs.select: got components {components} of {out.components}, counted from 0")
    which = list(components)

    def chosen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., which, :, :]

    labels, weights = out.labels, out.weights
    if out.own_labels:
        labels = labels[..., which, :, :] if out.soft else labels[..., which, :]
    return {
        **{name: chosen(getattr(out, name)) for name in ("logits", "peers", "masked")},
        "labels": labels,
        "gate": None if out.gate is None else out.gate[..., which],
        "signals": None if out.signals is None else {name: chosen(signal) for name, signal in out.signals.items()},
        "weights": weights if weights is None or weights.shape[-2] == 1 else weights[..., which, :],
    }


def of_all_components(weights: Tensor) -> Tensor:
    """Weights ``*M B`` that all components have, of weights ``*M 1 B`` or ``*M J B``."""
    if weights.shape[-2] > 1 and looked_at(weights) and bool((weights != weights[..., :1, :]).any()):
        raise BadInput(
            "Outputs: got weights, a mask or labels to leave out that differ between components, and a loss between components; expected "
            "the same for all components, *M B"
        )
    return weights[..., 0, :]


def weights_like(weights: Tensor, values: Tensor, dim: int) -> Tensor:
    """Weights ``*M 1 B`` or ``*M J B`` with the axes of values whose axis ``dim`` is the batch, with or without components."""
    like = weights if values.ndim + dim == weights.ndim - 1 else of_all_components(weights)
    return like.to(values.dtype)[(..., *[None] * (-1 - dim))]


def not_zero(weights: Tensor) -> Tensor:
    """Sums of weights, with 1 for 0."""
    return torch.where(weights == 0, 1, weights)


def positions(logits: Tensor, labels: Tensor, **others: Any) -> dict[str, Any]:
    """Fields of `Outputs` with an example for each position of sequences that counts, see `Outputs.of_sequences`.

    Without any such position one is kept, with weight 0.
    """
    batch, (*_, classes) = tuple(logits.shape[1:-1]), logits.shape
    soft = labels.ndim == logits.ndim - 1
    if logits.ndim < 4 or tuple(labels.shape) not in (batch, (*batch, classes)):
        raise BadInput(
            f"Outputs.of_sequences: got logits {tuple(logits.shape)} with labels {tuple(labels.shape)}, expected (J, B, T, K) with labels "
            "(B, T), one for each position"
        )
    for name in ("gate", "signals", "shared"):
        if others.get(name) is not None:
            raise BadInput(f"Outputs.of_sequences: got {name}, which the positions of sequences do not have")
    kept = torch.ones(batch, dtype=torch.bool, device=logits.device)
    for name in ("mask", "weights"):
        values = others.get(name)
        if values is not None:
            values = values.view(-1, *[1] * (len(batch) - 1)) if values.ndim == 1 else values
            others[name] = values.expand(batch)
            if name == "mask":
                kept = kept & values.bool()
    others.pop("mask", None)
    ignored = others.get("ignored", IGNORED)
    if ignored is not None and not soft:
        kept = kept & (labels != ignored)
    if not bool(kept.any()):
        kept = torch.zeros_like(kept)
        kept.view(-1)[0] = True
        others["mask"] = torch.zeros(batch, dtype=torch.bool, device=logits.device)
    for name in ("mask", "weights"):
        if others.get(name) is not None:
            others[name] = others[name][kept]
    for name in ("peers", "teacher", "teacher_probs", "logged"):
        values = others.get(name)
        if values is not None:
            several = values.ndim - logits.ndim + 1
            others[name] = values[(slice(None),) * several + (kept,)]
    return {**others, "logits": logits[:, kept], "labels": labels[kept]}


def allowed_classes(out: Outputs) -> int | Tensor:
    """Number of classes that are not masked: K, or ``*M J B``."""
    return out.logits.shape[-1] if out.masked is None else (~out.masked).sum(-1)


def mean_over_classes(out: Outputs, values: Tensor) -> Tensor:
    """Mean over the classes that are not masked, whose values are 0 where they are."""
    return values.mean(-1) if out.masked is None else values.sum(-1) / allowed_classes(out)
