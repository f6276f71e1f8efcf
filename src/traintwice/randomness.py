"""Random streams: one for each source of randomness, replica, component and epoch.

A stream does not depend on the method, its weights, other replicas, the number of processes or interruptions. Replica m of every recipe
of a study therefore has the same initial weights and the same mini-batches (common random numbers), which reduces the variance of the
difference between two recipes.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

from traintwice._typed import typed

__all__ = ["RandomSource", "stream"]

RandomSource = Literal["data", "initialisation", "order", "subset", "augmentation", "dropout", "hardware", "split"]
"""Sources of randomness."""


@typed
def stream(seed: int, source: RandomSource, *, replica: int = 0, component: int = 0, epoch: int = 0) -> np.random.Generator:
    """The generator of one source of randomness.

        key = 128-bit BLAKE2b of "seed/source/replica/component/epoch", generator = Philox(key)

    Args:
        seed: the experiment's seed.
        source: of randomness.
        replica, component: of the stream; component 0 where all components share the stream.
        epoch: the epoch, for mini-batch order and augmentation; the step, for dropout.
    Returns:
        A NumPy generator, independent of those for other arguments.
    Source:
        Ours. Philox is counter-based, so the streams of any epoch or step are available without earlier draws.
    Example:
        >>> a = stream(0, "order", replica=3, epoch=7).permutation(5)
        >>> b = stream(0, "order", replica=3, epoch=7).permutation(5)
        >>> bool((a == b).all())
        True
    """
    name = f"{seed}/{source}/{replica}/{component}/{epoch}".encode()
    key = np.frombuffer(hashlib.blake2b(name, digest_size=16).digest(), dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key))
