"""Sums over processes that share a mini-batch, with their gradient."""

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
    """The sum of a part over all processes; every process gets the same sum.

    The loss of each process is then the loss of the whole batch. The backward pass also sums over the W processes, which gives W times
    the derivative; DistributedDataParallel then takes the mean over W processes. The result is the gradient of one process with the
    whole batch.

    All processes must call this for the same sums in the same order.
    """
    return _Sum.apply(part, group)  # type: ignore[no-any-return, no-untyped-call]
