"""Training: replicas as a function of recipe, data, seed and number, one at a time or many at once."""

from traintwice.engine.choosing import Choice, Engine, choose, group_size
from traintwice.engine.deployed import Deployed
from traintwice.engine.device import Device, Precision, placed
from traintwice.engine.exporting import export_model
from traintwice.engine.groups import train_group
from traintwice.engine.loop import Trained, train
from traintwice.engine.numerics import Numerics, numerics_of
from traintwice.engine.state import Keeper, State, Stateful

__all__ = [
    "Choice",
    "Deployed",
    "Device",
    "Engine",
    "Keeper",
    "Numerics",
    "Precision",
    "State",
    "Stateful",
    "Trained",
    "choose",
    "export_model",
    "group_size",
    "numerics_of",
    "placed",
    "train",
    "train_group",
]
