"""Inputs as networks take them, a mini-batch at a time: from floats, from bytes, from disk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from traintwice.data import LazyInputs, Loaded, Scaling, Split


class Inputs:
    """The inputs of a split.

    Bytes stay bytes in memory and become (byte / 255 − mean) / std when a mini-batch is read; numbers are taken as they are. What is
    kept on disk is read there. The same rows give the same bits, however they are batched.

    Args:
        split: whose inputs.
        dtype: of what the networks take.
        device: of the networks; what is in memory is moved there once, as it is kept.
    """

    def __init__(self, split: Split, dtype: torch.dtype, device: torch.device | None = None) -> None:
        self.dtype, self.shape = dtype, tuple(split.inputs.shape[1:])
        self.device = device or torch.device("cpu")
        self._examples = len(split)
        self._whole = torch.from_numpy(split.inputs).to(self.device) if isinstance(split.inputs, np.ndarray) else None
        self._ahead = None if isinstance(split.inputs, np.ndarray) else _Ahead(split.inputs)
        self._scale = None if split.scaling is None else _Scale(split.scaling, len(self.shape), dtype, self.device)

    def __len__(self) -> int:
        return self._examples

    def of(self, rows: Tensor) -> Tensor:
        """Inputs ``*rows.shape *shape`` of examples by number."""
        return self.scaled(self.raw(rows))

    def raw(self, rows: Tensor) -> Tensor:
        """As they are kept; the caller may change them."""
        flat = rows.reshape(-1)
        if self._ahead is not None:
            return self._ahead.take(flat).view(*rows.shape, *self.shape)
        found = self._whole.index_select(0, flat.to(self.device))  # type: ignore[union-attr]
        return found.view(*rows.shape, *self.shape)

    def scaled(self, raw: Tensor) -> Tensor:
        """What was kept, as the networks take it."""
        x = raw.to(self.device).to(self.dtype)  # bytes are moved as bytes
        return x if self._scale is None else self._scale.in_place(x if x is not raw else x.clone())

    def expect(self, rows: Tensor) -> None:
        """Begin to read from disk what will be asked for next; nothing for inputs in memory."""
        if self._ahead is not None:
            self._ahead.begin(rows.reshape(-1))

    def parts(self, size: int) -> Iterator[Tensor]:
        """All inputs in order, so many at a time."""
        if self._whole is not None:
            yield from map(self.scaled, torch.split(self._whole, size))
            return
        if self._ahead is not None and isinstance(self._ahead.inputs, Loaded):  # in the order in which they come first
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


class _Scale:
    """(byte / 255 − mean) / std, in the dtype of the networks."""

    def __init__(self, scaling: Scaling, axes: int, dtype: torch.dtype, device: torch.device) -> None:
        # Channels come first where an input has three axes; an input of one axis has one mean and one std.
        shape = (-1, 1, 1) if axes == 3 else (-1,)
        self._plain = scaling.plain
        self._mean = torch.tensor(scaling.mean, dtype=torch.float64).to(device, dtype).view(shape)
        self._std = torch.tensor(scaling.std, dtype=torch.float64).to(device, dtype).view(shape)

    def in_place(self, x: Tensor) -> Tensor:
        x.div_(255)
        return x if self._plain else x.sub_(self._mean).div_(self._std)


class _Ahead:
    """Reads mini-batches from disk in a thread, while the network works on the one before."""

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
