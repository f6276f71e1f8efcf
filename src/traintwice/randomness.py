"""Streams of random numbers: one for each source of randomness, replica, component and epoch.

A stream depends on nothing else: not on the method, its weights, the other replicas, the number of processes or where a
run was interrupted. So replica m of every recipe of a study starts from the same weights and sees the same batches (common
random numbers), and the difference between two recipes is not blurred by different luck.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

RandomSource = Literal["initialisation", "order", "subset", "augmentation", "dropout", "hardware", "split"]
"""What the numbers are drawn for."""


def stream(seed: int, source: RandomSource, *, replica: int = 0, component: int = 0, epoch: int = 0) -> np.random.Generator:
    """The generator of one source of randomness.

        key = 128-bit BLAKE2b of "seed/source/replica/component/epoch", generator = Philox(key)

    Args:
        seed: the experiment's seed.
        source: what the numbers are for.
        replica, component: whose numbers they are; component 0 where all components share them.
        epoch: which pass over the data, for the mini-batch order and augmentation; which step, for dropout.
    Returns:
        A NumPy generator that no other call with other arguments shares numbers with.
    Source:
        Ours. Counter-based: a stream can be entered anywhere without drawing what came before.
    Example:
        >>> a = stream(0, "order", replica=3, epoch=7).permutation(5)
        >>> b = stream(0, "order", replica=3, epoch=7).permutation(5)
        >>> bool((a == b).all())
        True
    """
    name = f"{seed}/{source}/{replica}/{component}/{epoch}".encode()
    key = np.frombuffer(hashlib.blake2b(name, digest_size=16).digest(), dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key))
