"""Many replicas of any network at once: its forward pass mapped over a stack of parameters."""

from traintwice.engine.vectorised.group import Group
from traintwice.engine.vectorised.trial import Tried, tried

__all__ = ["Group", "Tried", "tried"]
