"""Settings of single components, and the examples that each component sees."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets import Network
from traintwice.optimizers import Optimizer

__all__ = ["Component", "OwnBatches"]


@dataclass(frozen=True)
@typed
class Component:
    """Own settings of one component; None takes the setting of the recipe.

    Args:
        network: its network.
        optimizer: the optimiser of its weights; the learning-rate schedule of the recipe applies too.
        inputs: positions of the features that the component sees, for inputs that are vectors; None is all.
        subset: fraction of the training examples that the component sees, in (0, 1], drawn once for each replica and component. A
            fraction below 1 needs `OwnBatches`.
    Raises:
        BadSpec: a setting outside its range.
    Source:
        AD section 2: components "may be identical or differ in structure, inputs, label loss, optimiser settings and data".
    """

    network: Network | None = None
    optimizer: Optimizer | None = None
    inputs: tuple[int, ...] | None = None
    subset: float = 1.0

    def __post_init__(self) -> None:
        if self.inputs is not None and (not self.inputs or min(self.inputs) < 0):
            raise BadSpec(
                f"Component.inputs: got {list(self.inputs)}, expected positions of features, at least one, counted from 0"
            )
        if not 0 < self.subset <= 1:
            raise BadSpec(f"Component.subset: got {self.subset}, expected a fraction greater than 0 and at most 1")


@dataclass(frozen=True)
@typed
class OwnBatches:
    """An own order of mini-batches for each component, with an additional shared part.

    The batch of a step has ``batch_size`` own examples of each component, and ``share · batch_size`` examples that all components see.
    The label loss reads both parts, a coupling between components the shared part.

    Args:
        share: size of the shared part as a fraction of the batch size, >= 0. With 0 the components are independent trainings; methods
            that read shared examples (a coupling, a trained average, a gate) are refused.
    Raises:
        BadSpec: a negative share.
    Source:
        AD section 2 (components may train on different subsets). Ours: the shared part is additional and counts in the cost.
    """

    share: float = 0.0

    def __post_init__(self) -> None:
        if not self.share >= 0:
            raise BadSpec(f"OwnBatches.share: got {self.share}, expected a number of at least 0")

    def size(self, batch_size: int) -> int:
        """Number of shared examples of a batch.

        >>> OwnBatches(0.25).size(64)
        16
        """
        return round(self.share * batch_size)
