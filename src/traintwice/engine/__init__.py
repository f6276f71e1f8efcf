"""Training: replicas as a function of recipe, data, seed and number, one at a time or many at once."""

from traintwice.engine.choosing import Choice, choose, group_size, with_chosen_engine
from traintwice.engine.deployed import Deployed
from traintwice.engine.device import Device
from traintwice.engine.execution import DEFAULT_EXECUTION, Engine, Execution, Precision
from traintwice.engine.exporting import export_model
from traintwice.engine.groups import train_group
from traintwice.engine.loop import Trained, train
from traintwice.engine.numerics import Numerics, numerics_of
from traintwice.engine.state import Keeper, State, Stateful

__all__ = [
    "DEFAULT_EXECUTION",
    "Choice",
    "Deployed",
    "Device",
    "Engine",
    "Execution",
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
    "train",
    "train_group",
    "with_chosen_engine",
]
