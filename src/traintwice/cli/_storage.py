"""Verbs for files on disk: `store` (trained replicas), `fetch` (data sets), `export` and `predict` (trained models)."""

from __future__ import annotations

import json as to_json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from traintwice._formatting import bytes_in_words
from traintwice.cli import _options as options
from traintwice.cli._output import check_outputs
from traintwice.errors import BadInput, require, unknown

if TYPE_CHECKING:
    import numpy as np

    from traintwice.recipes import Recipe
    from traintwice.study import Store

Row = Annotated[str, typer.Option("--row", help="Recipe of the study.")]
Replica = Annotated[int, typer.Option("--replica", help="Number of its replica.")]
Study = Annotated[str | None, typer.Option("--study", help="Name of the study, if the store has several.")]
Weights = Annotated[Path, typer.Argument(help="Directory of trained replicas; `traintwice run --save-weights` makes one.")]


def store(
    path: Annotated[Path, typer.Argument(help="Directory of trained replicas.")] = options.DEFAULT_STORE,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Delete replicas that no study in the store needs, and damaged and temporary files."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --prune: list the files, delete nothing.")] = False,
    json: options.PlainJson = False,
) -> None:
    """List the recipes in a store with their replicas and sizes; --prune deletes what no study needs."""
    require("torch", extra="torch", purpose="reading a store")
    from traintwice.study import Store

    console = Console()
    kept = Store(path, create=False)
    rows = needed(kept)
    if prune:
        freed, what = _prune(kept, rows, dry_run=dry_run)
        if json:
            print(to_json.dumps({"schema": 1, "removed": what, "freed_bytes": freed, "dry_run": dry_run}))
        else:
            for line in what:
                console.print(f"{'would remove' if dry_run else 'removed'} {line}", highlight=False, markup=False)
            console.print(f"{bytes_in_words(freed)} {'to be freed' if dry_run else 'freed'}", highlight=False)
        return
    listed = [_entry(kept, key, rows.get(key, [])) for key in kept.digests()]
    if json:
        print(to_json.dumps({"schema": 1, "store": str(path), "recipes": listed}, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("recipe", "replicas", "size", "needed by"):
        table.add_column(title, justify="left" if title in ("recipe", "needed by") else "right")
    for entry in listed:
        by = ", ".join(entry["rows"]) or "no study (--prune deletes it)"
        damaged = f" ({entry['damaged']} damaged)" if entry["damaged"] else ""
        damaged += "" if entry["described"] else " (recipe.json damaged)"
        table.add_row(entry["key"][:12], f"{entry['replicas']}{damaged}", bytes_in_words(entry["bytes"]), Text(by))
    console.print(table)
    total = sum(entry["bytes"] for entry in listed)
    console.print(f"\n{path}: {bytes_in_words(total)} in {len(listed)} recipes", highlight=False, markup=False)


def fetch(
    name: Annotated[str, typer.Argument(help="A data set that can be downloaded, such as FashionMNIST.")],
    folder: Annotated[
        Path | None,
        typer.Option(help="Directory for its files; by default one named after it in TRAINTWICE_DATA or ~/.cache/traintwice."),
    ] = None,
) -> None:
    """Download a data set with its checksums and read it; files that are there already are not downloaded again."""
    from traintwice.data import FETCHED

    if name not in FETCHED:
        raise unknown("data set to download", name, FETCHED, hint="docs/guides/data.md says how to get the others.")
    console = Console(highlight=False, soft_wrap=True)
    cls: Any = FETCHED[name]
    source = cls(folder=None if folder is None else str(folder))
    try:
        data = source.load()
    except BadInput:
        files = cls.fetch(folder)
        console.print(f"{len(files)} files in {files[0].parent}")
        data = source.load()
    sizes = ", ".join(f"{len(split):,} {part}" for part, split in data.splits.items())
    console.print(f"{data.name}: {sizes}; {data.classes} classes; inputs of shape {data.shape}; digest {data.digest}")


def export(
    store: Weights,
    row: Row,
    replica: Replica = 0,
    study: Study = None,
    out: Annotated[Path, typer.Option(help="Directory for the files.")] = Path("traintwice-export"),
    trust: options.Trust = False,
    formats: Annotated[list[str] | None, typer.Option("--format", help="safetensors, pt2 or onnx; all by default.")] = None,
) -> None:
    """Write a trained model for serving, and check that every file predicts the same."""
    require("torch", extra="torch", purpose="export")
    from traintwice.cli._study import load
    from traintwice.engine._deployed import FORMATS
    from traintwice.study import Store
    from traintwice.study._export import export as write_model

    kept = Store(store, create=False)
    for name, file in write_model(load(store, study, trust=trust), kept, row, replica, out, tuple(formats or FORMATS)).items():
        Console().print(f"{name}: {file} (predicts the same)", highlight=False, soft_wrap=True)


def predict(
    store: Weights,
    inputs: Annotated[
        Path,
        typer.Argument(
            help="A .npy file of inputs, or a .npz file with arrays inputs and labels (optional); of several inputs an array of each."
        ),
    ],
    row: Row,
    replica: Replica = 0,
    study: Study = None,
    out: Annotated[Path, typer.Option(help="Prediction file to write (Parquet).")] = Path("predictions.parquet"),
    trust: options.Trust = False,
) -> None:
    """Predict new data with a trained model; `traintwice measure` and `diff` read the file."""
    require("torch", extra="torch", purpose="prediction")
    import numpy as np

    from traintwice.cli._study import load
    from traintwice.predictions import write_predictions
    from traintwice.study import Store
    from traintwice.study._export import as_networks_take_them, model_of
    from traintwice.study._export import predict as predict_with

    check_outputs({"--out": out}, [inputs])
    results = load(store, study, trust=trust)
    read, labels = _read_inputs(inputs, results.data.shape)
    x = as_networks_take_them(read, results.data, str(inputs))
    model = model_of(results, Store(store, create=False), row, replica)
    probs = predict_with(model, x)
    write_predictions(out, probs, ids=np.arange(len(probs)), labels=labels)
    Console().print(f"{len(probs):,} rows: {out}", highlight=False, soft_wrap=True)


def needed(store: Store) -> dict[str, list[str]]:
    """Digest of a recipe to the rows that need it ("study: row"), over all studies of a store; rows need their earlier models too.

    A study needs the replicas of its recipes on every data set of the store where its own data cannot be read without running code.
    """
    from traintwice.specs import key_of
    from traintwice.study import Experiment
    from traintwice.study._store import KINDS

    rows: dict[str, list[str]] = {}
    every = {found for key in store.digests() if isinstance(found := store.identity(key).get("data"), str)}
    for name in store.studies():
        experiment = Experiment.from_dict(store.study(name) or {}, source=f"{store.path}: study {name}")
        try:
            digests = {experiment.data.load().digest}
        except BadInput:
            digests = every
        for row, recipe in experiment.rows.items():
            for part, of in _with_earlier(recipe, f"{name}: {row}"):
                for data in digests:
                    rows.setdefault(key_of(part, data, experiment.seed), []).append(of)
    for kind in KINDS:
        for name in store.notes(kind):
            for key, of in (store.note(kind, name) or {}).get("keys", {}).items():
                rows.setdefault(key, []).append(f"{name}: {of}")
    return rows


def _with_earlier(recipe: Recipe, of: str) -> Iterator[tuple[Recipe, str]]:
    yield recipe, of
    for earlier in recipe.earlier():
        yield from _with_earlier(earlier.recipe, f"{of} (earlier model)")


def _entry(store: Store, key: str, rows: list[str]) -> dict[str, Any]:
    from traintwice.study import Damage

    numbers = store.replicas(key)
    damaged = sum(isinstance(store.record(key, m), Damage) for m in numbers)
    sizes = {"replicas": len(numbers) - damaged, "damaged": damaged, "bytes": store.size(key)}
    return {"key": key, "rows": rows, **sizes, "described": bool(store.identity(key))}


def _prune(store: Store, rows: dict[str, list[str]], *, dry_run: bool) -> tuple[int, list[str]]:
    """Bytes freed, and the removed files in words."""
    from traintwice.study import Damage

    freed, what = 0, []
    for key in store.digests():
        if key not in rows:
            freed += store.size(key)
            line = f"{len(store.replicas(key))} replicas of {key[:12]}, which no study needs"
            others = [] if dry_run else store.remove(key)
            what.append(line + (f" (kept, since no store wrote them: {', '.join(others)})" if others else ""))
            continue
        for replica in store.replicas(key):
            found = store.record(key, replica)
            if isinstance(found, Damage):
                freed += 0 if dry_run else store.remove_replica(key, replica)
                what.append(f"replica {replica} of {key[:12]}: {found.reason}")
    for leftover in list(store.leftovers()):
        freed += leftover.stat().st_size
        what.append(f"{leftover.name}, left by an interrupted write")
        if not dry_run:
            leftover.unlink(missing_ok=True)
    return freed, what


def _read_inputs(path: Path, shape: tuple[int, ...]) -> tuple[Any, np.ndarray | None]:
    """Inputs and labels of a file: an array, or where the training data has several inputs a mapping or a list of them."""
    from traintwice._arrays import as_classes
    from traintwice.predictions._array_files import open_arrays
    from traintwice.predictions._inputs import format_of

    if (kind := format_of(path, str(path))[0]) not in ("npy", "npz", "safetensors"):
        raise BadInput(f"{path}: got a file of the format {kind}, expected npy, npz or safetensors")
    with tempfile.TemporaryDirectory() as folder:
        found = open_arrays(path, Path(folder), str(path))
        arrays = {name or "inputs": array.rows(0, array.shape[0] if array.shape else 1) for name, array in found.items()}
    wanted = _names_of_inputs(shape)
    if missing := [name for name in wanted if name not in arrays]:
        raise BadInput(
            f"{path}: has the arrays {', '.join(arrays) or 'none'}, expected {'an array' if len(wanted) == 1 else 'arrays'} named "
            f"{' and '.join(missing)}"
        )
    for name in wanted:
        array = arrays[name]
        if array.dtype.kind not in "fiub" or array.ndim < (2 if wanted == ["inputs"] else 1) or not len(array):
            raise BadInput(
                f"{path}: {name} have dtype {array.dtype} and shape {array.shape}, expected numbers for at least one example"
            )
    inputs: Any = {name: arrays[name] for name in wanted}
    if not isinstance(getattr(shape, "shapes", None), dict):
        inputs = arrays["inputs"] if wanted == ["inputs"] else list(inputs.values())
    labels, count = None if "labels" in wanted or "labels" not in arrays else as_classes(arrays["labels"]), len(arrays[wanted[0]])
    if labels is not None and labels.shape != (count,):
        raise BadInput(f"{path}: labels have shape {labels.shape}, expected one for each of the {count:,} inputs")
    return inputs, labels


def _names_of_inputs(shape: tuple[int, ...]) -> list[str]:
    """Names of the arrays of inputs: those that a loader gives, NumPy's own for inputs by position, or "inputs" for one."""
    from traintwice.data import PackedShape

    if not isinstance(shape, PackedShape) or (len(shape.parts) == 1 and shape.parts[0].name is None):
        return ["inputs"]
    return [part.name or f"arr_{i}" for i, part in enumerate(shape.parts)]
