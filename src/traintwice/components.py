"""Settings of single components, and the examples that each replica and each component sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets import Network
from traintwice.optimizers import Optimizer

__all__ = ["Component", "OwnBatches", "Sample"]


@dataclass(frozen=True)
@typed
class Sample:
    """A random sample of the training examples, drawn once.

    Args:
        share: size of the sample as a fraction of the examples, in (0, 1].
        replace: draw with replacement; with a share of 1 this is the bootstrap. Without replacement the share is below 1.
    Raises:
        BadSpec: a share outside its range, or all examples without replacement, which would be no draw.
    Source:
        Efron 1979 (the bootstrap).
    Example:
        >>> Sample().draw(6, np.random.default_rng(0)).tolist()
        [0, 1, 1, 3, 3, 5]
        >>> Sample(0.5, replace=False).draw(6, np.random.default_rng(0)).tolist()
        [2, 3, 5]
    """

    share: float = 1.0
    replace: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadSpec(f"Sample.share: got {self.share}, expected a fraction greater than 0 and at most 1")
        if not self.replace and self.share == 1:
            raise BadSpec("Sample.share: got 1 without replacement, which draws every example; give a share below 1")

    def size(self, examples: int) -> int:
        """Number of examples in the sample, at least one."""
        return max(round(self.share * examples), 1)

    def draw(self, examples: int, rng: np.random.Generator) -> np.ndarray:
        """Places of the drawn examples, in order; with replacement an example may be there several times."""
        size = self.size(examples)
        drawn = rng.integers(examples, size=size) if self.replace else rng.permutation(examples)[:size]
        return np.sort(drawn)


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
        sample: drawn for each component from the examples of its replica; None lets every component see all of them. The shared part
            is not sampled.
    Raises:
        BadSpec: a negative share.
    Source:
        AD section 2 (components may train on different subsets). Ours: the shared part is additional and counts in the cost.
    """

    share: float = 0.0
    sample: Sample | None = None

    def __post_init__(self) -> None:
        if not self.share >= 0:
            raise BadSpec(f"OwnBatches.share: got {self.share}, expected a number of at least 0")

    def size(self, batch_size: int) -> int:
        """Number of shared examples of a batch.

        >>> OwnBatches(0.25).size(64)
        16
        """
        return round(self.share * batch_size)
