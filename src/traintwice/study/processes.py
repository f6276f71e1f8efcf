"""How a Python process of this package is started."""

from __future__ import annotations

import sys
from pathlib import Path


def command_of(module: str) -> list[str]:
    """The command that runs ``main`` of a module of this package in a process of its own.

    It finds this very package, installed or not, and (with -P) nothing in the folder that the user happens to stand in.

    >>> command_of("traintwice.study.worker")[1:3]
    ['-P', '-c']
    """
    start = f"import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, "-P", "-c", start, str(Path(__file__).resolve().parents[2])]
