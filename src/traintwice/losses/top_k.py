"""The part of the predictions that the top-k variants of the regularisers read."""

from __future__ import annotations

from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs


def check_top_k(loss: str, top_k: int | None, renormalise: bool) -> None:
    """Raise `BadSpec` where the options of a loss contradict each other."""
    if top_k is None:
        if not renormalise:
            raise BadSpec(f"{loss}: got renormalise=False without top_k; all K predictions sum to one already")
    elif top_k < 1 + renormalise:
        raise BadSpec(
            f"{loss}.top_k: got {top_k}, expected at least {1 + renormalise}: one prediction, renormalised, is always 1"
        )


def largest(loss: str, out: Outputs, top_k: int | None, renormalise: bool) -> tuple[Tensor, int]:
    """Logarithms of the k largest predictions, ``*M J B k``, and how many predictions the uniform distribution covers.

    Raises:
        BadSpec: k is not below the number of classes: a switch that changes nothing.
    """
    classes = out.logits.shape[-1]
    if top_k is None:
        return out.log_probs, classes
    if top_k >= classes:
        raise BadSpec(
            f"{loss}.top_k: got {top_k} for {classes} classes, expected fewer than the classes; leave it out to read all"
        )
    top = out.log_probs.topk(top_k, dim=-1).values
    return (top.log_softmax(-1), top_k) if renormalise else (top, classes)


def top_k_cautions(loss: str, top_k: int | None, classes: int | None) -> tuple[str, ...]:
    """What to say before training starts."""
    if top_k is None or classes is None or top_k < classes:
        return ()
    return (f"{loss}: top_k={top_k} with {classes} classes is refused at the first step; it must be below the number of classes",)
