"""Runs in Python processes that a watched command starts, as their ``sitecustomize``: needs the standard library alone.

At the end of the process, the digest of each global generator that was drawn from is written to a file of the folder that
TRAINTWICE_WATCH names.
"""

import atexit
import contextlib
import hashlib
import importlib
import json
import os
import random
import sys
import uuid
from pathlib import Path

FOLDER = "TRAINTWICE_WATCH"


def states() -> dict[str, str]:
    """Digests of the generators that were drawn from: a position that is not that of a new generator."""
    found = {}
    if random.getstate()[1][-1] != random.Random().getstate()[1][-1]:  # noqa: S311
        found["Python's random"] = repr(random.getstate())
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        state = numpy_random.get_state()
        if state[2] != numpy_random.RandomState().get_state()[2]:
            found["NumPy's global generator"] = f"{state[1].tolist()} {state[2:]}"
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        new = torch.Generator()
        state = torch.get_rng_state()
        if not torch.equal(state, new.get_state()):
            unseeded = torch.initial_seed() == new.initial_seed()  # without a seed PyTorch's generator begins with a constant
            found["PyTorch's global generator"] = uuid.uuid4().hex if unseeded else repr(state.tolist())
    return {name: hashlib.blake2b(content.encode(), digest_size=16).hexdigest() for name, content in found.items()}


def write() -> None:
    """Write the digests. Errors are suppressed: the process of the user ends as it would without this."""
    with contextlib.suppress(Exception):
        Path(os.environ[FOLDER], f"{uuid.uuid4().hex}.json").write_text(json.dumps(states()))


if __name__ == "sitecustomize":
    atexit.register(write)  # the first to register is the last to run
    with contextlib.suppress(ValueError):
        sys.path.remove(str(Path(__file__).parent))
    del sys.modules["sitecustomize"]
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("sitecustomize")  # that of the user's environment
