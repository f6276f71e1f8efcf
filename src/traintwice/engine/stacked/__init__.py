"""Many replicas of a fully connected network at once, on one thread; and what engines that train replicas together share."""

from traintwice.engine.stacked.group import Group
from traintwice.engine.stacked.run import Outcome, train_stacked
from traintwice.engine.stacked.together import Together

__all__ = ["Group", "Outcome", "Together", "train_stacked"]
