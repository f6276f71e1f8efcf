"""Progressive training: one pass, every mini-batch is predicted before it is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice._typed import typed
from traintwice.errors import BadSpec

__all__ = ["Progressive"]


@dataclass(frozen=True)
@typed
class Progressive:
    """One pass over the examples in their order, shuffled inside a moving window; each mini-batch is predicted before it is trained on.

    The predictions of a replica are those during the pass, each by the model at that step.

    Args:
        window: rows move by fewer places than this, >= 1; 1 keeps the order of the data. The shuffle is the source of randomness "order".
    Raises:
        BadSpec: a window below 1.
    Source:
        Progressive validation: Blum et al. 1999, AD section 5. Ours: the window, instead of the asynchronous updates of a distributed
        training.
    """

    window: int = 10_000

    def __post_init__(self) -> None:
        if self.window < 1:
            raise BadSpec(f"Progressive.window: got {self.window}, expected at least 1")
