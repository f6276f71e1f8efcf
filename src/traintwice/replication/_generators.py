"""Which global generators a training draws from: in its own process, and in Python processes that it starts."""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._study_files import content_digest
from traintwice.replication import _child_generators as child


@contextmanager
def drawn_generators() -> Iterator[dict[str, str]]:
    """A dict that has, after the block, the digest of each global generator that was drawn from within it."""
    found: dict[str, str] = {}
    before = _scrambled()
    with tempfile.TemporaryDirectory() as folder, _watched_children(Path(folder)) as notes:
        yield found
        of_children: dict[str, list[str]] = {}
        for note in notes.glob("*.json"):
            for name, digest in json.loads(note.read_text()).items():
                of_children.setdefault(name, []).append(digest)
    found |= {name: _digest(sorted(digests)) for name, digests in of_children.items()}
    found |= {name: digest for name, digest in _states().items() if before.get(name) != digest}


@contextmanager
def _watched_children(folder: Path) -> Iterator[Path]:
    """Within the block, Python processes that start leave a note in the folder that is returned."""
    notes, hook = folder / "notes", folder / "hook"
    for made in (notes, hook):
        made.mkdir()
    (hook / "sitecustomize.py").write_text(Path(child.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", child.FOLDER)}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(hook), before["PYTHONPATH"]]))
    os.environ[child.FOLDER] = str(notes)
    try:
        yield notes
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _scrambled() -> dict[str, str]:
    """`_states`, after PyTorch's was given a seed of the system: the others start from one, PyTorch's from a constant."""
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    return _states()


def _states() -> dict[str, str]:
    """Digests of the states of the global generators of this process."""
    states: dict[str, Any] = {"Python's random": random.getstate(), "NumPy's global generator": np.random.get_state()}  # noqa: NPY002
    if "torch" in sys.modules:
        states["PyTorch's global generator"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return {name: _digest(state) for name, state in states.items()}


def _digest(state: Any) -> str:
    return content_digest(pickle.dumps(state))
