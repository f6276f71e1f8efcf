"""Mini-batches from a user's function, such as a DataLoader, named by its import path."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import numpy as np

from traintwice._arrays import as_classes
from traintwice._typed import typed
from traintwice._user_code import UserFunction
from traintwice.data._dataset import Dataset, Part, Split
from traintwice.errors import BadInput, BadSpec

Batches = Iterable[tuple[Any, Any]]
"""Inputs ``B *shape`` and labels ``B`` of each mini-batch, as tensors or arrays."""


@dataclass(frozen=True)
@typed
class Loader(UserFunction):
    """Mini-batches that your function returns, such as a PyTorch DataLoader.

    Inputs are an array, or several: a mapping or a sequence of arrays. Several inputs, and whole numbers, reach a network of your own
    (`traintwice.nets.Factory`) as they are: ``network(**mapping)``, ``network(*sequence)``.

    The function is called as ``make(split, seed=, replica=, epoch=, **settings)`` with ``split`` "train", "validation" or "test". It
    returns an iterable of pairs (inputs, labels), inputs as the network reads them. For "train" it is called at the beginning of each
    epoch. For "validation" and "test" it is called once, with seed, replica and epoch 0; these examples are kept in memory and must be
    the same each time. The function chooses the order of the training examples and their augmentation. If both depend on ``seed``,
    ``replica`` and ``epoch`` only, a replica can be trained again with the same result. This is not checked, so a resumed training is
    not guaranteed to give the same bits, and the record of each replica notes it.

    Args:
        maker: "package.module:function". Worker processes must be able to import it: from an installed package, or a folder on
            PYTHONPATH.
        classes: K.
        examples: of an epoch, which has ceil(examples / batch size) steps. Further batches are ignored; fewer batches are an error.
        settings: keyword arguments of the function, of types that TOML has.
        name: of the data set in tables.
    Raises:
        BadSpec: ``maker`` of another form or without a function, or settings of other types. BadInput: invalid batches, or too few.
    Source:
        Ours. The digest covers ``maker``, ``settings``, ``examples`` and the content of validation and test, not the training data: when
        these change, change a setting (``{"version": 2}``); otherwise replicas of both versions share one digest. The code of the function,
        and of the modules of its project that it imports, is recorded with each replica; a study refuses to mix replicas of different code.
    """

    maker: str
    classes: int
    examples: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = "loader"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes < 2 or self.examples < 1:
            raise BadSpec(f"Loader: got {self.classes} classes and {self.examples} examples, expected at least 2 and 1")

    __hash__ = UserFunction.__hash__

    def load(self) -> Dataset:
        """Read validation and test examples; training examples are read during training."""
        make = self.function_of("train", seed=0, replica=0, epoch=0)
        (validation, parts), (test, of_test) = (self._whole(make, split) for split in ("validation", "test"))
        if parts != of_test:
            raise BadInput(f"{self.maker}: returned inputs {parts} for validation and {of_test} for test, expected the same")
        loaded = Loaded(self, make, tuple(test.inputs.shape[1:]), of_test)
        unknown = np.full(self.examples, -1, dtype=np.int64)  # the batches have the labels
        return Dataset(self.name, self.classes, Split(loaded, unknown), validation, test)

    def _whole(self, make: Callable[..., Batches], split: str) -> tuple[Split, tuple[Part, ...]]:
        parts = [self.checked(batch) for batch in self.batches(make(split, seed=0, replica=0, epoch=0))]
        if not parts:
            raise BadInput(f"{self.maker}: returned no batches for {split!r}")
        of_batches = list(dict.fromkeys(part[2] for part in parts))
        if len(of_batches) > 1:
            raise BadInput(
                f"{self.maker}: returned inputs {of_batches[0]}, then {of_batches[1]} for {split!r}, expected the same"
            )
        shapes = list(dict.fromkeys(part[0].shape[1:] for part in parts))
        if len(shapes) > 1:
            raise BadInput(
                f"{self.maker}: returned inputs of shape {shapes[0]}, then {shapes[1]} for {split!r}, expected the same shape"
            )
        inputs, labels = (np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[:2])
        return Split(inputs, labels), of_batches[0]

    def batches(self, returned: Any) -> Batches:
        """What the function returned, where it can be iterated over.

        Raises:
            BadInput: it returned something else.
        """
        if not isinstance(returned, Iterable) and not hasattr(returned, "__getitem__"):
            raise BadInput(f"{self.maker}: returned a {type(returned).__name__}, expected an iterable of pairs (inputs, labels)")
        return cast(Batches, returned)

    def checked(self, batch: Any) -> tuple[np.ndarray, np.ndarray, tuple[Part, ...]]:
        """Inputs in float32 and labels in int64 of a batch; several inputs, and whole numbers, are packed, with their parts.

        Raises:
            BadInput: the batch is not a pair of equally many inputs and labels, inputs are not numbers, or a label is outside 0 to K − 1.
        """
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise BadInput(f"{self.maker}: returned {type(batch).__name__}, expected pairs (inputs, labels)")
        several = packed(batch[0], self.maker)
        inputs, parts = (_plain(np.asarray(batch[0]), self.maker).astype(np.float32), ()) if several is None else several
        labels = as_classes(np.asarray(batch[1]))
        if (
            labels.ndim != 1
            or inputs.shape[:1] != labels.shape
            or inputs.ndim < 2
            or labels.dtype.kind not in "iu"
            or not len(labels)
        ):
            raise BadInput(
                f"{self.maker}: returned inputs of shape {inputs.shape} with labels of {labels.dtype} and shape {labels.shape}, expected "
                f"inputs (B, …) with labels (B,), whole numbers from 0 to {self.classes - 1}"
            )
        if labels.min() < 0 or labels.max() >= self.classes:
            raise BadInput(
                f"{self.maker}: returned labels from {labels.min()} to {labels.max()}, expected 0 to {self.classes - 1}"
            )
        return inputs, labels.astype(np.int64), parts


@dataclass(frozen=True, eq=False)
class Loaded:
    """Training inputs that a loader returns in mini-batches."""

    source: Loader
    make: Callable[..., Batches]
    one: tuple[int, ...]
    parts: tuple[Part, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the shape of one input."""
        return (self.source.examples, *self.one)

    @property
    def dtype(self) -> np.dtype:
        """float32."""
        return np.dtype(np.float32)

    @property
    def digest(self) -> str:
        """Digest of function and settings; the content is unknown."""
        return f"{self.source.maker} {json.dumps(self.source.settings, sort_keys=True)}{self.parts or ''}"

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Refused: a loader has no single examples.

        Raises:
            BadSpec: always.
        """
        raise BadSpec(f"{self.source.maker}: returns mini-batches in its own order; a single example ({rows[0]}) cannot be read")

    def epoch(self, *, seed: int, replica: int, epoch: int, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The mini-batches of an epoch.

        Raises:
            BadInput: fewer mini-batches than ``steps``, or inputs of another shape than those of test.
        """
        done = 0
        for batch in islice(self.source.batches(self.make("train", seed=seed, replica=replica, epoch=epoch)), steps):
            inputs, labels, parts = self.source.checked(batch)
            if parts != self.parts:
                raise BadInput(f"{self.source.maker}: returned training inputs {parts}, expected {self.parts} as for test")
            if inputs.shape[1:] != self.one:
                raise BadInput(
                    f"{self.source.maker}: returned training inputs of shape {inputs.shape[1:]}, expected {self.one} as for test"
                )
            done += 1
            yield inputs, labels
        if done < steps:
            raise BadInput(
                f"{self.source.maker}: returned {done} mini-batches in epoch {epoch}, expected {steps} "
                f"({self.source.examples:,} examples with the batch size of the recipe)"
            )


def packed(inputs: Any, where: str) -> tuple[np.ndarray, tuple[Part, ...]] | None:
    """Packed rows ``B bytes`` of a mini-batch and their parts; None for one array of floats or bytes, which stays as it is.

    Inputs are an array, a mapping or a sequence of arrays, ``B ...`` each. Whole numbers become int64, other numbers float32. Messages
    start with ``where``.
    """
    if isinstance(inputs, Mapping):
        named: list[tuple[str | None, Any]] = [(str(name), value) for name, value in inputs.items()]
    elif isinstance(inputs, Sequence):
        named = [(None, value) for value in inputs]
    else:
        found = np.asarray(inputs)
        if found.dtype.kind not in "iu" or found.dtype == np.uint8:
            return None
        named = [(None, found)]
    arrays = [(name, _plain(np.asarray(value), where)) for name, value in named]
    lengths = {array.shape[0] if array.ndim else -1 for _, array in arrays}
    if len(lengths) != 1 or lengths == {-1}:
        raise BadInput(f"{where}: returned inputs of different lengths {sorted(lengths)}, expected arrays of one batch")
    parts = tuple(Part(name, array.shape[1:], str(array.dtype)) for name, array in arrays)
    rows = [np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8) for _, array in arrays]
    return np.concatenate(rows, axis=1), parts


def _plain(array: np.ndarray, where: str) -> np.ndarray:
    """Truth values and bytes as they are, whole numbers as int64, other numbers as float32."""
    if array.dtype.kind not in "fiubO":
        raise BadInput(f"{where}: returned inputs of {array.dtype}, expected numbers")
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return array.astype(np.int64)
    return array if array.dtype.kind == "b" or array.dtype == np.uint8 else array.astype(np.float32)
