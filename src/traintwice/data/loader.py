"""Anyone's own DataLoader or IterableDataset, named by the place it is imported from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from traintwice.data.dataset import Dataset, Split
from traintwice.errors import BadInput, BadSpec
from traintwice.importing import as_from_a_file, imported, names_a_function

Batches = Iterable[tuple[Any, Any]]
"""Inputs ``B *shape`` and labels ``B`` of each mini-batch, as tensors or arrays."""


@dataclass(frozen=True)
class Loader:
    """Mini-batches of your own making: whatever your function returns, such as a PyTorch DataLoader.

    The function is called as ``make(split, seed=, replica=, epoch=, **settings)``. ``split`` is "train", "validation" or "test"; what is
    returned gives pairs (inputs, labels), inputs as the network takes them. For "train" it is called at the beginning of each epoch, for
    the others once, with seed, replica and epoch 0; they are kept in memory and must be the same each time. The order of the training
    examples, and what is done to them, is the function's: use ``seed``, ``replica`` and ``epoch`` for it and nothing else, and a replica
    is the same whenever it is trained. Nothing here can check that, so no bit-identical resume is promised, and the record of each
    replica says that its data came with a randomness of their own.

    Args:
        maker: "package.module:function". The processes that train must be able to import it: an installed package, or a folder on
            PYTHONPATH.
        classes: K.
        examples: of an epoch; it has ceil(examples / the recipe's batch size) steps. Batches beyond are left, fewer are an error.
        settings: passed on by name; what TOML can hold.
        name: of the data in tables.
    Raises:
        BadSpec: not of the form "module:function", nothing to import, or settings that no file could hold. BadInput: batches of
            another form, or too few.
    Source:
        Ours. The data are named by ``maker``, ``settings``, ``examples`` and the content of validation and test: when the training data
        change, change a setting (``{"version": 2}``), or replicas of both will lie under one name.
    """

    maker: str
    classes: int
    examples: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = "loader"

    def __post_init__(self) -> None:
        if not names_a_function(self.maker) or self.maker.startswith("__main__:"):
            raise BadSpec(f'Loader.maker: got {self.maker!r}, expected "package.module:function" that other processes can import')
        if self.classes < 2 or self.examples < 1:
            raise BadSpec(f"Loader: got {self.classes} classes and {self.examples} examples, expected at least 2 and 1")
        object.__setattr__(self, "settings", as_from_a_file(self.settings, "Loader.settings"))

    def __hash__(self) -> int:
        return hash((self.maker, self.classes, self.examples, json.dumps(self.settings, sort_keys=True), self.name))

    def load(self) -> Dataset:
        """Read validation and test examples; those for training come when they are wanted."""
        make = imported(self.maker, "Loader.maker")
        validation, test = (self._whole(make, split) for split in ("validation", "test"))
        loaded = Loaded(self, make, tuple(test.inputs.shape[1:]))
        unknown = np.full(self.examples, -1, dtype=np.int64)  # labels come with the batches
        return Dataset(self.name, self.classes, Split(loaded, unknown), validation, test)

    def _whole(self, make: Callable[..., Batches], split: str) -> Split:
        parts = [self.checked(batch) for batch in make(split, seed=0, replica=0, epoch=0, **self.settings)]
        if not parts:
            raise BadInput(f"{self.maker}: gave no batches for {split!r}")
        inputs, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Split(inputs, labels)

    def checked(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """Inputs in float32 and labels in int64 of a batch.

        Raises:
            BadInput: it is no pair of as many inputs and labels, or a label is none of the classes.
        """
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise BadInput(f"{self.maker}: gave {type(batch).__name__}, expected pairs (inputs, labels)")
        inputs, labels = np.asarray(batch[0], dtype=np.float32), np.asarray(batch[1])
        if (
            labels.ndim != 1
            or inputs.shape[:1] != labels.shape
            or inputs.ndim < 2
            or labels.dtype.kind not in "iu"
            or not len(labels)
        ):
            raise BadInput(
                f"{self.maker}: gave inputs of shape {inputs.shape} with labels of {labels.dtype} and shape {labels.shape}"
            )
        if labels.min() < 0 or labels.max() >= self.classes:
            raise BadInput(f"{self.maker}: gave labels from {labels.min()} to {labels.max()}, expected 0 to {self.classes - 1}")
        return inputs, labels.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Loaded:
    """Training inputs that come in mini-batches of their own making."""

    source: Loader
    make: Callable[..., Batches]
    one: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the shape of one input."""
        return (self.source.examples, *self.one)

    @property
    def dtype(self) -> np.dtype:
        """As networks take them."""
        return np.dtype(np.float32)

    @property
    def digest(self) -> str:
        """Of what names them; their content is not known."""
        return f"{self.source.maker} {json.dumps(self.source.settings, sort_keys=True)}"

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Single examples cannot be had.

        Raises:
            BadSpec: always.
        """
        raise BadSpec(f"{self.source.maker}: gives mini-batches in its own order; example {rows[0]} alone cannot be read")

    def epoch(self, *, seed: int, replica: int, epoch: int, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The mini-batches of an epoch.

        Raises:
            BadInput: fewer than ``steps``, or inputs of another shape than those of the test examples.
        """
        given = 0
        for batch in islice(self.make("train", seed=seed, replica=replica, epoch=epoch, **self.source.settings), steps):
            inputs, labels = self.source.checked(batch)
            if inputs.shape[1:] != self.one:
                raise BadInput(
                    f"{self.source.maker}: gave training inputs of shape {inputs.shape[1:]}, those for test have {self.one}"
                )
            given += 1
            yield inputs, labels
        if given < steps:
            raise BadInput(
                f"{self.source.maker}: gave {given} mini-batches in epoch {epoch}, expected {steps} "
                f"({self.source.examples:,} examples by the recipe's batch size)"
            )
