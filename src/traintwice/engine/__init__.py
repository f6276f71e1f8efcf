"""Training of replicas, one at a time or many at once."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.engine._batches import note_on_last_batch, training_rows
from traintwice.engine._choosing import Choice, Numerics, choose, group_size, numerics_of, with_chosen_engine
from traintwice.engine._deployed import Deployed, export_model
from traintwice.engine._execution import DEFAULT_EXECUTION, Engine, Execution, Precision
from traintwice.engine._loss_inputs import neighbour_shares
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
    "neighbour_shares",
    "note_on_last_batch",
    "numerics_of",
    "train",
    "train_group",
    "training_rows",
    "with_chosen_engine",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
