"""Inputs of networks, one mini-batch at a time: from floats, bytes or disk, augmented for training; and predictions on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset, LazyInputs, Loaded, Split
from traintwice.engine._batches import Batch
from traintwice.engine._building import stream_of
from traintwice.engine._deployed import mixture_weights
from traintwice.engine._execution import Execution
from traintwice.errors import BadSpec
from traintwice.recipes import Recipe

SHARED = -1
"""Component number of the shared part of a batch, in random streams of components with own batches."""

FILLED = 16
"""Rows of inputs are padded with zeros to a multiple of so many numbers, so that those of each replica begin at a whole vector."""

PREDICT_BATCH = 1024
"""Examples per forward pass of a prediction. It is fixed, because matrix products of other shapes may round differently."""

PREDICT_NUMBERS = 1 << 22
"""Input numbers per forward pass of a prediction at most: a thousand large pictures would fill the memory."""


class Inputs:
    """Inputs of a split.

    Bytes are kept as bytes and become (byte / 255 − mean) / std in each mini-batch; numbers stay as they are; data on disk is read for
    each mini-batch. Equal rows give equal bits in every mini-batch.
    """

    def __init__(self, split: Split, dtype: torch.dtype, device: torch.device | None = None) -> None:
        self.dtype, self.shape = dtype, tuple(split.inputs.shape[1:])
        self.device = device or torch.device("cpu")
        self._examples = len(split)
        self._whole = torch.from_numpy(split.inputs).to(self.device) if isinstance(split.inputs, np.ndarray) else None
        self._ahead = None if isinstance(split.inputs, np.ndarray) else _Ahead(split.inputs)
        self._scaling = split.scaling
        if split.scaling is not None:  # three axes begin with channels; one axis has one mean and one std
            shape = (-1, 1, 1) if len(self.shape) == 3 else (-1,)
            constants = torch.tensor([split.scaling.mean, split.scaling.std], dtype=torch.float64)
            self._mean, self._std = (each.view(shape) for each in constants.to(self.device, dtype))

    def __len__(self) -> int:
        return self._examples

    def of(self, rows: Tensor) -> Tensor:
        """Inputs ``*rows.shape *shape`` of examples."""
        return self.scaled(self.raw(rows))

    def raw(self, rows: Tensor) -> Tensor:
        """Stored inputs, without scaling; the caller may change them in place."""
        flat = rows.reshape(-1)
        if self._ahead is not None:
            return self._ahead.take(flat).view(*rows.shape, *self.shape)
        found = self._whole.index_select(0, flat.to(self.device))  # type: ignore[union-attr]
        return found.view(*rows.shape, *self.shape)

    def scaled(self, raw: Tensor) -> Tensor:
        """Stored inputs in the dtype of the networks, scaled."""
        x = raw.to(self.device).to(self.dtype)  # bytes are moved as bytes
        if self._scaling is None:
            return x
        x = (x if x is not raw else x.clone()).div_(255)
        return x if self._scaling.plain else x.sub_(self._mean).div_(self._std)

    def expect(self, rows: Tensor) -> None:
        """Start to read examples from disk; does nothing for inputs in memory."""
        if self._ahead is not None:
            self._ahead.begin(rows.reshape(-1))

    def parts(self, size: int, rows: Tensor | None = None) -> Iterator[Tensor]:
        """All inputs in order, or those of some examples, ``size`` at a time."""
        if rows is not None:
            yield from map(self.of, torch.split(rows, size))
            return
        if self._whole is not None:
            yield from map(self.scaled, torch.split(self._whole, size))
            return
        if self._ahead is not None and isinstance(self._ahead.inputs, Loaded):  # in the order of the first epoch
            steps = -(-self._examples // size)
            first = self._ahead.inputs.epoch(seed=0, replica=0, epoch=0, steps=steps)
            yield from (torch.from_numpy(inputs).to(self.device, self.dtype) for inputs, _ in first)
            return
        batches = torch.arange(self._examples).split(size)  # type: ignore[no-untyped-call]
        for rows, following in zip(batches, [*batches[1:], None], strict=True):
            self.expect(rows)
            if following is not None:
                self.expect(following)
            yield self.of(rows)


class _Ahead:
    """Reads mini-batches from disk in a thread, during the step before."""

    def __init__(self, inputs: LazyInputs) -> None:
        self.inputs = inputs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="traintwice-read")
        self._begun: dict[bytes, Future[np.ndarray]] = {}

    def begin(self, rows: Tensor) -> None:
        key = rows.numpy().tobytes()
        if key not in self._begun:
            self._begun[key] = self._thread.submit(self.inputs.read, rows.numpy())

    def take(self, rows: Tensor) -> Tensor:
        begun = self._begun.pop(rows.numpy().tobytes(), None)
        return torch.from_numpy(begun.result() if begun is not None else self.inputs.read(rows.numpy()))


class Examples:
    """Training inputs of the components of a replica, augmented."""

    def __init__(self, recipe: Recipe, data: Dataset, inputs: Inputs, *, seed: int, replica: int) -> None:
        self.recipe, self.inputs = recipe, inputs
        self.seed, self.replica = seed, replica
        self._drawn: dict[int, Tensor] = {}
        if recipe.augmentation is not None and data.pixels is None:
            raise BadSpec(
                f"Recipe.augmentation: {recipe.augmentation!r} changes pictures, but the examples of {data.name} are not pictures"
            )
        self._pixels = data.pixels or ()

    def enter(self, epoch: int) -> None:
        """Draw the augmentation of each example in an epoch."""
        if self.recipe.augmentation is None:
            return
        own, each = self.recipe.views == "own", range(self.recipe.method.components)
        for j in each if own else [0] if self.recipe.own_batches is None else [*each, SHARED]:
            rng = stream_of(self.recipe, self.seed, "augmentation", replica=self.replica, component=j, epoch=epoch)
            self._drawn[j] = torch.from_numpy(self.recipe.augmentation.draw(rng, len(self.inputs)))

    def ahead(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same mini-batches; the next one is already read from disk when one is yielded."""
        waiting: Batch | None = None
        for batch in batches:
            if batch.rows.ndim == 1 and batch.loaded is None:
                self.inputs.expect(batch.rows)
            if waiting is not None:
                yield waiting
            waiting = batch
        if waiting is not None:
            yield waiting

    def of(self, batch: Batch) -> list[Tensor]:
        """Inputs of each component; components with the same inputs get the same object."""
        components = self.recipe.method.components
        if batch.loaded is not None:
            return [batch.loaded[0].to(self.inputs.device, self.inputs.dtype)] * components
        if self.recipe.views == "own":
            return [self._read(rows, j) for j, rows in enumerate(batch.rows.expand(components, -1))]
        if batch.rows.ndim == 1:
            return [self._read(batch.rows, 0)] * components
        together = batch.shared or slice(0, 0)
        if together.start == together.stop:
            return [self._read(rows, j) for j, rows in enumerate(batch.rows)]
        common = self._read(batch.rows[0, together], SHARED)
        return [torch.cat([self._read(rows[: together.start], j), common]) for j, rows in enumerate(batch.rows)]

    def _read(self, rows: Tensor, component: int) -> Tensor:
        plain = self.inputs.raw(rows)
        if self.recipe.augmentation is None:
            return self.inputs.scaled(plain)
        height, width = self._pixels[:2]
        first = plain.ndim == 4 and plain.shape[2:] == (height, width)  # channels come first
        pictures = plain.movedim(1, 3) if first else plain.reshape(len(plain), height, width, -1)
        changed = self.recipe.augmentation.apply(pictures, self._drawn[component][rows].to(pictures.device))
        return self.inputs.scaled((changed.movedim(3, 1) if first else changed.reshape(plain.shape)).contiguous())


@dataclass(frozen=True)
class TrainingSet:
    """Training examples on a device, shared by all trainings of a recipe."""

    inputs: Inputs
    labels: Tensor
    rows: Tensor | None = None  # inputs N D for the stacked engine on a CPU, padded with zeros to a multiple of `FILLED`

    @classmethod
    def of(cls, data: Dataset, execution: Execution) -> TrainingSet:
        """Training examples of a data set for an engine."""
        device = execution.torch_device
        inputs, labels = Inputs(data.train, execution.dtype, device), torch.from_numpy(data.train.labels).to(device)
        if execution.engine != "stacked" or execution.on_gpu:
            return cls(inputs, labels)
        flat = torch.cat([part.flatten(1) for part in inputs.parts(PREDICT_BATCH)])
        missing = rounded_up(flat.shape[1], FILLED) - flat.shape[1]
        return cls(inputs, labels, nn.functional.pad(flat, (0, missing)) if missing else flat)


def rounded_up(count: int, multiple: int) -> int:
    """The next multiple, or the number itself.

    >>> rounded_up(65, 64), rounded_up(64, 64)
    (128, 64)
    """
    return -(-count // multiple) * multiple


@torch.no_grad()
def predict(networks: Sequence[nn.Module], split: Split) -> np.ndarray:
    """Logits of every network on a split, ``J N K`` float32."""
    own = next(networks[0].parameters())
    inputs = Inputs(split, own.dtype, own.device)
    at_once = max(min(PREDICT_BATCH, PREDICT_NUMBERS // prod(inputs.shape)), 1)
    for network in networks:
        network.eval()
    logits = torch.cat([torch.stack([network(part) for network in networks]) for part in inputs.parts(at_once)], dim=1)
    for network in networks:
        network.train()
    return logits.float().cpu().numpy()


@torch.no_grad()
def gate_weights(gates: Sequence[nn.Module], split: Split) -> np.ndarray:
    """Mixture weights of all sets of networks on a split, ``S·J N`` float32."""
    own = next(gates[0].parameters())
    inputs = torch.cat([part.flatten(1) for part in Inputs(split, own.dtype, own.device).parts(PREDICT_BATCH)])
    return mixture_weights(gates, inputs).float().contiguous().cpu().numpy()
