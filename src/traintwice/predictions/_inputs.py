"""Which models are meant: files, folders, globs, tables and arrays as one item for each model."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import array_api_compat

from traintwice._addresses import Address, is_address, without_secrets
from traintwice._arrays import is_series, to_numpy
from traintwice._files import by_magic, check_name, refuse_foreign, start_of
from traintwice.errors import BadInput
from traintwice.logs import is_log
from traintwice.logs._reading import TABLES
from traintwice.predictions._bank import BANK, BankReplica, replicas_in_bank
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._reading import Reading
from traintwice.predictions._remote import RemoteFile, inside, is_remote_folder, is_remote_glob, matches
from traintwice.predictions._tables import DATABASES, DatabaseTable, LakeTable, lake_table

ENDINGS = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".csv.gz", ".csv.zst"), "csv"),
    **dict.fromkeys((".tsv", ".tsv.gz", ".tsv.zst"), "tsv"),
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst"), "jsonl"),
    **dict.fromkeys((".arrow", ".arrows", ".feather", ".ipc"), "arrow"),
    **{f".{kind}": kind for kind in ("npz", "npy", "safetensors")},
}
"""Ending of a file's name to its format."""
MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow", b"\x93NUMPY": "npy", b"PK\x03\x04": "npz"}
"""First bytes of a file to its format."""
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
"""First bytes of a file to its compression."""
JSON_ARRAY = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*[{\[]")
File: TypeAlias = Path | RemoteFile
Place: TypeAlias = File | LakeTable | DatabaseTable | BankReplica
PARTITION, NO_VALUE = re.compile(r"([^=]+)=(.*)", re.DOTALL), "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Shards:
    """Files that hold the rows of one model.

    Attributes:
        name: as the user wrote it.
        files: in numeric order.
        partitions: for each file the values of the folders named ``key=value``; None where a value is missing.
    """

    name: str
    files: tuple[File, ...]
    partitions: tuple[dict[str, str | None], ...]


@dataclass(frozen=True)
class TableWithArrays:
    """A table in memory, and arrays with one entry for each of its rows."""

    table: Any
    columns: Mapping[str, Any]


def numeric_order(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts run_2 before run_10.

    >>> sorted(["run_10.csv", "run_2.csv"], key=numeric_order)
    ['run_2.csv', 'run_10.csv']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path)]


def expand(inputs: Any) -> list[Any]:
    """At least one item, as `items_of` gives them, no file among them twice."""
    found = items_of(inputs)
    if not found:
        raise BadInput("no files of predictions were given; pass at least one path, glob, directory or table")
    places = [p for item in found for p in (item.files if isinstance(item, Shards) else (item,)) if isinstance(p, Place)]
    counts = Counter(map(_identity, places))
    if twice := [place for place in places if counts[_identity(place)] > 1]:
        raise BadInput(f"{twice[0]} is named twice: a file always agrees with itself; name each replica once")
    return found


def one_model(given: str | Path) -> Place | Shards:
    """The file or table of one model; the files of a folder, a glob or a tree with folders named ``key=value`` are its shards."""
    text, known = _named(given)
    if known is not None:
        if len(known) > 1:
            raise BadInput(f"{text}: names {len(known)} replicas, expected one model; add its number, such as {text}/0")
        return known[0]
    found = _places(text)
    if found is None:
        return _file(text)
    return _shards(text, [file for name, is_folder in found for file in (_tree(name) if is_folder else [_file(name)])])


def is_array(given: Any) -> bool:
    """True for an array or `Predictions`, False for a file or table."""
    return isinstance(given, Predictions) or bool(array_api_compat.is_array_api_obj(given)) or is_series(given)


def items_of(given: Any) -> list[Any]:
    """One item for each model that was given: paths and addresses of files and tables, replicas of a bank, tables in memory, arrays.

    A path that exists is itself, whatever characters it has; otherwise it is a glob. A directory means the prediction
    files directly in it, one replica each; a directory of shards (it holds ``_SUCCESS`` or directories named ``key=value``), and
    every directory that a glob matches, is one replica. Several matches come in numeric order.
    """
    if isinstance(given, tuple) and (hasattr(given, "_fields") or hasattr(given, "asDict")):
        raise BadInput(f"got a row ({type(given).__name__}); expected a table, as pandas.DataFrame(rows) makes of rows")
    if isinstance(given, list | tuple):
        return [item for part in given for item in items_of(part)]
    if not isinstance(given, str | Path):
        return [given]
    text, known = _named(given)
    return list(_replicas(text) if known is None else known)


def are_logs(models: Sequence[Any], wanted: Reading) -> bool:
    """Whether models are evaluation logs, or files whose column of correctness is named."""
    names = [str(model) if isinstance(model, str | Path | Address | Shards) else "a table or array" for model in models]
    are_files = [isinstance(model, str | Path) for model in models]
    if wanted["correct"] is not None:
        if not all(are_files):
            told = f"{names[are_files.index(False)]}: --correct reads one file of this machine for each model"
            raise BadInput(f"{told}; copy it to a file first")
        return True
    logs = [
        is_file and Path(model).suffix.lower() not in TABLES and is_log(model)
        for model, is_file in zip(models, are_files, strict=True)
    ]
    if any(logs) and not all(logs):
        told = f"{names[logs.index(False)]} is not an evaluation log and {names[logs.index(True)]} is one"
        raise BadInput(f"{told}; pass logs alone")
    for name in ("answer", "normalise", "scorer", "filter", "task"):
        if wanted[name] and not any(logs):
            needs_column = "--answer needs --correct, the column of the correctness"
            told = needs_column if name == "answer" else f"--{name} is for evaluation logs"
            raise BadInput(f"{told}; {names[0]} is not a log of a known layout")
    return any(logs)


def one_item(given: Any, name: str) -> Any:
    """The one model that was given as the argument of this name; a directory or glob is a model in parts."""
    items = [one_model(given)] if isinstance(given, str | Path) else items_of(given)
    if len(items) != 1:
        told = f"{name}: {len(items)} files or arrays were given, expected one model"
        rows = "; make one table of rows, as pandas.DataFrame(rows), or of batches, as pyarrow.Table.from_batches(batches)"
        raise BadInput(told if all(isinstance(item, Place | Shards) or is_array(item) for item in items) else told + rows)
    return items[0]


def replicas_of(given: Any) -> list[Any]:
    """One item for each replica: an array ``M N K`` or ``M N``, or `Predictions` of M replicas, is cut into its replicas.

    Raises:
        BadInput: one array that has another shape.

    >>> [item.shape for item in replicas_of(np.zeros((3, 5), dtype=int))], len(replicas_of([np.zeros(5), np.ones(5)]))
    ([(5,), (5,), (5,)], 2)
    """
    items = items_of(given)
    if len(items) != 1 or not is_array(items[0]):
        return items
    (whole,) = items
    if isinstance(whole, Predictions):
        return [whole.models(m, m + 1) for m in range(whole.replicas)]
    if whole.ndim not in (2, 3):
        raise BadInput(
            f"predictions: got shape {tuple(whole.shape)}, expected (replicas, examples) or (replicas, examples, classes)"
        )
    return list(to_numpy(whole))


def _named(given: str | Path) -> tuple[str, list[Place] | None]:
    """A path or address as text, and what it names alone: a file, a table, a log, the replicas of a bank; None: see `_places`."""
    if isinstance(given, str) and not given.strip():
        raise BadInput(f"{given!r} is not a path")  # an empty one would mean the current directory
    if isinstance(given, Path) and re.match(r"[a-z][a-z0-9]+:/[^/]", str(given)):
        raise BadInput(f"{given}: pathlib makes one slash of the two in an address; pass it as text")
    check_name(given)
    text, path = str(given), Path(given)
    if text.startswith(BANK):
        return text, list(replicas_in_bank(text))
    if "://" not in text and not text.endswith(".json") and path.is_file() and path.stat().st_size:
        return text, [path]
    if (table := _table(text)) is not None:
        return text, [table]
    is_log_folder = not is_address(text) and path.is_dir() and is_log(text)
    return text, [path] if text == "-" or is_log_folder else None


def _table(text: str) -> LakeTable | DatabaseTable | None:
    """The table of a database or a lakehouse, where a name means one."""
    if text.partition("://")[0] in DATABASES:
        return DatabaseTable(text)
    is_file = format_of_name(RemoteFile(text)) is not None if is_address(text) else Path(text).is_file()
    return lake_table(text) if not is_file or text.endswith(".json") else None


def _identity(place: Place) -> Place | tuple[int, int]:
    """What the names of one file, links among them, have in common."""
    if not isinstance(place, Path) or not place.is_file():
        return place
    found = place.stat()
    return found.st_dev, found.st_ino


def _replicas(text: str) -> list[Place | Shards]:
    found = _places(text)
    if found is None:
        return [_file(text)]
    if found[0][0] != text:
        return [one_model(name) for name, _ in sorted(found, key=lambda place: numeric_order(place[0]))]
    files, folders = _entries(text)
    if any(file.name == "_SUCCESS" for file in files) or any(map(PARTITION.fullmatch, folders)):
        return [_shards(text, _tree(text))]
    here = [_file(file) for file in files if format_of_name(file) is not None and not file.name.startswith((".", "_"))]
    if not here:
        raise _none_in(text)
    return sorted(here, key=lambda file: numeric_order(str(file)))


def _places(text: str) -> list[tuple[str, bool]] | None:
    """What is there under the name of a folder or a glob, and whether each is a folder; None for the name of a file."""
    if is_address(text):
        is_folder = is_remote_folder(text)
        if is_folder is None and is_remote_glob(text):
            return [(name, bool(is_remote_folder(name))) for name in matches(text)]
        return [(text, True)] if is_folder else None
    if Path(text).is_dir():
        return [(text, True)]
    if Path(text).exists() or not glob.has_magic(text):
        return None
    found = [Path(match) for match in glob.glob(text, recursive=True)]  # noqa: PTH207
    found = [path for path in found if not path.is_dir() or "**" not in text]
    above = {parent for path in found for parent in path.parents}
    found = [path for path in found if path not in above]
    if not found:
        raise BadInput(f"{text}: no such file, and nothing matches it as a glob")
    return [(str(path), path.is_dir()) for path in found]


def _entries(folder: str) -> tuple[list[File], set[str]]:
    """The files directly in a folder, and the names of its folders."""
    if is_address(folder):
        within = inside(folder)
        return [file for parts, file in within.items() if len(parts) == 1], {parts[0] for parts in within if len(parts) > 1}
    entries = list(Path(folder).iterdir())
    return [path for path in entries if path.is_file()], {path.name for path in entries if path.is_dir()}


def _none_in(folder: str) -> BadInput:
    return BadInput(f"{folder}: no prediction files in this directory; known endings are {', '.join(ENDINGS)}")


def _tree(folder: str) -> list[File]:
    """The prediction files of a folder and of its folders; hidden files and those that start with _ are not among them."""
    within: Mapping[tuple[str, ...], File]
    if is_address(folder):
        within = inside(folder)
    else:
        within = {path.relative_to(folder).parts: path for path in Path(folder).rglob("*") if path.is_file()}
    found = []
    for parts, path in within.items():
        hidden = any(part.startswith((".", "_")) for part in parts)
        if not hidden and (format_of_name(path) or path.name.startswith("part-")):
            if not all(PARTITION.fullmatch(part) for part in parts[:-1]):
                told = f"{folder}: {'/'.join(parts)} is in a folder of its own that is not named key=value"
                raise BadInput(f"{told}; name the folder or the files of one model")
            found.append(path)
    if not found:
        raise _none_in(folder)
    return found


def _shards(name: str, found: Sequence[File]) -> File | Shards:
    files = sorted(map(_file, found), key=lambda file: numeric_order(str(file)))
    if len({_identity(path) for path in files}) < len(files):
        raise BadInput(f"{name}: a file is in it twice, by a link; each row of a model counts once")
    partitions: list[dict[str, str]] = [
        {m[1]: m[2] for part in path.parts[:-1] if (m := PARTITION.fullmatch(part))} for path in files
    ]
    if len({tuple(part) for part in partitions}) > 1:
        one, other = sorted({" ".join(part) or "none" for part in partitions})[:2]
        told = f"{name}: files are in folders of different keys ({one}; {other})"
        raise BadInput(f"{told}; the files of one model have the same keys")
    if len(files) == 1 and not partitions[0]:
        return files[0]
    values = ({key: None if value == NO_VALUE else unquote(value) for key, value in part.items()} for part in partitions)
    return Shards(without_secrets(name), tuple(files), tuple(values))


def _file(given: str | File) -> File:
    """A file that is there; one that is not on this machine is looked at when it is opened."""
    if isinstance(given, RemoteFile) or is_address(str(given)):
        return given if isinstance(given, RemoteFile) else RemoteFile(str(given))
    text, path = str(given), Path(given)
    if not path.exists():
        table, mark, version = text.rpartition("@")
        if mark and Path(table).exists():
            raise BadInput(
                f"{text}: no such file; @{version} is for versions of Delta and Iceberg tables, and {table} is not one"
            )
        raise BadInput(f"{text}: no such file{', and nothing matches it as a glob' if glob.has_magic(text) else ''}")
    if not path.is_file():
        raise BadInput(f"{path} is not a regular file; predictions are read more than once, so write them to a file first")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty (0 bytes)")
    return path


def format_of_name(path: File) -> str | None:
    """The format that the ending of a file's name says; None for another ending."""
    return next((kind for ending, kind in ENDINGS.items() if path.name.lower().endswith(ending)), None)


def format_of(path: Path, shown: str) -> tuple[str, str | None]:
    """The format of a file and its compression: by its first bytes, and where they are text or a tensor by the ending of its name."""
    ending, start = format_of_name(path), start_of(path, shown)
    packed = by_magic(start, COMPRESSED)
    refuse_foreign(start, shown)
    if ending is not None or packed is not None:
        return ending or "csv", packed
    if (kind := by_magic(start, MAGIC)) is not None:
        return kind, None
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "safetensors", None
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "jsonl", None
    if JSON_ARRAY.match(start):
        raise BadInput(f"{shown}: holds one JSON array; expected JSON lines, an object on each line")
    line = start.split(b"\n")[0]
    if b"\0" not in start and any(mark in line for mark in (b",", b";", b"\t", b"|")):
        return "csv", None
    known = "Parquet, CSV, TSV, JSON lines, Arrow, npy, npz, safetensors"
    raise BadInput(f"{shown}: neither the name nor the first bytes say the format; expected one of {known}")
