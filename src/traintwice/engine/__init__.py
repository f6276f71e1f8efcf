"""Training: one replica at a time, as a function of recipe, data, seed and replica number."""

from traintwice.engine.deployed import Deployed
from traintwice.engine.exporting import export_model
from traintwice.engine.loop import Trained, train
from traintwice.engine.numerics import Numerics
from traintwice.engine.state import Keeper, State, Stateful

__all__ = ["Deployed", "Keeper", "Numerics", "State", "Stateful", "Trained", "export_model", "train"]
