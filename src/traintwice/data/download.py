"""Files of data sets on the internet, fetched with their checksums."""

from __future__ import annotations

import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from traintwice.errors import BadInput, require
from traintwice.files import write_whole


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
