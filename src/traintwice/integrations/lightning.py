"""Methods as a LightningModule."""

from __future__ import annotations

from typing import Any

from traintwice.errors import BadInput, require

for _module in ("torch", "lightning"):
    require(_module, extra="lightning", purpose="traintwice.integrations.lightning")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from lightning import LightningModule  # noqa: E402
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from traintwice.engine import Deployed  # noqa: E402
from traintwice.integrations.components import Components, _arguments_of  # noqa: E402
from traintwice.methods import Method  # noqa: E402

__all__ = ["MethodModule"]


class MethodModule(LightningModule):  # type: ignore[misc]
    """J networks trained with a method by Lightning. Subclass it and define `make`.

    Args:
        method: what to minimise; ramps in epochs are resolved when training starts.
        seed, gate: see `traintwice.integrations.components.Components`.

    Override `configure_optimizers` (Adam with learning rate 1e-3), `unpack` for batches other than (inputs, labels), and any step. What
    `make` reads must be set before ``super().__init__``.

    - Logs: ``train_loss`` and each weighted term as ``train_<name>``, ``val_loss``, ``val_accuracy`` of the kept output; with any logger.
    - Checkpoints hold all networks, the step, the memories of the losses and the copies of stale peers.
    - ``gradient_clip_val`` clips each network by itself, so that components do not mix.
    - With several processes (DDP) the loss is that of the whole batch.

    Attributes:
        components: the networks and their loss.
    Raises:
        BadInput: at the start of training, a strategy other than one device or DDP. MissingExtra: Lightning is not installed (on import).
    Source:
        Ours.
    Example:
        >>> from traintwice.methods import co_distillation
        >>> class Linear(MethodModule):
        ...     def make(self):
        ...         return nn.Linear(4, 3)
        >>> model = Linear(co_distillation(), seed=0)
        >>> model.components(torch.zeros(5, 4)).shape, model.deployed()(torch.zeros(5, 4)).shape
        (torch.Size([2, 5, 3]), torch.Size([5, 3]))
    """

    def __init__(self, method: Method, *, seed: int | None = None, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.components = Components(self.make, method, seed=seed, gate=gate)

    def make(self) -> nn.Module:
        """Build one network, from a batch of inputs to logits; called J times."""
        raise NotImplementedError("define make() in a subclass of MethodModule")

    def unpack(self, batch: Any) -> tuple[Any, Tensor, Tensor | None]:
        """Inputs, labels, and the teacher's logits or None, of a batch that is (inputs, labels) or (inputs, labels, teacher)."""
        inputs, labels, *rest = batch
        return inputs, labels, rest[0] if rest else None

    def configure_optimizers(self) -> Any:
        """Adam over all networks."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    def on_train_start(self) -> None:
        """Resolve ramps in epochs; find the processes that share a batch."""
        trainer = self.trainer
        if not isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
            raise BadInput(f"MethodModule: got strategy {type(trainer.strategy).__name__}, expected a single device or DDP")
        self.components.group = dist.group.WORLD if trainer.world_size > 1 else None
        if trainer.num_training_batches != float("inf"):
            per_epoch = -(-int(trainer.num_training_batches) // trainer.accumulate_grad_batches)
            total = trainer.estimated_stepping_batches
            self.components.resolve(max(per_epoch, 1), None if total == float("inf") else int(total))

    def on_train_end(self) -> None:
        """Forget the processes, which may end with the training."""
        self.components.group = None

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The method's loss. Its terms are logged where the trainer writes logs, and at the end of an epoch."""
        trainer = self.trainer
        inputs, labels, teacher = self.unpack(batch)
        loss = self.components.loss(inputs, labels, step=trainer.global_step, teacher=teacher)
        self.log("train_loss", loss, prog_bar=True)
        if (trainer.global_step + 1) % max(trainer.log_every_n_steps, 1) == 0 or trainer.is_last_batch:
            self.log_dict({f"train_{name}": value for name, value in self.components.terms.items()})
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Loss and accuracy of the kept output."""
        inputs, labels, teacher = self.unpack(batch)
        loss = self.components.loss(inputs, labels, step=self.trainer.global_step, teacher=teacher)
        probs = self._probs(inputs)
        classes = _classes_of(labels, probs)
        right = (probs.argmax(-1) == classes)[classes >= 0]
        count = {"batch_size": max(right.numel(), 1), "sync_dist": True}
        self.log("val_loss", loss, prog_bar=True, **count)
        self.log("val_accuracy", right.float().mean(), prog_bar=True, **count)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities of the kept output, ``B K``; batches hold inputs alone or inputs and labels."""
        return self._probs(batch[0] if isinstance(batch, list | tuple) else batch)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip each network, and the gate, by itself."""
        if not gradient_clip_val:
            return
        for part in (*self.components.networks, *([self.components.gate] if self.components.gate is not None else [])):
            if gradient_clip_algorithm == "value":
                nn.utils.clip_grad_value_(part.parameters(), gradient_clip_val)
            else:
                nn.utils.clip_grad_norm_(part.parameters(), gradient_clip_val)

    def deployed(self) -> Deployed:
        """A copy of what the method keeps, as one module from inputs to probabilities."""
        return self.components.deployed()

    def _probs(self, inputs: Any) -> Tensor:
        own, named = _arguments_of(inputs)
        gate = None if self.components.gate is None else self.components.gate(own[0].flatten(1))
        return self.components.probs(self.components(*own, **named), gate)


def _classes_of(labels: Tensor, probs: Tensor) -> Tensor:
    """The class of each example, of labels as a method takes them: classes, soft labels, or probabilities of class 1."""
    if labels.shape == (*probs.shape[:-1], 1):
        labels = labels.squeeze(-1)
    if labels.ndim == probs.ndim:
        return labels.argmax(-1)
    return (labels > 0.5).long() if labels.is_floating_point() else labels
