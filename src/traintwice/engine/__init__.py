"""Training: one replica at a time, as a function of recipe, data, seed and replica number."""

from traintwice.engine.loop import Trained, train
from traintwice.engine.numerics import Numerics

__all__ = ["Numerics", "Trained", "train"]
