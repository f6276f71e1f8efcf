"""Files of logs: what their first bytes show, and JSON as lines, as documents with one long array, and as nested values."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast

from traintwice.errors import BadInput, TraintwiceError, hidden

LOOKED_AT = 1 << 20
"""Bytes of a file that are read to recognise it."""

LOGITS = b"_logits_"
"""How a file of llama.cpp's ``--kl-divergence-base`` begins."""

BYTE_ORDER_MARK, GZIP = b"\xef\xbb\xbf", b"\x1f\x8b"

MISSING: Any = object()
"""What `at` returns where a path leads to nothing."""

_DECODER = json.JSONDecoder()

_JSON_KINDS = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}


@dataclass(frozen=True)
class Head:
    """The start of a file.

    Attributes:
        path: of the file.
        kind: by the first bytes.
        names: names in a zip file.
        first: members of the first JSON object, as far as the start of the file holds them.
        footer: metadata of a Parquet file.
    """

    path: Path
    kind: Literal["zip", "parquet", "logits", "json", "array", "other"]
    names: frozenset[str] = frozenset()
    first: dict[str, Any] = field(default_factory=dict)
    footer: bytes = b""


@contextmanager
def unpacking(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it is compressed with gzip."""
    with path.open("rb") as file:
        if file.read(2) != GZIP:
            file.seek(0)
            yield file
            return
    try:
        with gzip.open(path) as packed:
            yield cast(IO[bytes], packed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as reason:
        raise BadInput(f"{path}: cannot be read ({reason}); it may be cut short") from None


def head_of(path: Path) -> Head:
    """The start of a file."""
    with unpacking(path) as file:
        start = file.read(LOOKED_AT)
    if start.startswith(b"PK\x03\x04"):
        return Head(path, "zip", _zip_names(path, start))
    if start.startswith(b"PAR1"):
        return Head(path, "parquet", footer=_footer(path))
    if start.startswith(LOGITS):
        return Head(path, "logits")
    text = start.removeprefix(BYTE_ORDER_MARK).decode(errors="ignore")
    first = _beginning(text)
    return Head(path, "json" if first else "array" if re.match(r"\s*\[\s*\{", text) else "other", first=first)


def _zip_names(path: Path, start: bytes) -> frozenset[str]:
    """Names in a zip file; empty where it cannot be read and does not begin as a log."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, struct.error, ValueError, RuntimeError):
        if not start[30:].startswith((b"_journal/", b"samples/", b"header.json")):
            return frozenset()
        raise BadInput(
            f"{path}: begins as an .eval log of inspect_ai, and has no list of contents at its end: it is cut short. "
            "Copy the file again, or repeat the run."
        ) from None


def _footer(path: Path) -> bytes:
    """The metadata of a Parquet file, in which names of columns stand as text; empty where it is cut short."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        length = int.from_bytes(file.read(4), "little")
        if length > size - 8:
            return b""
        file.seek(size - 8 - length)
        return file.read(length)


def object_in(path: Path) -> dict[str, Any]:
    """The object in a small JSON file next to a log; empty where the file is missing or is not a JSON object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def foreign_records(path: Path, whose: str) -> Iterator[None]:
    """Turns what records of an unexpected shape raise into one error."""
    try:
        yield
    except TraintwiceError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError) as error:
        told = f"{path}: a record does not have the layout {whose}{hidden(f' ({type(error).__name__}: {error})')}"
        advice = "name the columns (--correct, --answer, --id) to read a file of another layout."
        raise BadInput(f"{told}. Expected records as that project writes them; {advice}") from error


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a JSONL file, one at a time; empty lines are skipped."""
    with unpacking(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(BYTE_ORDER_MARK).strip()
            if not text:
                continue
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:
                last = "" if line.endswith(b"\n") else " The file ends inside this line: it is cut short."
                told = f"{path}: line {number} is not valid JSON{hidden(f' ({error})')}"
                raise BadInput(f"{told}. Expected one JSON object a line.{last}") from None
            if not isinstance(record, dict):
                kind = _JSON_KINDS.get(type(record), "null")
                raise BadInput(f"{path}: line {number} is a JSON {kind}. Expected one JSON object a line.")
            yield number, record


def elements(path: Path, *keys: str, rest: dict[str, Any] | None = None) -> Iterator[Any]:
    """The elements of the array that keys lead to in a JSON document, which is the array where there are none, decoded one at a time.

    All other members on the way to the array are put into ``rest``, which is complete once the last element is read.
    """
    try:
        with unpacking(path) as file:
            text = file.read().removeprefix(BYTE_ORDER_MARK).decode()
        start = _space(text, 0)
        yield from _object(text, start, keys, {} if rest is None else rest) if keys else _array(text, start)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} is not UTF-8. Expected a JSON file.") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: {error.msg} at line {error.lineno}. Expected a complete JSON document.") from None
    except (IndexError, RecursionError):
        raise BadInput(f"{path}: the JSON document is cut short. Copy the file again, or repeat the run.") from None


def _beginning(text: str) -> dict[str, Any]:
    """Members of the first JSON object of a text that may end anywhere; unfinished values hold the members they have.

    >>> _beginning('{"a": 1, "b": {"c": [{"d": 2}, {"e": ')
    {'a': 1, 'b': {'c': [{'d': 2}]}}
    """
    found: dict[str, Any] = {}
    place = _space(text, 0)
    if text[place : place + 1] != "{":
        return found
    try:
        place = _space(text, place + 1)
        while text[place] == '"':
            key, place = _DECODER.raw_decode(text, place)
            place = _space(text, _space(text, place) + 1)
            try:
                found[key], place = _DECODER.raw_decode(text, place)
            except (ValueError, RecursionError):
                if text[place] == "{":
                    found[key] = _beginning(text[place:])
                elif text[place] == "[":
                    found[key] = [_beginning(text[place + 1 :])]
                break
            place = _space(text, place)
            if text[place] != ",":
                break
            place = _space(text, place + 1)
    except (ValueError, IndexError, RecursionError):
        pass
    return found


def table_rows(path: Path, source: str, expected: str, columns: str = "*", batch: int = 1024) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet or CSV file as objects, some of them at a time; ``expected`` ends the message where it cannot be read."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            cursor = connection.execute(f"SELECT {columns} FROM {source}", [str(path)])  # noqa: S608 - names and sources of ours
            names = [column[0] for column in cursor.description or ()]
            while rows := cursor.fetchmany(batch):
                yield from (dict(zip(names, row, strict=True)) for row in rows)
        except (duckdb.Error, RuntimeError) as error:  # RuntimeError: a name that is not UTF-8
            raise BadInput(f"{path}: cannot be read ({str(error).splitlines()[0]}). {expected}") from None


def at(record: Any, path: str) -> Any:
    """The value that a dotted path leads to in nested objects and lists; `MISSING` where there is none.

    A part is a key of an object or, in a list, an index from 0. A key that contains dots is found as well. Text that holds a JSON
    object or list is decoded on the way.

    >>> at({"doc": {"id": 7}, "resps": [["yes", "no"]]}, "resps.0.1"), at({"a.b": 1}, "a.b"), at({}, "a") is MISSING
    ('no', 1, True)
    """
    if isinstance(record, str) and record[:1] in ("{", "["):
        try:
            record = json.loads(record)
        except (ValueError, RecursionError):
            return MISSING
    if isinstance(record, dict):
        if path in record:
            return record[path]
        parts = path.split(".")
        for end in range(len(parts) - 1, 0, -1):
            key = ".".join(parts[:end])
            if key in record:
                return at(record[key], ".".join(parts[end:]))
    elif isinstance(record, list):
        index, dot, further = path.partition(".")
        if index.isdecimal() and int(index) < len(record):
            return at(record[int(index)], further) if dot else record[int(index)]
    return MISSING


def text_of(value: Any) -> str | None:
    """A value as text: text as it is, nothing as None, everything else as JSON with sorted keys."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _object(text: str, place: int, keys: tuple[str, ...], rest: dict[str, Any]) -> Generator[Any, None, int]:
    """Yields the elements of the array inside an object, and returns the place after the object."""
    place = _after(text, place, "{")
    while text[place] != "}":
        key, place = _DECODER.raw_decode(text, place)
        place = _after(text, _space(text, place), ":")
        if keys and key == keys[0] and len(keys) == 1 and text[place] == "[":
            place = yield from _array(text, place)
        elif keys and key == keys[0] and len(keys) > 1 and text[place] == "{":
            place = yield from _object(text, place, keys[1:], rest.setdefault(key, {}))
        else:
            rest[key], place = _DECODER.raw_decode(text, place)
        place = _space(text, place)
        if text[place] != "}":
            place = _after(text, place, ",")
    return place + 1


def _array(text: str, place: int) -> Generator[Any, None, int]:
    """Yields the elements of an array, and returns the place after the array."""
    place = _after(text, place, "[")
    while text[place] != "]":
        value, place = _DECODER.raw_decode(text, place)
        yield value
        place = _space(text, place)
        if text[place] != "]":
            place = _after(text, place, ",")
    return place + 1


def _after(text: str, place: int, sign: str) -> int:
    """The place of the next token after a sign that must be here."""
    if text[place] != sign:
        raise json.JSONDecodeError(f"expected {sign!r}, got {text[place]!r}", text, place)
    return _space(text, place + 1)


def _space(text: str, place: int) -> int:
    """The place of the next character that is not white space."""
    while text[place : place + 1] in (" ", "\t", "\n", "\r"):
        place += 1
    return place
