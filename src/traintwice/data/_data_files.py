"""Files of data sets: where they are, how they are read, and how they are downloaded."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from traintwice._files import write_whole
from traintwice.errors import BadInput, require

T = TypeVar("T")

VARIABLE = "TRAINTWICE_DATA"
"""Environment variable with the path of the data folder."""


def data_folder() -> Path:
    """The data folder: the environment variable TRAINTWICE_DATA, or ~/.cache/traintwice."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "traintwice"


def places(name: str, folder: str | None, others: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Folders in which to look for the files of a data set: ``folder`` alone, or the default folders.

    Args:
        name: of the data set, and of its folder in the data folder.
        folder: the explicit folder, or None.
        others: other folders in which a package may have installed the files.
    """
    if folder is not None:
        return (Path(folder).expanduser(),)
    return (data_folder() / name, *others)


def find(name: str, file: str, among: tuple[Path, ...], *, advice: str) -> Path:
    """The path of a file, or of the same with ``.gz``.

    Raises:
        BadInput: no folder has the file; the message names the folders and what to do.
    """
    for folder in among:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    looked = " or ".join(str(folder) for folder in among)
    raise BadInput(f"{name}: no {file} (or {file}.gz) in {looked}. {advice}")


def reading(path: Path, read: Callable[[Path], T], damaged: tuple[type[Exception], ...], *, advice: str) -> T:
    """The result of ``read`` on a file.

    Args:
        path: the file.
        read: the reader.
        damaged: errors that the reader raises for a damaged file.
        advice: how to get the file again.
    Raises:
        BadInput: the file cannot be read, is truncated or damaged.
    """
    try:
        return read(path)
    except PermissionError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except damaged as error:
        reason = str(error) or type(error).__name__
        raise BadInput(f"{path}: truncated or damaged ({reason}); delete it and get it again. {advice}") from None


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Args:
        file: name of the file.
        md5: published checksum of the file.
        addresses: URLs of folders with the file, tried in order.
        members: of an archive, the files to extract.
    """

    file: str
    md5: str
    addresses: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the files after the download."""
        return tuple(Path(member).name for member in self.members) or (self.file,)


def download(remotes: tuple[Remote, ...], folder: Path) -> list[Path]:
    """Download the missing files.

    Returns:
        The files in ``folder``.
    Raises:
        MissingExtra: Pooch is not installed. BadInput: no address answers, a file has another checksum, or ``folder`` cannot be written.
    """
    require("pooch", extra="data", purpose="downloading data")
    found = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for remote in remotes:
            if not all((folder / name).is_file() for name in remote.wanted):
                whole = _fetch(remote, folder)
                if remote.members:
                    _unpack(whole, remote, folder)
                    whole.unlink()
            found += [folder / name for name in remote.wanted]
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from None
    return found


def _fetch(remote: Remote, folder: Path) -> Path:
    import pooch
    import requests

    reasons = []
    for address in remote.addresses:
        url = address + remote.file
        try:
            return Path(pooch.retrieve(url, known_hash=f"md5:{remote.md5}", fname=remote.file, path=folder))
        except (requests.exceptions.RequestException, ValueError) as error:
            wrong = "does not match the known hash" in str(error)
            reasons.append(f"{url}: {'another checksum than ' + remote.md5 if wrong else type(error).__name__}")
    raise BadInput(
        f"{remote.file} could not be downloaded ({'; '.join(reasons)}). "
        f"Download the file on another machine and copy it to {folder}"
    )


def _unpack(archive: Path, remote: Remote, folder: Path) -> None:
    """Extract the listed members under their plain names; other members and the paths in the archive are ignored."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for member in remote.members:
                    write_whole(folder / Path(member).name, packed.read(member))
            return
        with tarfile.open(archive) as packed:
            for member in remote.members:
                inside = packed.extractfile(member)
                write_whole(folder / Path(member).name, inside.read() if inside is not None else b"")
    except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(f"{archive}: lacks an expected file ({error}); delete it and download it again") from None
