"""Writing of files, their first bytes, comparison of outputs with inputs, and temporary folders that no run leaves behind."""

from __future__ import annotations

import glob
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from traintwice.errors import BadInput

TEMPORARY = ".tmp-"
"""Prefix of the names of unfinished files."""

UNLOCKED, SCRATCH = ".traintwice-new-", ".traintwice-scratch-"
"""Prefixes of the names of temporary folders, before and after they are locked."""

LONGEST_SHOWN = 200
"""Characters of a path in a message about its length."""

UNPACKED_AT_ONCE = 1 << 26
"""Bytes that are unpacked before the room on the disk is looked at again."""
KEPT_FREE = 0.05
"""Share of a disk that unpacked files leave free."""

_scratch: dict[Path, int | None] = {}
"""The temporary folders of this process, and the descriptor that locks each; None where folders cannot be locked."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, or replace it, completely or not at all, also where the writing is interrupted.

    A link is followed. What is not a regular file (a device, a pipe, standard output) is written to and stays in place.
    """
    if written_through(path, content):
        return
    path = path.resolve()
    temporary = path.with_name(f"{TEMPORARY}{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def written_through(path: Path, content: bytes) -> bool:
    """Write to a device, a pipe, or the file that standard output or standard error goes to; False for other paths."""
    try:
        found = path.stat()
    except OSError:
        return False
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    file.write(content)
                return True
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
        return False
    with path.open("wb", buffering=0) as file:
        file.write(content)
    return True


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise `BadInput` for a path that the system refuses, whether or not a file is there: too long, or in a closed folder."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as reason:
        text = os.fspath(path)
        shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"
        told = reason.strerror if isinstance(reason, OSError) else str(reason)
        raise BadInput(f"{shown!r} cannot be used as a path ({told}); choose another") from None


def refuse_overwriting(outputs: Mapping[str, str | Path | None], inputs: Iterable[object]) -> None:
    """Raise `BadInput` if an output, named by its option, is one of the inputs or another output, also through links.

    Inputs are paths, globs and directories; other objects are ignored.
    """
    wanted = {option: path for option, path in outputs.items() if path is not None}
    seen: dict[object, str] = {}
    if any(_regular(str(path)) for path in wanted.values()):
        seen = {found: f"the input {name}" for name in _named(inputs) if (found := _regular(name))}
    for option, path in wanted.items():
        identity: object = _regular(str(path)) or Path(path).resolve()
        if identity in seen:
            raise BadInput(f"{option} {path}: is the same file as {seen[identity]}; choose another name")
        if not Path(path).exists() or Path(path).is_file():
            seen[identity] = f"{option} {path}"


def _named(inputs: Iterable[object]) -> Iterator[str]:
    """The files that inputs name; a directory stands for its entries."""
    for text in (str(item) for item in inputs if isinstance(item, str | Path)):
        with suppress(OSError, ValueError):
            if Path(text).is_dir():
                yield from (str(entry) for entry in Path(text).iterdir())
            elif Path(text).exists() or not glob.has_magic(text):
                yield text
            else:
                yield from glob.iglob(text, recursive=True)  # noqa: PTH207


def _regular(path: str) -> tuple[int, int] | None:
    """Device and inode of a regular file; None for everything else."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def make_scratch() -> Path:
    """A new temporary folder, locked while this process lives; folders that killed runs left are removed."""
    made = Path(tempfile.mkdtemp(prefix=UNLOCKED))
    lock = _locked(made)
    folder = made.rename(made.with_name(SCRATCH + made.name.removeprefix(UNLOCKED)))
    _scratch[folder] = lock
    for left in folder.parent.glob(f"{SCRATCH}*"):
        with suppress(OSError):
            if left not in _scratch and not left.is_symlink() and (lock := _locked(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
    return folder


def copy_unpacked(packed: IO[bytes], plain: IO[bytes], shown: str) -> None:
    """Copy what is unpacked into a temporary file, as long as its disk keeps room."""
    copied, checked = 0, UNPACKED_AT_ONCE
    while block := packed.read(1 << 20):
        plain.write(block)
        copied += len(block)
        if copied >= checked:
            checked += UNPACKED_AT_ONCE
            check_room(Path(plain.name), shown)


def check_room(plain: Path, shown: str) -> None:
    """Raise `BadInput` where a temporary file leaves less than a twentieth of its disk."""
    disk = shutil.disk_usage(plain.parent)
    if disk.free < disk.total * KEPT_FREE:
        told = f"{shown}: holds more than {plain.stat().st_size / 1e9:.1f} GB, which the disk of the temporary folder has no room for"
        raise BadInput(f"{told}; set TMPDIR to a folder of a larger disk")


@contextmanager
def checking_room(plain: Path, shown: str, stop: Callable[[], object]) -> Iterator[None]:
    """Check the room while other code writes a temporary file; it is stopped where there is too little."""
    done, found = threading.Event(), []

    def watch() -> None:
        while not done.wait(0.1):
            try:
                check_room(plain, shown)
            except FileNotFoundError:
                continue
            except BadInput as error:
                found.append(error)
                stop()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if not found:
            raise
    finally:
        done.set()
        watcher.join()
    if found:
        raise found[0]
    check_room(plain, shown)


def zstd_lines(place: str, options: str) -> str:
    """What follows FROM in DuckDB for the lines of a file packed with Zstandard, in a column ``line``; place and options are SQL."""
    line = "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false"
    return f"read_csv({place}, compression = 'zstd', {options}, {line})"


def remove_scratch(folder: Path) -> None:
    """Remove a temporary folder and its lock."""
    shutil.rmtree(folder, ignore_errors=True)
    if (lock := _scratch.pop(folder, None)) is not None:
        os.close(lock)


def remove_all_scratch() -> None:
    """Remove all temporary folders of this process, as it is about to end."""
    for folder in list(_scratch):
        remove_scratch(folder)


def _locked(folder: Path) -> int | None:
    """The descriptor that locks a folder; None where another process has the lock, or where folders cannot be locked."""
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def start_of(path: Path, shown: str) -> bytes:
    """The first bytes of a file."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 12)
    except OSError as reason:
        raise BadInput(f"{shown}: cannot be read ({reason.strerror or reason})") from reason


FOREIGN = {
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"\xd0\xcf\x11\xe0": "an old workbook of Excel",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "a database of SQLite",
    **{b"\x80" + bytes([protocol, mark]): "a pickle (it may run code)" for protocol in range(2, 6) for mark in b"c]}K(X\x95"},
    b"version https://git-lfs": "a pointer of Git LFS in the place of the file (git lfs pull fetches it)",
}
"""First bytes of files that are not read, to what they are."""


WORKBOOK = ("[Content_Types].xml", "mimetype", "_rels/.rels")
"""First names in the zip files that Excel and other programs of tables write."""


def refuse_foreign(start: bytes, shown: str) -> None:
    """Raise `BadInput` where the first bytes are those of a known format that is not read."""
    if kind := by_magic(start, FOREIGN):
        raise BadInput(f"{shown}: is {kind}, which is not read; write Parquet or CSV")


def by_magic(start: bytes, magics: Mapping[bytes, str]) -> str | None:
    """The format or compression that the first bytes of a file say; None where they say none of these."""
    return next((kind for magic, kind in magics.items() if start.startswith(magic)), None)
