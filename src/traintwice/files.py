"""Writing files as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

TEMPORARY = ".tmp-"
"""How the names of unfinished files begin."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever interrupts the writing.

    Args:
        path: of the file; replaced where it exists.
        content: all of it.
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
