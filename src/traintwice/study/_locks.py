"""Locks of files, also where the file system has none."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from traintwice.errors import StoreError

WITHOUT_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""What a file system without locks answers, such as NFS without a lock daemon."""


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Hold a lock. The system frees it when its holder dies.

    A file system without locks has a file in its place, with the process and machine of the holder. It is ignored once that process of
    this machine is dead; one of another machine is not, and its file has to be deleted by hand.

    Raises:
        Timeout: another process holds the lock. StoreError: the file cannot be made.
    """
    lock: BaseFileLock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise StoreError(f"{path}: cannot be locked ({error.strerror}); choose another --store, on a local disk") from None
        lock = SoftFileLock(path.with_suffix(".held"), timeout=0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
