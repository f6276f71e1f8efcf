"""Every reader and decoder as a function of bytes, with seeds: for the tests of arbitrary content and for ``make fuzz``."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import TraintwiceError

CORPUS = Path(__file__).with_name("corpus")
"""A folder of seeds for each reader: small valid files, and those that once ended in a traceback."""

KEY = "0" * 32


@dataclass(frozen=True)
class Reader:
    """A reader of one file.

    Attributes:
        read: takes the path of the file.
        file: its name below a folder; the ending may say the format.
        prepare: writes the files around it.
    """

    read: Callable[[Path], Any]
    file: str
    prepare: Callable[[Path], Any] = Path.exists

    def errors(self, content: bytes, folder: Path) -> str:
        """The message of the project's own error, empty without one; any other exception is raised."""
        path = folder / self.file
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            self.prepare(folder)
        path.write_bytes(content)
        try:
            self.read(path)
        except TraintwiceError as error:
            return str(error)
        return ""


def _predictions(path):
    from traintwice.predictions import open_predictions

    with open_predictions([path], on_missing="drop") as opened:
        return opened.summary.rows, opened.read().examples


def _arrays(path):
    from traintwice.predictions import open_predictions

    with open_predictions([path], by_position=True) as opened:
        return opened.summary.rows, opened.read().examples


def _log(path):
    from traintwice.logs import read_log, recognise

    recognise(path)
    for options in ({}, {"scorer": "exact_match", "filter": "strict-match"}, {"correct": "acc", "id": "doc_id"}):
        try:
            read_log(path, **options)
        except TraintwiceError:
            continue


def _tokens(path):
    from traintwice.logs import compare_tokens

    compare_tokens(path, path)


def _study(path):
    from traintwice.study import Experiment

    Experiment.read(path).to_toml()


def _gate(path):
    from traintwice.gates import read_gate

    read_gate(path)


def _recipe(path):
    from traintwice.errors import BadSpec
    from traintwice.recipes import Recipe
    from traintwice.specs import decode, encode

    try:
        plain = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadSpec(str(error)) from None
    assert decode(Recipe, encode(decode(Recipe, plain))) is not None


def _a_store(folder):
    from traintwice.study import Store

    store = Store(folder / "runs")
    store.folder(KEY).mkdir(parents=True, exist_ok=True)
    store.save(KEY, 0, {"test": np.ones((1, 2, 2), np.float32)}, {"seed": 0})
    store.save_study("s", {"rows": {}, "replicas": 2, "recipe": {}})


def _store(path):
    from traintwice.study import Store

    store = Store(next(parent for parent in path.parents if parent.name == "runs"))
    store.record(KEY, 0)
    store.open(KEY, 0)
    store.identity(KEY)
    for name in store.studies():
        store.study(name)
    list(store.leftovers())
    store.load(KEY, 0)


def _records(path):
    from traintwice.replication import ReplicaStore

    store = ReplicaStore(next(parent for parent in path.parents if parent.name == "replicas"))
    store.record("base", 0)
    store.replicas("base")


def _pictures(path):
    from traintwice.data._mnist import read_idx

    read_idx(path, axes=1, advice="")


def _clicks(path):
    from traintwice.data._criteo import Lines

    Lines(path).block(0)


def _table(path):
    from traintwice.data import Table

    Table(str(path), label="y", train=8, validation=2, test=2).load()


READERS = {
    **{name: Reader(_predictions, f"a.{name}") for name in ("csv", "tsv", "jsonl", "parquet", "feather", "npz", "safetensors")},
    **{name: Reader(_predictions, f"a.{name}") for name in ("csv.gz", "jsonl.gz", "csv.zst")},
    "npy": Reader(_arrays, "a.npy"),
    "no-ending": Reader(_predictions, "a"),
    "logs": Reader(_log, "log"),
    "tokens": Reader(_tokens, "tokens"),
    "study.toml": Reader(_study, "study.toml"),
    "gate.toml": Reader(_gate, "gate.toml"),
    "recipe": Reader(_recipe, "recipe.json"),
    "store-marker": Reader(_store, "runs/store.json", _a_store),
    "store-record": Reader(_store, f"runs/replicas/{KEY}/0000.json", _a_store),
    "store-recipe": Reader(_store, f"runs/replicas/{KEY}/recipe.json", _a_store),
    "store-logits": Reader(_store, f"runs/replicas/{KEY}/0000.safetensors", _a_store),
    "store-study": Reader(_store, "runs/studies/s.json", _a_store),
    "replica-marker": Reader(_records, "replicas/replicas.json"),
    "replica-record": Reader(_records, "replicas/records/base/0000.json"),
    "idx.gz": Reader(_pictures, "labels-idx1-ubyte.gz"),
    "criteo": Reader(_clicks, "day.txt"),
    "table.csv": Reader(_table, "table.csv"),
    "table.csv.gz": Reader(_table, "table.csv.gz"),
}
"""Name of a reader, and of the folder of its seeds, to the reader."""


def seeds(name):
    """The seeds of a reader."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
