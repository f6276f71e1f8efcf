"""Training: one replica at a time, as a function of recipe, data, seed and replica number."""

from traintwice.engine.loop import Trained, train
from traintwice.engine.numerics import Numerics
from traintwice.engine.state import Keeper, State, Stateful

__all__ = ["Keeper", "Numerics", "State", "Stateful", "Trained", "train"]
