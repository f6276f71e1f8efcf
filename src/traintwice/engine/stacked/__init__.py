"""Many replicas of a fully connected network at once, on one thread."""

from traintwice.engine.stacked.run import Outcome, train_stacked

__all__ = ["Outcome", "train_stacked"]
