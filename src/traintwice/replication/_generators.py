"""Which global generators a training draws from: in its own process, and in the Python processes that it starts.

This file runs in those processes as their ``sitecustomize``, so it needs the standard library alone. At the end of such a process the
digest of each global generator that was drawn from is written to a file of the folder that TRAINTWICE_WATCH names.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import json
import os
import pickle
import random
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FOLDER = "TRAINTWICE_WATCH"
PYTHON, NUMPY, TORCH = "Python's random", "NumPy's global generator", "PyTorch's global generator"


@contextmanager
def drawn_generators() -> Iterator[dict[str, str]]:
    """A dict that has, after the block, the digest of each global generator that was drawn from within it."""
    found: dict[str, str] = {}
    importlib.import_module("numpy.random")  # NumPy loads it when it is first used; its state before is to be known
    if "torch" in sys.modules:
        sys.modules["torch"].seed()  # the others start from a seed of the system, PyTorch's from a constant
    before = _digests(_states())
    with tempfile.TemporaryDirectory() as folder, _watched_children(Path(folder)) as notes:
        yield found
        of_children: dict[str, list[str]] = {}
        for note in notes.glob("*.json"):
            for name, digest in json.loads(note.read_text()).items():
                of_children.setdefault(name, []).append(digest)
    found |= _digests({name: sorted(digests) for name, digests in of_children.items()})
    found |= {name: digest for name, digest in _digests(_states()).items() if before.get(name) != digest}


@contextmanager
def _watched_children(folder: Path) -> Iterator[Path]:
    """Within the block, Python processes that start leave a note in the folder that is returned."""
    notes, hook = folder / "notes", folder / "hook"
    for made in (notes, hook):
        made.mkdir()
    (hook / "sitecustomize.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", FOLDER)}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(hook), before["PYTHONPATH"]]))
    os.environ[FOLDER] = str(notes)
    try:
        yield notes
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _states() -> dict[str, Any]:
    """States of the global generators of this process."""
    found: dict[str, Any] = {PYTHON: random.getstate()}
    if "numpy.random" in sys.modules:
        found[NUMPY] = sys.modules["numpy.random"].get_state()
    if hasattr(sys.modules.get("torch"), "get_rng_state"):
        found[TORCH] = sys.modules["torch"].get_rng_state().tolist()
    return found


def _digests(states: dict[str, Any]) -> dict[str, str]:
    return {name: hashlib.blake2b(pickle.dumps(state), digest_size=16).hexdigest() for name, state in states.items()}


def _drawn_in_this_process() -> dict[str, str]:
    """Digests of the generators that were drawn from: their position is not that of a new generator."""
    found = _states()
    if found[PYTHON][1][-1] == random.Random().getstate()[1][-1]:  # noqa: S311
        del found[PYTHON]
    if NUMPY in found and found[NUMPY][2] == sys.modules["numpy.random"].RandomState().get_state()[2]:
        del found[NUMPY]
    if TORCH in found:
        torch = sys.modules["torch"]
        new = torch.Generator()
        if found[TORCH] == new.get_state().tolist():
            del found[TORCH]
        elif torch.initial_seed() == new.initial_seed():  # without a seed PyTorch's generator begins with a constant
            found[TORCH] = uuid.uuid4().hex
    return _digests(found)


def _leave_note() -> None:
    """Write the digests. Errors are suppressed: the process of the user ends as it would without this."""
    with suppress(Exception):
        Path(os.environ[FOLDER], f"{uuid.uuid4().hex}.json").write_text(json.dumps(_drawn_in_this_process()))


if __name__ == "sitecustomize":
    atexit.register(_leave_note)  # the first to register is the last to run
    with suppress(ValueError):
        sys.path.remove(str(Path(__file__).parent))
    del sys.modules["sitecustomize"]
    with suppress(ModuleNotFoundError):
        importlib.import_module("sitecustomize")  # that of the user's environment
