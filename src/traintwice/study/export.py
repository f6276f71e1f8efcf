"""Models out of a store: load, predict new data, export for serving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from traintwice.data import Dataset, Split
from traintwice.engine.deployed import Deployed, deployed
from traintwice.engine.reading import Inputs
from traintwice.errors import BadInput, StoreError, TrainingFailed, require
from traintwice.files import write_whole
from traintwice.study.results import Results
from traintwice.study.store import Store

FORMATS = ("safetensors", "pt2", "onnx")
"""State dict; the graph by torch.export; the graph for other runtimes."""

TOLERANCE = 1e-5
"""How far the exported model's probabilities may be from the stored one's."""


def model_of(results: Results, store: Store, row: str, replica: int) -> Deployed:
    """The model that a replica serves, from its stored weights.

    Raises:
        UnknownName: no such row. BadInput: no such replica. StoreError: it was stored without weights (run with ``--save-weights``).
    """
    result = results[row]
    if replica not in result.numbers:
        raise BadInput(f"replica: got {replica}, {row} has {', '.join(map(str, result.numbers))}")
    weights = store.load_weights(results.experiment.key(row, results.data), replica)
    return deployed(result.recipe, results.data, weights)


CHECKED = 1000
"""Test examples at most on which an exported model is compared with the stored one."""


def as_networks_take_them(inputs: np.ndarray, data: Dataset) -> np.ndarray:
    """Inputs ``N ...`` in float32: bytes scaled as those of the data set, numbers as they are."""
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
    """Write a replica's model for serving, and check that what was written predicts the same.

    Args:
        results, store: of a finished study whose weights were saved.
        row, replica: which model.
        out: directory; made where it does not exist.
        formats: any of "safetensors" (state dict), "pt2" (`torch.export`), "onnx".
    Returns:
        Format to file.
    Raises:
        BadInput: an unknown format. MissingExtra: ONNX wanted and not installed. StoreError: no weights, or ``out`` cannot be written.
        TrainingFailed: an exported model predicts something else (a defect of the exporter).
    """
    for name in formats:
        if name not in FORMATS:
            raise BadInput(f"format: got {name!r}, expected one of {', '.join(FORMATS)}")
    if "onnx" in formats:
        for module in ("onnx", "onnxruntime", "onnxscript"):
            require(module, extra="onnx", purpose="ONNX export")
    model = model_of(results, store, row, replica)
    first = np.arange(min(len(results.data.test), CHECKED))
    test = as_networks_take_them(results.data.test.rows(first), results.data)
    expected = predict(model, test)
    writers: dict[str, Callable[[Deployed, np.ndarray, Path], np.ndarray]] = {
        "safetensors": _as_state_dict,
        "pt2": _as_program,
        "onnx": _as_onnx,
    }
    written = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in formats:
            path = out / f"{row.replace(' ', '-')}-{replica:04d}.{name}"
            found = writers[name](model, test, path)
            if not np.allclose(found, expected, atol=TOLERANCE):
                path.unlink()
                worst = float(np.abs(found - expected).max())
                raise TrainingFailed(f"{path.name}: the exported model's probabilities differ by {worst:.2g}; it was not kept")
            written[name] = path
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror})") from None
    return written


def _as_state_dict(model: Deployed, test: np.ndarray, path: Path) -> np.ndarray:
    write_whole(path, safetensors.numpy.save({name: value.numpy() for name, value in model.state_dict().items()}))
    again = {name: torch.from_numpy(value) for name, value in safetensors.numpy.load(path.read_bytes()).items()}
    model.load_state_dict(again)
    return predict(model, test)


def _program(model: Deployed, test: np.ndarray) -> Any:
    return torch.export.export(model, (torch.from_numpy(test[:2]),), dynamic_shapes=({0: torch.export.Dim("batch")},))


def _as_program(model: Deployed, test: np.ndarray, path: Path) -> np.ndarray:
    temporary = path.with_name(f".tmp-{path.name}")
    torch.export.save(_program(model, test), temporary)
    temporary.replace(path)
    return np.asarray(torch.export.load(path).module()(torch.from_numpy(test)).detach().numpy())


def _as_onnx(model: Deployed, test: np.ndarray, path: Path) -> np.ndarray:
    import onnxruntime

    temporary = path.with_name(f".tmp-{path.name}")
    torch.onnx.export(_program(model, test), dynamo=True, verbose=False).save(temporary)  # type: ignore[union-attr]
    temporary.replace(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: test})[0])
