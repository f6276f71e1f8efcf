"""Atomic writing of files."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

TEMPORARY = ".tmp-"
"""Prefix of the names of unfinished files."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, also where the writing is interrupted.

    Args:
        path: of the file; an existing file is replaced.
        content: of the file.
    Raises:
        OSError: the folder is missing or not writable, or the disk is full; nothing is left behind.
    """
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
