"""What leaves a study: models for serving and for new data, and predictions for a bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from traintwice._typed import typed
from traintwice.bank import BankStudy, NewRecipe, write_study
from traintwice.data import Dataset, PackedShape, Split
from traintwice.data._dataset import Part
from traintwice.data._loader import packed
from traintwice.engine._deployed import FORMATS, Deployed, NetworkInputs, deployed, each_input, export_model, named_inputs
from traintwice.engine._reading import Inputs
from traintwice.errors import BadInput
from traintwice.nets._factory import unpacked
from traintwice.predictions._bank import slug_of
from traintwice.specs import encode
from traintwice.study._results import MEASURES, Results
from traintwice.study._store import Store


def model_of(results: Results, store: Store, row: str, replica: int) -> Deployed:
    """The model that a replica serves, from its stored weights."""
    result = results[row]
    if replica not in result.numbers:
        raise BadInput(f"replica: got {replica}, {row} has {', '.join(map(str, result.numbers))}")
    weights = store.load_weights(results.experiment.key(row, results.data), replica)
    return deployed(result.recipe, results.data, weights)


CHECKED = 1000
"""Largest number of test examples on which an exported model is compared with the stored one."""


def as_networks_take_them(inputs: Any, data: Dataset, where: str = "inputs") -> NetworkInputs:
    """Inputs in the types of networks: bytes are scaled as in the data set, other numbers are unchanged."""
    shape = data.shape
    if not isinstance(shape, PackedShape):
        if inputs.shape[1:] != shape:
            raise BadInput(f"{where}: got inputs of shape {inputs.shape[1:]}, expected {shape}, the shape of the training data")
        scaling = data.train.scaling if inputs.dtype == np.uint8 else None
        if data.train.scaling is not None and inputs.dtype.kind in "iub" and scaling is None:
            raise BadInput(f"{where}: got inputs of {inputs.dtype}, and the training data are bytes; write them as uint8")
        unlabelled = Split(
            np.asarray(inputs, dtype=np.uint8 if scaling else np.float32), np.zeros(len(inputs), np.int64), scaling
        )
        return Inputs(unlabelled, torch.float32).of(torch.arange(len(inputs)))
    if isinstance(inputs, Mapping) and {*inputs} == {part.name for part in shape.parts}:
        inputs = {str(part.name): inputs[str(part.name)] for part in shape.parts}
    found = packed(inputs, where)
    if found is None or found[1] != shape.parts:
        got = f"one array of {inputs.dtype}" if found is None else _in_words(found[1])
        raise BadInput(f"{where}: got {got}, expected {_in_words(shape.parts)}, the inputs of the training data")
    return by_part(found[0], shape)


def by_part(rows: np.ndarray, shape: PackedShape) -> NetworkInputs:
    """The inputs of packed rows ``N bytes``."""
    values = unpacked(torch.from_numpy(rows), shape.parts)
    if shape.parts[0].name is not None:
        return {str(part.name): each for part, each in zip(shape.parts, values, strict=True)}
    return values[0] if len(values) == 1 else tuple(values)


def _in_words(parts: Sequence[Part]) -> str:
    return ", ".join(f"{part.name or f'input {i}'} {part.dtype} {part.shape}" for i, part in enumerate(parts))


@torch.no_grad()
def predict(model: Deployed, inputs: NetworkInputs, *, batch_size: int = 1024) -> np.ndarray:
    """Probabilities ``N K`` in float32 for inputs ``N ...`` as networks take them."""
    examples = len(next(iter(named_inputs(inputs).values())))
    starts = range(0, examples, batch_size)
    parts = (itemgetter(slice(at, at + batch_size)) for at in starts)
    return torch.cat([model(each_input(inputs, part)) for part in parts]).numpy()


def export(
    results: Results, store: Store, row: str, replica: int, out: Path, formats: tuple[str, ...] = FORMATS
) -> dict[str, Path]:
    """Write a replica's model for serving, and check that the written model predicts the same."""
    model = model_of(results, store, row, replica)
    first = np.arange(min(len(results.data.test), CHECKED))
    rows, shape = results.data.test.rows(first), results.data.shape
    test = by_part(rows, shape) if isinstance(shape, PackedShape) else as_networks_take_them(rows, results.data)
    return export_model(model, test, out, name=f"{row.replace(' ', '-')}-{replica:04d}", formats=formats)


@typed
def add_to_bank(
    results: Results,
    folder: str | Path,
    *,
    name: str | None = None,
    command: str | None = None,
    replace: bool = False,
) -> BankStudy:
    """Write what every replica of a study predicts on every test row into a bank.

    Args:
        results: of a trained study.
        folder: the bank; made where it does not exist.
        name: of the study in the bank; None: that of the study, in lower case.
        command: that trains the study, for the manifest.
        replace: replace a study of this name.
    Returns:
        The study as it is in the bank. Replicas that diverged are left out and counted in its manifest.
    Raises:
        BadInput: a study of this name is there, or the folder cannot be written.
    """
    experiment, data = results.experiment, results.data
    base = results.baseline
    recipes = {}
    for row, result in results.rows.items():
        measures = {m.definition.name: e.bounded() for m in MEASURES if (e := results.estimate(m, row)) is not None}
        recipes[row] = NewRecipe(
            result.test, round(result.cost.train, 4), round(result.cost.serve, 4), encode(result.recipe), measures
        )
    environment = results.environment()
    finished = [record["finished"] for result in results.rows.values() for record in result.records if "finished" in record]
    about: dict[str, Any] = {
        "study": experiment.name,
        "title": results.title,
        "data": data.name,
        "network": base.recipe.network.describe(data.shape, data.classes),
        "classes": data.classes,
        "class_names": None if data.class_names is None else list(data.class_names),
        "cost_of": f"one network of {base.name}",
        "data_digest": data.digest,
        "train_examples": len(data.train),
        "data_draws": "data" in base.recipe.free(),
        "seed": experiment.seed,
        "date": max(finished, default="")[:10],
        "training_seconds": environment["training_seconds"],
        "versions": environment["versions"],
        "processors": sorted({str(numerics["processor"]) for numerics in environment["numerics"]}),
        "numerics": environment["numerics"],
        "diverged": {row: len(lost) for row, lost in results.diverged.items()},
        "command": command,
    }
    return write_study(Path(folder), name or slug_of(experiment.name), recipes, about, replace=replace)
