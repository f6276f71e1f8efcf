"""How much memory this machine has, and whether an error reports that there is too little."""

from __future__ import annotations

import os
import re
from pathlib import Path

OWN_CACHE = 32 << 20
"""Bytes of the last cache that one process can hope for: larger ones are shared by many cores."""


def cache_bytes() -> int:
    """The largest cache of this machine's processor as far as it says, and at most `OWN_CACHE` of it."""
    sizes = []
    for found in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        if match := re.fullmatch(r"(\d+)([KMG])", found.read_text().strip()):
            sizes.append(int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]])
    return min(max(sizes, default=OWN_CACHE), OWN_CACHE)


def available_bytes() -> int:
    """Memory that this machine can still give, as far as it says; 4 GiB where it does not."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory; PyTorch has no type for it on a CPU."""
    return isinstance(error, MemoryError) or "not enough memory" in str(error) or "can't allocate memory" in str(error)
