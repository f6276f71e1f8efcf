"""CUDA graphs of a group's passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from traintwice.engine.groups.logits import LossInputs


@dataclass
class _Graph:
    """Inputs, graph and result of a pass for one size of mini-batch; they keep their memory."""

    seen: LossInputs
    graph: torch.cuda.CUDAGraph | None = None
    values: Tensor | None = None


class CapturedPass:
    """Warms up on the first call for a size of mini-batch, captures a CUDA graph on the second, then replays it."""

    def __init__(self) -> None:
        self._graphs: dict[int, _Graph] = {}

    def __call__(self, batch: int, seen: LossInputs, work: Callable[[LossInputs], Tensor]) -> Tensor:
        """Result of a pass that changes all memory in place."""
        found = self._graphs.get(batch)
        if found is None:
            teacher = None if seen.teacher is None else seen.teacher.clone()
            found = self._graphs[batch] = _Graph(replace(seen, labels=seen.labels.clone(), teacher=teacher))
            return _on_another_stream(work, found.seen)
        found.seen.labels.copy_(seen.labels)
        if found.seen.teacher is not None and seen.teacher is not None:
            found.seen.teacher.copy_(seen.teacher)
        if found.graph is None or found.values is None:
            found.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(found.graph):
                found.values = work(found.seen)
        found.graph.replay()
        return found.values


def _on_another_stream(work: Callable[[LossInputs], Tensor], seen: LossInputs) -> Tensor:
    """Run a pass on a CUDA stream of its own, as a warm-up must be."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        values = work(seen)
    torch.cuda.current_stream().wait_stream(side)
    return values
