"""Parts of `Outputs`: shared examples, some components, positions of sequences; weights in the shape of other values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from traintwice.errors import BadInput

if TYPE_CHECKING:
    from traintwice.losses._outputs import Outputs

IGNORED = -100
"""Label of examples that no loss reads, as in PyTorch."""


def shared_part(out: Outputs) -> dict[str, Any] | None:
    """Fields of `Outputs` on the examples that all components see; None where these are all examples."""
    if out.shared is None:
        if out.own_labels and out.components > 1:
            raise BadInput(
                "Outputs: got labels per component and no `shared`; a loss between components needs the slice of the batch that "
                "all components see (slice(None) where they see the same examples)"
            )
        return None

    def cut(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., out.shared, :]

    first = out.labels.select(-3 if out.soft else -2, 0) if out.own_labels else out.labels
    labels = first[..., out.shared, :] if out.soft else first[..., out.shared]
    if labels.shape[-1 - out.soft] == 0:
        raise BadInput(f"Outputs.shared: {out.shared} leaves none of {out.logits.shape[-2]} examples, expected at least one")
    return {
        **{name: cut(getattr(out, name)) for name in ("logits", "peers", "teacher", "gate", "logged", "masked")},
        "labels": labels,
        "signals": None if out.signals is None else {name: cut(signal) for name, signal in out.signals.items()},
        "weights": None if out.weights is None else out.weights[..., :1, out.shared],
        "shared": None,
    }


def parts_of_components(out: Outputs, components: tuple[int, ...]) -> dict[str, Any]:
    """Fields of `Outputs` that differ between components, of some of them."""
    if not set(components) <= set(range(out.components)):
        raise BadInput(f"Outputs.select: got components {components} of {out.components}, counted from 0")
    which = list(components)

    def chosen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., which, :, :]

    weights = out.weights
    labels = out.labels
    if out.own_labels:
        labels = labels[..., which, :, :] if out.soft else labels[..., which, :]
    return {
        **{name: chosen(getattr(out, name)) for name in ("logits", "peers", "masked")},
        "labels": labels,
        "gate": None if out.gate is None else out.gate[..., which],
        "signals": None if out.signals is None else {name: chosen(signal) for name, signal in out.signals.items()},
        "weights": weights if weights is None or weights.shape[-2] == 1 else weights[..., which, :],
    }


def weights_like(weights: Tensor, values: Tensor, dim: int) -> Tensor:
    """Weights ``*M 1 B`` or ``*M J B`` with the axes of values whose axis ``dim`` is the batch, with or without components."""
    like = weights if values.ndim + dim == weights.ndim - 1 else weights[..., 0, :]
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
