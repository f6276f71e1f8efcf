"""Files of data sets: where they are, how they are read and downloaded, and the digest of their content."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
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
    """Folders in which to look for the files of a data set: ``folder`` alone, or that of its name in the data folder and others."""
    if folder is not None:
        return (Path(folder).expanduser(),)
    return (data_folder() / name, *others)


def find(name: str, file: str, among: tuple[Path, ...], *, advice: str) -> Path:
    """The path of a file, or of the same with ``.gz``; where no folder has it, the message names the folders and the advice."""
    for folder in among:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    looked = " or ".join(str(folder) for folder in among)
    raise BadInput(f"{name}: no {file} (or {file}.gz) in {looked}. {advice}")


def user_file(name: str) -> Path:
    """The path of a file of the user's."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise BadInput(f"{path}: no such file. Relative paths start at the working directory")
    return path


def installed_file(package: str, file: str, *, purpose: str, advice: str) -> Path:
    """A file of an installed package, which is not imported: that would take a second, or fail with current versions of others."""
    require(package, extra="demo", purpose=purpose)
    spec = find_spec(package)
    paths = [Path(folder) / file for folder in (spec.submodule_search_locations if spec else None) or ()]
    for path in paths:
        if path.is_file():
            return path
    raise BadInput(f"{package} is installed without its file {' or '.join(map(str, paths)) or file}. {advice}")


def reading(path: Path, read: Callable[[Path], T], damaged: tuple[type[Exception], ...], *, advice: str) -> T:
    """The result of ``read`` on a file; the errors ``damaged`` of the reader become a message with how to get the file again."""
    try:
        return read(path)
    except PermissionError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except damaged as error:
        reason = str(error) or type(error).__name__
        raise BadInput(f"{path}: truncated or damaged ({reason}); delete it and get it again. {advice}") from None


@dataclass(frozen=True)
class Remote:
    """A file to download, its published checksum, folders that have it, tried in order, and of an archive the files to extract."""

    file: str
    md5: str
    addresses: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the files after the download."""
        return tuple(Path(member).name for member in self.members) or (self.file,)


def download(remotes: tuple[Remote, ...], folder: Path) -> list[Path]:
    """Download the missing files; all of them, in ``folder``."""
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


BLOCK = 1 << 22


def digest_of_files(files: Sequence[Path]) -> str:
    """BLAKE2b of the bytes of files, in this order; cached in ``digests`` in the data folder.

    The key of the cache is path, size and modification time of every file, so a change that keeps all three is not noticed until the
    cache is emptied. If the cache cannot be written, files are read each time.
    """
    marks = hashlib.blake2b(digest_size=16)
    for file in files:
        stat = _stat(file)
        marks.update(f"{file.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    remembered = data_folder() / "digests" / marks.hexdigest()
    if remembered.is_file():
        return remembered.read_text()
    total = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(8) as pool:
        for digest in pool.map(_digest, files, chunksize=64):
            total.update(digest)
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_whole(remembered, total.hexdigest().encode())
    except OSError:
        return total.hexdigest()
    return total.hexdigest()


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None


def _digest(file: Path) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    try:
        with file.open("rb") as opened:
            while block := opened.read(BLOCK):
                state.update(block)
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None
    return state.digest()
