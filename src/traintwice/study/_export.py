"""Models of a store: load, predict new data, export for serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from traintwice.data import Dataset, PackedShape, Split
from traintwice.engine._deployed import FORMATS, Deployed, deployed, export_model
from traintwice.engine._reading import Inputs
from traintwice.errors import BadInput, BadSpec
from traintwice.study._results import Results
from traintwice.study._store import Store


def model_of(results: Results, store: Store, row: str, replica: int) -> Deployed:
    """The model that a replica serves, from its stored weights.

    Raises:
        UnknownName: unknown row. BadInput: unknown replica. StoreError: stored without weights (run with ``--save-weights``).
    """
    result = results[row]
    if replica not in result.numbers:
        raise BadInput(f"replica: got {replica}, {row} has {', '.join(map(str, result.numbers))}")
    weights = store.load_weights(results.experiment.key(row, results.data), replica)
    return deployed(result.recipe, results.data, weights)


CHECKED = 1000
"""Largest number of test examples on which an exported model is compared with the stored one."""


def as_networks_take_them(inputs: np.ndarray, data: Dataset) -> np.ndarray:
    """Inputs ``N ...`` in float32: bytes are scaled as in the data set, numbers are unchanged."""
    if isinstance(data.shape, PackedShape):
        raise BadSpec(
            f"{data.name}: has several inputs or whole numbers, which export and predict do not take; train with --save-weights and "
            "load the weights into your own module"
        )
    scaling = data.train.scaling if inputs.dtype == np.uint8 else None
    unlabelled = Split(np.asarray(inputs, dtype=np.uint8 if scaling else np.float32), np.zeros(len(inputs), np.int64), scaling)
    return Inputs(unlabelled, torch.float32).of(torch.arange(len(inputs))).numpy()


@torch.no_grad()
def predict(model: Deployed, inputs: np.ndarray, *, batch_size: int = 1024) -> np.ndarray:
    """Probabilities ``N K`` in float32 for inputs ``N ...`` as networks take them."""
    x = torch.from_numpy(np.asarray(inputs, dtype=np.float32))
    return torch.cat([model(part) for part in torch.split(x, batch_size)]).numpy()


def export(
    results: Results, store: Store, row: str, replica: int, out: Path, formats: tuple[str, ...] = FORMATS
) -> dict[str, Path]:
    """Write a replica's model for serving, and check that the written model predicts the same.

    Args:
        results, store: of a finished study whose weights were saved.
        row, replica: the model.
        out: directory; made where it does not exist.
        formats: some of "safetensors" (state dict), "pt2" (`torch.export`), "onnx".
    Returns:
        Format to file.
    Raises:
        BadInput: an unknown format. MissingExtra: ONNX is not installed. StoreError: no weights, or ``out`` cannot be written.
        TrainingFailed: an exported model predicts something else (a bug of the exporter).
    """
    model = model_of(results, store, row, replica)
    first = np.arange(min(len(results.data.test), CHECKED))
    test = torch.from_numpy(as_networks_take_them(results.data.test.rows(first), results.data))
    return export_model(model, test, out, name=f"{row.replace(' ', '-')}-{replica:04d}", formats=formats)
