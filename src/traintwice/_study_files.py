"""Files of a study, be it of recipes or of functions and commands: its TOML file, and the directory of its replicas."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from traintwice._files import TEMPORARY, check_name, write_whole
from traintwice.errors import BadSpec, StoreError, UnknownName

MOST_REPLICAS = 100_000
"""Largest number of replicas of a recipe; more are a typing error."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_IN_WORDS = "up to 64 letters, digits, '.', '-' and '_', beginning with a letter or digit"
"""Names of files of a store."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        BadSpec: the file is missing or is not TOML; the message names the file.
    """
    if not isinstance(path, str | Path):
        raise BadSpec(f"path: got {type(path).__name__}, expected the path of a TOML file")
    check_name(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSpec(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOML, or a number of thousands of digits
        raise BadSpec(f"{path}: not a TOML file ({error})") from None


def toml_of(key: str, value: str) -> dict[str, Any] | None:
    """The table of ``key = value``, where a word without quotes is a text; None where the key is not valid TOML.

    >>> toml_of("optimizer.lr", "0.1"), toml_of("kind", "fast"), toml_of("a b", "1")
    ({'optimizer': {'lr': 0.1}}, {'kind': 'fast'}, None)
    """
    for text in (value, tomli_w.dumps({"v": value}).partition("=")[2]):
        try:
            return tomllib.loads(f"{key} = {text}")
        except (ValueError, RecursionError):
            continue
    return None


@contextmanager
def named_in_errors(source: str) -> Iterator[None]:
    """Messages of errors of specifications inside start with the name of their file, where there is one."""
    try:
        yield
    except (BadSpec, UnknownName) as error:
        raise (type(error)(f"{source}: {error}") if source else error) from None


MAKERS = {"store.json": "`traintwice run`", "replicas.json": "`traintwice replicate`"}
"""File that marks a store to the command that makes it."""


def open_store(path: Path, marker: str, content: Mapping[str, Any], folders: Sequence[str], *, create: bool = True) -> None:
    """Check that a directory is a store, and make what it lacks.

    Args:
        path: of the directory.
        marker: name of the file that marks a store.
        content: of that file; the last entry is the version of the format.
        folders: of a store.
        create: make a store where there is none.
    Raises:
        StoreError: the directory cannot be made or written, or holds something else.
    """
    mark, (key, version) = path / marker, list(content.items())[-1]
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path}: is a file, expected a directory; choose another --store")
    if mark.exists():
        if (found := read_json(mark).get(key)) != version:
            raise StoreError(f"{path}: has {key} {found!r}, this version reads {version}; choose another --store")
    else:
        entries = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
        others = [name for name in entries if name not in (*folders, marker) and not name.startswith(TEMPORARY)]
        for other, maker in MAKERS.items():
            if other in others:
                raise StoreError(f"{path}: is a store of {maker}, expected one of {MAKERS[marker]}; choose another --store")
        if others:
            raise StoreError(
                f"{path}: has other files ({others[0]}) and is not a store of traintwice (no {marker}); choose another --store"
            )
        if not create:
            raise StoreError(f"{path}: no store here; `traintwice run` makes one")
    if create:
        try:
            for name in folders:
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from None
        if not mark.exists():
            write_note(path, mark, json_bytes(content))


def write_note(store: Path, path: Path, content: bytes) -> None:
    """Write a file of a store, and make its folder.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise _unwritable(store, error) from None


def _unwritable(store: Path, error: OSError) -> StoreError:
    return StoreError(f"{store}: cannot be written ({error.strerror}); choose another --store")


def json_bytes(content: Mapping[str, Any], **options: Any) -> bytes:
    """A JSON file of a store; ``options`` are those of `json.dumps`."""
    return (json.dumps(content, indent=1, ensure_ascii=False, **options) + "\n").encode()


def content_digest(content: bytes) -> str:
    """BLAKE2b of the content of a file."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a store.

    Raises:
        StoreError: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete it and run again, finished replicas are kept") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: got {type(value).__name__}, expected a JSON object")
    return value
