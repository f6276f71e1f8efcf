"""Training on a stream: one pass, every mini-batch predicted before it is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice.errors import BadSpec


@dataclass(frozen=True)
class Progressive:
    """One pass over a stream in its own order, shuffled inside a moving window; each mini-batch is predicted before it is trained on.

    The predictions made on the way, each by the model as it was at that moment, are what a replica predicts.

    Args:
        window: a row leaves its place by fewer than so many places; >= 1, and 1 keeps the order of the stream. What is drawn is the
            source of randomness "order", a stream of its own for each replica.
    Raises:
        BadSpec: a window below 1.
    Source:
        Progressive validation: Blum et al. 1999, AD section 5. Ours: the window, in the place of the asynchronous updates of a training
        system that make its models differ.
    """

    window: int = 10_000

    def __post_init__(self) -> None:
        if self.window < 1:
            raise BadSpec(f"Progressive.window: got {self.window}, expected at least 1")
