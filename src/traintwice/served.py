"""The model in service: its logged predictions or its weights, which a training learns from or starts from."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._arrays import to_numpy
from traintwice._decoding import Decoder
from traintwice._files import check_name
from traintwice._typed import check_types
from traintwice.errors import BadInput, BadSpec, require
from traintwice.predictions import open_predictions
from traintwice.predictions._predictions import places_of_ids

__all__ = ["Logged", "Served", "ServedFile", "Stored", "Weights", "served_by_table"]

_LAYOUTS = (r"networks\.(\d+)\.(.+)", r"(\d+)\.(.+)", r"()(.+)")
"""Names of tensors: of `traintwice export`, of a store, and of the state dict of one network."""

_GATE = re.compile(r"gates?\.(\d+\..+)")


class Served:
    """A model that the study does not train: `Logged`, `Weights` or `Stored`."""


@dataclass(frozen=True)
class Stored(Served):
    """Replicas in the same store, by their digest: replica m starts from, or learns from, replica m. A chain of retrains uses it.

    Args:
        key: the digest. The replicas have weights, and the network, averaging and number of components of the recipe that uses them.
    Raises:
        BadSpec: not a digest.
    """

    key: str

    def __post_init__(self) -> None:
        check_types(self)
        if not re.fullmatch(r"[0-9a-f]{32}", self.key):
            raise BadSpec(f"Stored.key: got {self.key!r}, expected the 32 hexadecimal digits of a digest")


@dataclass(frozen=True)
class ServedFile(Served):
    """A file of the model in service.

    Args:
        file: its path; relative paths start at the working directory.
        digest: BLAKE2b of the content, which is part of a recipe's identity (the path is not); None takes that of the file.
    Raises:
        BadInput: the file cannot be read, or its content has another digest.
    """

    file: str
    digest: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.file, os.PathLike):
            object.__setattr__(self, "file", os.fspath(self.file))
        check_types(self)
        if self.digest is None:
            object.__setattr__(self, "digest", self._content())

    @property
    def path(self) -> Path:
        """The file, after a check that its content is that of the digest."""
        if self._content() != self.digest:
            raise BadInput(
                f"{self.file}: the file has changed since the recipe was made (digest {self._content()}, expected {self.digest}); put the "
                "old file back, or start a new study with the new one"
            )
        return Path(self.file).expanduser()

    def _content(self) -> str:
        path = Path(self.file).expanduser()
        check_name(path)
        if not path.is_file():
            raise BadInput(f"{path}: no such file. Relative paths start at the working directory")
        try:
            with path.open("rb") as opened:
                return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from None


@dataclass(frozen=True)
class Logged(ServedFile):
    """Logged probabilities of the model in service, by row id: a teacher whose code and weights are not needed.

    Args:
        file: of predictions, as `traintwice.open_predictions` reads it.
        id: name of the column of ids; None recognises it.
    Raises:
        BadInput: see `ServedFile`.
    Source:
        Jiang et al. 2022: targets from the logs of the model to replace. Ours: ids are matched exactly, and rows of the file that are
        not trained on are ignored. Under augmentation the teacher's answer is that on the row without changes.
    Example:
        >>> import tempfile
        >>> from traintwice.predictions import write_predictions
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = write_predictions(f"{folder}/served.parquet", np.array([[0.9, 0.1], [0.3, 0.7]]), ids=np.array([8, 5]))
        ...     Logged(str(file), id="id").probs(np.array([5]), classes=2)
        array([[0.3, 0.7]])
    """

    id: str | None = None

    def probs(self, ids: Any, *, classes: int, class_names: Sequence[str] = ()) -> np.ndarray:
        """Probabilities ``N K`` of some rows.

        Args:
            ids: ``N``.
            classes: K.
            class_names: names of the classes in order, compared with those of the file where both are known.
        Raises:
            BadInput: the file has no probabilities or no ids, lacks a row, or has other classes or another order of classes.
        """
        with open_predictions([self.path], id=self.id) as opened:
            found = opened.read()
        if not found.has_probs:
            raise BadInput(f"{self.file}: has no probabilities, and a teacher needs one for each class")
        if found.ids is None:
            raise BadInput(f"{self.file}: has no ids, by which logged predictions find their rows; name the column of ids")
        probs, names = to_numpy(found.probs[0]), found.class_names
        expected = tuple(class_names) or tuple(map(str, range(classes)))
        if probs.shape[1] != classes or (names is not None and sorted(names) != sorted(expected)):
            there = f"{probs.shape[1]} classes" if names is None else f"the classes {', '.join(names)}"
            raise BadInput(f"{self.file}: has {there}, expected {classes}: {', '.join(expected)}")
        if names is not None and tuple(names) != expected:
            raise BadInput(
                f"{self.file}: has the classes in the order {', '.join(names)}, expected {', '.join(expected)}; write the columns in "
                "this order"
            )
        return np.asarray(probs[places_of_ids(to_numpy(found.ids), to_numpy(ids), what=self.file, more=True)], dtype=np.float64)


@dataclass(frozen=True)
class Weights(ServedFile):
    """Weights of the model in service: a start (warm start) or a teacher of the same network.

    Args:
        file: of safetensors: written by `traintwice export`, of a store, or the state dict of one network.
    Raises:
        BadInput: see `ServedFile`. BadSpec: the file is not one of safetensors.
    Source:
        Warm start: AD section 1. Ours: a model of another network teaches by its predictions, see `Logged`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file.endswith(".safetensors"):
            raise BadSpec(f"Weights.file: got {self.file!r}, expected a file of safetensors; pickles are not loaded")

    def tensors(self, names: Sequence[Collection[str]]) -> dict[str, np.ndarray]:
        """The tensors by component ("0.name", "1.name" ...) and gate ("gate.0.name").

        Args:
            names: of the tensors of each component; further components have those of the first.
        Raises:
            BadInput: the file cannot be read as safetensors, or its tensors are those of another network.
        """
        require("safetensors", extra="torch", purpose="a file of weights")
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            found: Mapping[str, np.ndarray] = load(self.path.read_bytes())
        except (SafetensorError, KeyError, OSError) as error:
            raise BadInput(f"{self.file}: cannot be read as safetensors ({error})") from None
        gates = {f"gate.{match[1]}": array for name, array in found.items() if (match := _GATE.fullmatch(name))}
        rest = {name: array for name, array in found.items() if not _GATE.fullmatch(name)}
        for layout in _LAYOUTS:
            parts = [m for name in rest if (m := re.fullmatch(layout, name)) is not None]
            by_component: dict[int, set[str]] = {}
            for m in parts:
                by_component.setdefault(int(m[1] or 0), set()).add(m[2])
            fits = (set(names[j] if j < len(names) else names[0]) == own for j, own in by_component.items())
            if parts and len(parts) == len(rest) and sorted(by_component) == list(range(len(by_component))) and all(fits):
                return {f"{m[1] or 0}.{m[2]}": rest[m[0]] for m in parts} | gates
        raise BadInput(
            f"{self.file}: has the tensors {_some(rest)}, expected those of the recipe's network: {_some(names[0])}. A model of another "
            "network can teach by its predictions (Logged)"
        )


def served_by_table(value: Any, path: str) -> Any:
    """The model in service that a table ``{type = "Logged", file = "…"}`` of a TOML file names; any other value as it is."""
    kinds: dict[Any, type[ServedFile]] = {"Logged": Logged, "Weights": Weights}
    if not isinstance(value, Mapping) or value.get("type") not in kinds:
        return value
    return Decoder().decode(kinds[value["type"]], {key: item for key, item in value.items() if key != "type"}, path)


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (f" … ({len(names)})" if len(names) > 3 else "")
