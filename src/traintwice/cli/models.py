"""What `export` and `predict` do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from traintwice.cli.study import load
from traintwice.errors import BadInput
from traintwice.predictions import write_predictions
from traintwice.study import Store
from traintwice.study.export import as_networks_take_them, export, model_of, predict


def export_model(
    console: Console, path: Path, *, study: str | None, row: str, replica: int, out: Path, formats: list[str]
) -> None:
    """Write a stored model for serving; prints the files."""
    results = load(path, study)
    for name, file in export(results, Store(path, create=False), row, replica, out, tuple(formats)).items():
        console.print(f"{name}: {file} (predicts the same)", highlight=False, soft_wrap=True)


def predict_file(console: Console, path: Path, *, study: str | None, row: str, replica: int, inputs: Path, out: Path) -> None:
    """Predict the inputs of a .npy or .npz file (array "inputs", labels "labels" where known) and write a prediction file."""
    results = load(path, study)
    x, labels = _read_inputs(inputs)
    if x.shape[1:] != results.data.shape:
        raise BadInput(f"{inputs}: got inputs of shape {x.shape[1:]}, this model takes {results.data.shape}")
    probs = predict(model_of(results, Store(path, create=False), row, replica), as_networks_take_them(x, results.data))
    write_predictions(out, probs, ids=np.arange(len(probs)), labels=labels)
    console.print(f"{len(probs):,} rows: {out}", highlight=False, soft_wrap=True)


def _read_inputs(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not a .npy or .npz file of numbers ({error})") from None
    if isinstance(found, np.ndarray):
        return found, None
    with found:
        if "inputs" not in found:
            raise BadInput(f"{path}: holds {', '.join(found.files)}, expected an array named inputs")
        return found["inputs"], found.get("labels")
