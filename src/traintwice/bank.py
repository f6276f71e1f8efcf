"""Banks: what every replica of a study predicts on every test row, to be measured again without training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from traintwice._arrays import to_numpy
from traintwice._database import Session
from traintwice._files import check_name, write_whole
from traintwice._names import lazy
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._bank import SCHEMA, BankRecipe, Banks, BankStudy, bank_study, banks, digest_of, slug_of
from traintwice.predictions._predictions import Predictions

__all__ = ["BankRecipe", "BankStudy", "Banks", "NewRecipe", "bank_study", "banks", "write_study"]


LEAST = float(np.finfo(np.float16).smallest_subnormal)
"""Probabilities above 0 are kept as at least this, 6e-8, so that log loss stays finite."""

COLUMNS = {
    "recipe": "name of the recipe",
    "replica": "0 to M − 1",
    "example": "place in the test split, from 0",
    "y": "true class",
    "vote": "predicted class",
    "top": "probability of the predicted class, rounded to float16",
    "label": "probability of the true class, rounded to float16 and at least 6e-8; missing where it is the predicted class",
}
"""Columns of the Parquet file."""

FORMAT = "COMPRESSION zstd, COMPRESSION_LEVEL 19, ROW_GROUP_SIZE 400000"


@dataclass(frozen=True)
class NewRecipe:
    """A recipe to be written into a bank.

    Args:
        predictions: of M replicas, with probabilities and labels.
        train, serve: cost as a multiple of one plain network of the study.
        spec: the recipe as plain values, where it is known.
        measures: name of a measure to its value and interval, or to its value alone.
    """

    predictions: Predictions
    train: float
    serve: float
    spec: Mapping[str, Any] | None
    measures: Mapping[str, tuple[float, ...]]


@typed
def write_study(
    folder: Path, name: str, recipes: Mapping[str, NewRecipe], about: Mapping[str, Any], *, replace: bool = False
) -> BankStudy:
    """Write what every replica of a study predicts into a bank.

    Args:
        folder: the bank; made where it does not exist.
        name: of the study in the bank.
        recipes: by name, all on the same examples.
        about: the rest of the manifest: study, data, network, date …
        replace: a study of this name is replaced; without it, it is refused.
    Raises:
        BadInput: a study of this name is there, recipes have other labels or equal slugs, predictions lack probabilities or labels, or
            the folder cannot be written.
    """
    if name != slug_of(name) or name == "add":
        raise BadInput(
            f"--name: got {name!r}, expected lower-case letters, digits, dots and hyphens, such as {slug_of(name) or 'mine'!r}"
        )
    path = folder / f"{name}.json"
    check_name(path)
    if path.exists() and not replace:
        raise BadInput(f"{path} exists; pass --replace to write the study again, or --name for another name")
    columns = _columns(name, recipes)
    first = next(iter(recipes.values())).predictions
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise BadInput(f"{folder}: cannot be made ({reason.strerror}); choose another folder") from None
    session = Session()
    try:
        session.connection.register("given", columns)
        cells = "recipe, replica, example, y, vote, top, nullif(label, -1) AS label"
        session.write(folder / f"{name}.parquet", f"SELECT {cells} FROM given", FORMAT)
    finally:
        session.close()
    manifest = {
        "schema": SCHEMA,
        **about,
        "examples": first.examples,
        "columns": COLUMNS,
        "digest": digest_of(folder / f"{name}.parquet"),
        "recipes": {
            row: {
                "replicas": new.predictions.replicas,
                "train": new.train,
                "serve": new.serve,
                "measures": {key: [float(f"{v:.6g}") for v in values] for key, values in new.measures.items() if values},
                "recipe": new.spec,
            }
            for row, new in recipes.items()
        },
    }
    try:
        write_whole(path, (_written(manifest) + "\n").encode())
    except OSError as reason:
        raise BadInput(f"{path}: cannot be written ({reason.strerror}); choose another folder") from None
    return BankStudy.read(path)


def _columns(name: str, recipes: Mapping[str, NewRecipe]) -> dict[str, np.ndarray]:
    """The columns of the file: all cells of a recipe together, those of one example next to each other."""
    slugs: dict[str, str] = {}
    for row in recipes:
        if (other := slugs.setdefault(slug_of(row), row)) != row:
            raise BadInput(f"{name}: the recipes {other!r} and {row!r} have the same short name {slug_of(row)!r}; rename one")
    parts: dict[str, list[np.ndarray]] = {column: [] for column in COLUMNS}
    labels: np.ndarray | None = None
    for row, new in recipes.items():
        p = new.predictions
        if not (p.has_top and p.has_labels):
            raise BadInput(f"{name}: {row} has no {'labels' if p.has_top else 'probabilities'}, and a bank keeps both")
        y, votes = to_numpy(p.labels), to_numpy(p.votes)
        labels = y if labels is None else labels
        if not np.array_equal(y, labels):
            raise BadInput(f"{name}: {row} was tested on other examples than {next(iter(recipes))}; a study has one test split")
        cells = p.replicas * p.examples
        right = votes == y
        parts["recipe"].append(np.full(cells, row, dtype=object))
        parts["replica"].append(np.tile(np.arange(p.replicas, dtype=np.uint16), p.examples))
        parts["example"].append(np.repeat(np.arange(p.examples, dtype=np.uint32), p.replicas))
        parts["y"].append(np.repeat(y.astype(np.uint16), p.replicas))
        parts["vote"].append(votes.astype(np.uint16).T.ravel())
        parts["top"].append(_half(to_numpy(p.top)).T.ravel())
        parts["label"].append(np.where(right, np.float32(-1), _half(to_numpy(p.of_label))).T.ravel())
    return {column: np.concatenate(arrays) for column, arrays in parts.items()}


def _half(probs: np.ndarray) -> np.ndarray:
    """Probabilities rounded to float16, as float32."""
    return np.where(probs > 0, np.maximum(probs.astype(np.float16), np.float16(LEAST)), 0).astype(np.float32)


def _written(manifest: Mapping[str, Any]) -> str:
    """JSON with a line for each key, and for each recipe."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    lines = [f" {line(key)}: {line(value)}" for key, value in manifest.items() if key != "recipes"]
    rows = ",\n".join(f"  {line(row)}: {line(value)}" for row, value in manifest["recipes"].items())
    return "{\n" + ",\n".join([*lines, f' "recipes": {{\n{rows}\n }}']) + "\n}"


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
