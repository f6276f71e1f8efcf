"""Sums over the processes of a data-parallel training, through which gradients flow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed import ProcessGroup, all_reduce


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group = group
        total = part.clone(memory_format=torch.contiguous_format)
        all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        all_reduce(total, group=ctx.group)
        return total, None


def sum_over_processes(part: Tensor, group: ProcessGroup) -> Tensor:
    """The sum of every process's part, the same on all of them.

    Each process's loss is then the loss of the whole batch. Its gradient with respect to the process's own part is summed over
    processes too, W times the derivative of that one loss, and the mean that DistributedDataParallel takes over W processes gives
    back Σ_r ∂L/∂θ through part r: the gradient of one process that saw everything.

    All processes must ask for the same sums in the same order. The backward sums are done before DistributedDataParallel's own
    begin, since the gradient of the logits waits for all of them.
    """
    return _Sum.apply(part, group)  # type: ignore[no-any-return, no-untyped-call]
