"""Training of replicas, one at a time or many at once."""

from traintwice.engine._choosing import Choice, choose, group_size, with_chosen_engine
from traintwice.engine._deployed import Deployed, export_model
from traintwice.engine._execution import DEFAULT_EXECUTION, Engine, Execution, Precision
from traintwice.engine._last_batch import note_on_last_batch
from traintwice.engine._numerics import Numerics, numerics_of
from traintwice.engine._run import train, train_group
from traintwice.engine._state import Keeper, State, Stateful
from traintwice.engine._training import Trained

__all__ = [
    "DEFAULT_EXECUTION",
    "Choice",
    "Deployed",
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
    "note_on_last_batch",
    "numerics_of",
    "train",
    "train_group",
    "with_chosen_engine",
]
