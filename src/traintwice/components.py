"""How the components of a replica differ from each other, and which examples each of them sees."""

from __future__ import annotations

from dataclasses import dataclass

from traintwice.errors import BadSpec
from traintwice.nets import Network
from traintwice.optimizers import Optimizer


@dataclass(frozen=True)
class Component:
    """What one component has of its own; whatever is left out it has from the recipe.

    Args:
        network: its structure.
        optimizer: settings of the optimiser of its weights; the learning-rate schedule of the recipe multiplies its rate too.
        inputs: positions of the features that it sees, for inputs that are vectors; None lets it see all.
        subset: fraction of the training examples that it sees, in (0, 1], drawn once for each replica and component. Below 1 it
            needs batches of its own (`OwnBatches`).
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
class OwnBatches:
    """Every component draws its mini-batches in an order of its own; couplings see a shared part beside them.

    A step's batch has ``batch_size`` examples of each component's own and ``share · batch_size`` that all components see. The
    label loss reads both, the coupling between components only the shared part.

    Args:
        share: size of the shared part as a fraction of the batch size, >= 0. With 0 the components are independent trainings, and a
            method that reads what all of them see (a coupling, a trained average, a gate) is refused.
    Raises:
        BadSpec: a negative share.
    Source:
        AD section 2 (components may train on different subsets). Ours: the shared part is extra and counted in the cost.
    """

    share: float = 0.0

    def __post_init__(self) -> None:
        if not self.share >= 0:
            raise BadSpec(f"OwnBatches.share: got {self.share}, expected a number of at least 0")

    def size(self, batch_size: int) -> int:
        """Examples of a batch that all components see.

        >>> OwnBatches(0.25).size(64)
        16
        """
        return round(self.share * batch_size)
