"""Passes recorded on a GPU as graphs of kernels, and replayed without Python in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from traintwice.engine.stacked.logits import Seen

Pass = Callable[[Seen], Tensor]
"""Work on buffers that stay where they are, which returns the same buffer each time."""


@dataclass
class _Graph:
    """For one size of batch: what the losses read, in place; and the recorded work with what it gives."""

    seen: Seen
    graph: torch.cuda.CUDAGraph | None = None
    values: Tensor | None = None


class Recorded:
    """Runs a pass as it is the first time, when much is made that is made once; records it the second time, and replays it from then on.

    Source:
        torch.cuda.CUDAGraph: a first run on another stream, then the capture. Everything that a pass changes, it changes in place.
    """

    def __init__(self) -> None:
        self._graphs: dict[int, _Graph] = {}

    def __call__(self, batch: int, seen: Seen, work: Pass) -> Tensor:
        """What the pass gives for a mini-batch of a size.

        Args:
            batch: B.
            seen: what the losses read; copied to where the recorded pass reads it.
            work: the pass.
        """
        found = self._graphs.get(batch)
        if found is None:
            found = self._graphs[batch] = _Graph(_copy(seen))
            return _beside(work, found.seen)
        found.seen.labels.copy_(seen.labels)
        if found.seen.teacher is not None and seen.teacher is not None:
            found.seen.teacher.copy_(seen.teacher)
        if found.graph is None or found.values is None:
            found.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(found.graph):
                found.values = work(found.seen)
        found.graph.replay()
        return found.values


def _copy(seen: Seen) -> Seen:
    return replace(seen, labels=seen.labels.clone(), teacher=None if seen.teacher is None else seen.teacher.clone())


def _beside(work: Pass, seen: Seen) -> Tensor:
    """Run on another stream, as what is recorded later must have been."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        values = work(seen)
    torch.cuda.current_stream().wait_stream(side)
    return values
