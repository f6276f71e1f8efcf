"""A group of fully connected networks that are trained together by hand-written passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from traintwice.engine.stacked.layout import LANES, Layout, layout_of, rounded_up
from traintwice.engine.stacked.logits import Seen
from traintwice.engine.stacked.network import Bound, Passes
from traintwice.engine.stacked.together import Together
from traintwice.engine.stacked.updating import Update, descent_of
from traintwice.engine.state import State, copied
from traintwice.methods import Memories


class Group(Together):
    """R replicas of a fully connected network, by hand-written passes."""

    layout: Layout

    def _layout(self) -> Layout:
        return layout_of(self.template)

    def _begin(self) -> None:
        self.drops = any(layer.rate for layer in self.layout.layers)
        self.norms = [layer.norm for layer in self.layout.layers if layer.norm is not None]
        self.widths = [layer.fan_out for layer in self.layout.layers if layer.norm is not None]
        where: Any = {"dtype": self.dtype, "device": self.device.torch_device}
        self.running = [torch.zeros(2, self.size, rounded_up(width, LANES), **where) for width in self.widths]
        self.tracked = 0
        self._sized: dict[int, tuple[Passes, Bound]] = {}

    def _take(self, network: nn.Module, row: int) -> None:
        state = network.state_dict()
        for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
            running[0, row, :width] = state[f"{norm.name}.running_mean"]
            running[1, row, :width] = state[f"{norm.name}.running_var"]
            self.tracked = int(state[f"{norm.name}.num_batches_tracked"])

    def _update(self) -> Update:
        self.descent = None if self.device.on_gpu else descent_of(self.recipe)
        updated = [block.index for block in self.layout.blocks() if self.descent is None or len(block.shape) == 1]
        return Update(self.recipe.optimizer_of(0), [self.parameters[i] for i in updated], [self.gradients[i] for i in updated])

    def _passes(self, batch: int) -> Passes:
        if batch not in self._sized:
            passes = Passes(self.layout, **self._settings(batch))
            self._sized[batch] = passes, Bound(passes, self.parameters, self.gradients)
        return self._sized[batch][0]

    def _draw(self, passes: Passes, step: int) -> None:
        if self.drops:
            passes.draw(self._streams(step, self.replicas))

    def _peer_logits(self, passes: Passes, older: list[nn.Parameter]) -> Tensor:
        Bound(passes, older).forward()
        return passes.by_replica(passes.logits).mT.clone()

    def _count(self) -> None:
        self.tracked += bool(self.norms)

    def _pass(self, passes: Passes, seen: Seen, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        network = self._sized[passes.batch][1]
        network.forward()
        if self.norms:
            self._follow(passes)
        remembered, values = self.loss.write(passes, seen, step, self.memories)
        if self.descent is None:
            network.backward()
        else:
            rate = self.descent.lr * factor
            network.backward(rate, 1.0 - rate * self.descent.weight_decay)
        return remembered, values

    def _follow(self, passes: Passes) -> None:
        """The running statistics of the batch normalisations move towards those of a mini-batch."""
        for norm, running, seen in zip(self.norms, self.running, passes.statistics, strict=True):
            unbiased = passes.batch / (passes.batch - 1)
            running.mul_(1 - norm.momentum)
            running[0].add_(seen.mean[0], alpha=norm.momentum)
            running[1].add_(seen.variance[0], alpha=norm.momentum * unbiased)

    def _kept(self, row: int) -> dict[str, Tensor]:
        kept = {}
        for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
            kept[f"{norm.name}.running_mean"] = running[0, row, :width]
            kept[f"{norm.name}.running_var"] = running[1, row, :width]
            kept[f"{norm.name}.num_batches_tracked"] = torch.tensor(self.tracked)
        return kept

    def _kept_state(self, rows: slice) -> State:
        running = {f"running.{i}": copied(running[:, rows]) for i, running in enumerate(self.running)}
        return {"tracked": torch.tensor(self.tracked), **running}

    def _restore_kept(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        self.tracked = int(states[0]["tracked"])
        for i, running in enumerate(self.running):
            running.copy_(torch.cat([state[f"running.{i}"] for state in states], dim=1))
