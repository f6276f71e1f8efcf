"""Which inputs are meant: files, folders, globs, tables and arrays as one item for each model."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote

from traintwice._addresses import is_address, without_secrets
from traintwice._files import check_name
from traintwice.errors import BadInput
from traintwice.logs import is_log
from traintwice.predictions._banked import BankReplica, is_banked, one_in_bank, replicas_in_bank
from traintwice.predictions._database import SCHEMES as DATABASES
from traintwice.predictions._database import DatabaseTable
from traintwice.predictions._lakehouse import LakeTable, lake_table
from traintwice.predictions._remote import RemoteFile, inside, is_remote_folder, is_remote_glob, matches

ENDINGS = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".csv.gz", ".csv.zst"), "csv"),
    **dict.fromkeys((".tsv", ".tsv.gz", ".tsv.zst"), "tsv"),
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst"), "jsonl"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
    **{f".{kind}": kind for kind in ("npz", "npy", "safetensors")},
}
"""Ending of a file's name to its format."""
MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\x93NUMPY": "npy", b"PK\x03\x04": "npz"}
"""First bytes of a file to its format."""
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of a file to its compression."""
File: TypeAlias = Path | RemoteFile
Place: TypeAlias = File | LakeTable | DatabaseTable | BankReplica
FileOrPart = TypeVar("FileOrPart", Path, RemoteFile)
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


def numeric_order(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts run_2 before run_10.

    >>> sorted(["run_10.csv", "run_2.csv"], key=numeric_order)
    ['run_2.csv', 'run_10.csv']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path)]


def expand(inputs: Any) -> list[Any]:
    """One item per replica: paths and addresses for what names files and tables, replicas of a bank, tables in memory and arrays.

    A path that exists is itself, whatever characters it has; otherwise it is a glob. A directory means the prediction
    files directly in it, one replica each; a directory of shards (it holds ``_SUCCESS`` or directories named ``key=value``), and
    every directory that a glob matches, is one replica. Several matches come in numeric order.

    Raises:
        BadInput: nothing matches, or the same file is named twice.
    """
    items = list(inputs) if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes) else [inputs]
    found = [part for item in items for part in (_replicas(_named(item)) if isinstance(item, str | Path) else [item])]
    if not found:
        raise BadInput("no files of predictions were given; pass at least one path, glob, directory or table")
    paths = [_identity(path) for item in found for path in _files_of(item)]
    if len(set(paths)) < len(paths):
        path = next(path for item in found for path in _files_of(item) if paths.count(_identity(path)) > 1)
        raise BadInput(f"{path} is named twice: a file always agrees with itself; name each replica once")
    return found


def one_model(given: str | Path) -> Place | Shards:
    """The file or table of one model; the files of a folder, a glob or a tree with folders named ``key=value`` are its shards.

    Raises:
        BadInput: no file of predictions is there.
    """
    text = _named(given)
    if is_banked(text):
        return one_in_bank(text)
    if (table := _table(text)) is not None:
        return table
    if is_address(text):
        is_folder = is_remote_folder(text)
        if not is_folder and (is_folder is False or not is_remote_glob(text)):
            return RemoteFile(text)
        of_folders = [(found, is_remote_folder(found)) for found in ([text] if is_folder else matches(text))]
        parts = [
            part for found, folder in of_folders for part in (_tree(found, inside(found)) if folder else [RemoteFile(found)])
        ]
        return _shards(text, parts)
    if Path(text).is_dir() and is_log(text):
        return Path(text)
    if not (Path(text).is_dir() or (glob.has_magic(text) and not Path(text).exists())):
        return _file(text)
    return _shards(text, [path for item in _matches(text) for path in (_tree_of(item) if item.is_dir() else [item])])


def _named(given: str | Path) -> str:
    """A path or address as text; an empty one is refused, because it would mean the current directory."""
    if isinstance(given, str) and not given.strip():
        raise BadInput(f"{given!r} is not a path")
    if isinstance(given, Path) and re.match(r"[a-z][a-z0-9]+:/[^/]", str(given)):
        raise BadInput(f"{given}: pathlib makes one slash of the two in an address; pass it as text")
    check_name(given)
    return str(given)


def _table(text: str) -> LakeTable | DatabaseTable | None:
    """The table of a database or a lakehouse, where a name means one."""
    if text.partition("://")[0] in DATABASES:
        return DatabaseTable(text)
    is_file = format_of_name(RemoteFile(text)) is not None if is_address(text) else Path(text).is_file()
    return lake_table(text) if not is_file or text.endswith(".json") else None


def _files_of(item: Any) -> tuple[Place, ...]:
    return (item,) if isinstance(item, Place) else item.files if isinstance(item, Shards) else ()


def _identity(item: Place) -> Place:
    return item.resolve() if isinstance(item, Path) else item


def _replicas(text: str) -> list[Place | Shards]:
    if is_banked(text):
        return list(replicas_in_bank(text))
    if (table := _table(text)) is not None:
        return [table]
    if is_address(text):
        return _remote_replicas(text)
    path = Path(text)
    if text == "-" or (path.exists() and not path.is_dir()) or not (path.is_dir() or glob.has_magic(text)):
        return [_file(text)]
    if path.is_dir():
        if is_log(path):
            return [path]
        if (path / "_SUCCESS").exists() or any(PARTITION.fullmatch(p.name) for p in path.iterdir() if p.is_dir()):
            return [one_model(path)]
        found = [p for p in path.iterdir() if p.is_file() and _is_prediction(p)]
        if not found:
            raise BadInput(f"{text}: no prediction files in this directory; known endings are {', '.join(ENDINGS)}")
    else:
        found = _matches(text)
    found.sort(key=lambda p: numeric_order(str(p)))
    return [one_model(p) if p.is_dir() else _file(str(p)) for p in found]


def _remote_replicas(text: str) -> list[Place | Shards]:
    is_folder = is_remote_folder(text)
    if is_folder:
        files = inside(text)
        if ("_SUCCESS",) in files or any(len(parts) > 1 and PARTITION.fullmatch(parts[0]) for parts in files):
            return [_shards(text, _tree(text, files))]
        here = [file for parts, file in files.items() if len(parts) == 1 and _is_prediction(file)]
        if not here:
            raise BadInput(f"{text}: no prediction files in this folder; known endings are {', '.join(ENDINGS)}")
        return sorted(here, key=lambda file: numeric_order(str(file)))
    if is_folder is None and is_remote_glob(text):
        return [one_model(found) for found in sorted(matches(text), key=numeric_order)]
    return [RemoteFile(text)]


def _matches(text: str) -> list[Path]:
    """A folder, or what a glob matches."""
    if Path(text).is_dir():
        return [Path(text)]
    found = [Path(match) for match in glob.glob(text, recursive=True)]  # noqa: PTH207
    found = [path for path in found if not any(path in other.parents for other in found)] if "**" not in text else found
    found = [path for path in found if not path.is_dir() or "**" not in text]
    if not found:
        raise BadInput(f"{text}: no such file, and nothing matches it as a glob")
    return found


def _is_prediction(file: File) -> bool:
    return format_of_name(file) is not None and not file.name.startswith((".", "_"))


def _tree_of(folder: Path) -> list[Path]:
    return _tree(str(folder), {path.relative_to(folder).parts: path for path in folder.rglob("*") if path.is_file()})


def _tree(folder: str, inside: Mapping[tuple[str, ...], FileOrPart]) -> list[FileOrPart]:
    """The prediction files of a folder and of its folders; hidden files and those that start with _ are not among them."""
    found = []
    for parts, path in inside.items():
        hidden = any(part.startswith((".", "_")) for part in parts)
        if not hidden and (format_of_name(path) or path.name.startswith("part-")):
            if not all(PARTITION.fullmatch(part) for part in parts[:-1]):
                told = f"{folder}: {'/'.join(parts)} is in a folder of its own that is not named key=value"
                raise BadInput(f"{told}; name the folder or the files of one model")
            found.append(path)
    if not found:
        raise BadInput(f"{folder}: no prediction files in this directory; known endings are {', '.join(ENDINGS)}")
    return found


def _shards(name: str, found: Sequence[File]) -> File | Shards:
    checked = [_file(str(path)) if isinstance(path, Path) else path for path in found]
    files = sorted(checked, key=lambda p: numeric_order(str(p)))
    if len({_identity(path) for path in files}) < len(files):
        raise BadInput(f"{name}: a file is in it twice, by a link; each row of a model counts once")
    partitions: list[dict[str, str]] = [
        {m[1]: m[2] for part in path.parts[:-1] if (m := PARTITION.fullmatch(part))} for path in files
    ]
    if len({tuple(part) for part in partitions}) > 1:
        one, other = sorted({" ".join(part) or "none" for part in partitions})[:2]
        raise BadInput(
            f"{name}: files are in folders of different keys ({one}; {other}); the files of one model have the same keys"
        )
    if len(files) == 1 and not partitions[0]:
        return files[0]
    return Shards(
        without_secrets(name),
        tuple(files),
        tuple({key: None if value == NO_VALUE else unquote(value) for key, value in part.items()} for part in partitions),
    )


def _file(text: str) -> Path:
    if "\0" in text or not text:
        raise BadInput(f"{text!r} is not a path")
    path = Path(text)
    if text == "-":
        return path
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
    return next((ENDINGS[ending] for ending in sorted(ENDINGS, key=len)[::-1] if path.name.lower().endswith(ending)), None)


def format_of(path: Path, shown: str) -> tuple[str, str | None]:
    """The format of a file and its compression: by its first bytes, and where they are text or a tensor by the ending of its name.

    Raises:
        BadInput: the file cannot be read, or is of no known format.
    """
    ending = format_of_name(path)
    try:
        with path.open("rb") as file:
            start = file.read(1 << 12)
    except OSError as reason:
        raise BadInput(f"{shown}: cannot be read ({reason.strerror or reason})") from reason
    packed = next((kind for magic, kind in COMPRESSED.items() if start.startswith(magic)), None)
    if ending in ("csv", "tsv", "jsonl") or (ending and packed is None):
        return ending, packed
    if packed is not None:
        return ("csv", packed) if ending is None else (ending, packed)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    if kind is None and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        kind = "safetensors"
    if kind is None and start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        kind = "jsonl"
    line = start.split(b"\n")[0]
    if kind is None and b"\0" not in start and any(mark in line for mark in (b",", b";", b"\t", b"|")):
        kind = "csv"
    if kind is None:
        known = "Parquet, CSV, TSV, JSON lines, Arrow, npy, npz, safetensors"
        raise BadInput(f"{shown}: neither the name nor the first bytes say the format; expected one of {known}")
    return kind, None
