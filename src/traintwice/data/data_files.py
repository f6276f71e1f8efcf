"""Files of data sets: where they are, how they are read, and how they are downloaded."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from traintwice.errors import BadInput, require
from traintwice.files import write_whole

T = TypeVar("T")

VARIABLE = "TRAINTWICE_DATA"
"""Environment variable that names the folder of all data."""


def data_folder() -> Path:
    """The folder of all data: the environment variable TRAINTWICE_DATA, else ~/.cache/traintwice."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "traintwice"


def places(name: str, folder: str | None, others: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Where the files of a data set may lie: the folder given and nowhere else, or where they are put and found by themselves.

    Args:
        name: of the data set, and of its folder within the folder of all data.
        folder: as the user gave it.
        others: where else they may be installed.
    """
    if folder is not None:
        return (Path(folder).expanduser(),)
    return (data_folder() / name, *others)


def find(name: str, file: str, among: tuple[Path, ...], *, advice: str) -> Path:
    """A file, or the same with ``.gz``.

    Raises:
        BadInput: it is in none of the folders; says where they were looked for and what to do.
    """
    for folder in among:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    looked = " or ".join(str(folder) for folder in among)
    raise BadInput(f"{name}: no {file} (or {file}.gz) in {looked}. {advice}")


def reading(path: Path, read: Callable[[Path], T], broken: tuple[type[Exception], ...], *, advice: str) -> T:
    """What ``read`` makes of a file; where it is damaged, an error that says so.

    Args:
        path: the file.
        read: the reader.
        broken: what the reader raises where the bytes are not what they should be.
        advice: how to get the file again.
    Raises:
        BadInput: the file cannot be read, is cut off or damaged.
    """
    try:
        return read(path)
    except PermissionError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except broken as error:
        reason = str(error) or type(error).__name__
        raise BadInput(f"{path}: cut off or damaged ({reason}); delete it and get it again. {advice}") from None


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Args:
        file: its name.
        md5: as its authors, or those who mirror it, publish it.
        addresses: folders it is in, tried in order.
        members: where it is an archive, the files to take out of it.
    """

    file: str
    md5: str
    addresses: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The files that are there afterwards."""
        return tuple(Path(member).name for member in self.members) or (self.file,)


def download(remotes: tuple[Remote, ...], folder: Path) -> list[Path]:
    """Fetch what is not there yet.

    Returns:
        The files, in ``folder``.
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
        f"Get it on a machine that can reach one of them and put it into {folder}"
    )


def _unpack(archive: Path, remote: Remote, folder: Path) -> None:
    """Only the files wanted, by their plain names: whatever else an archive holds, or wherever it wants to put it, is left."""
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
        raise BadInput(f"{archive}: does not hold what it should ({error}); delete it and download it again") from None
