"""Two recipes against each other, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from traintwice.compare.estimates import Difference
from traintwice.compare.results import Shown
from traintwice.metrics.definition import Unit
from traintwice.types import Estimate


@dataclass(frozen=True)
class RecipeMeasure:
    """A measure of two recipes.

    Attributes:
        name, title, unit: of the metric.
        first, second: of each recipe, for new replicas and new rows.
        difference: second minus first.
        sentence: the same in words.
    """

    name: str
    title: str
    unit: Unit
    first: Estimate
    second: Estimate
    difference: Difference
    sentence: str


@dataclass(frozen=True)
class RecipeComparison(Shown):
    """Two sets of replicas on the same rows. Made by `compare_recipes`.

    Attributes:
        names: of the two recipes.
        replicas: M of each.
        rows: N.
        paired: replica m of both shares its streams, so that they are dropped together.
        measures: by name; churn first.
        left_out: measure to the reason why it has no value.
        sentence: what it says of churn.
    """

    names: tuple[str, str]
    replicas: tuple[int, int]
    rows: int
    paired: bool
    level: float
    measures: tuple[RecipeMeasure, ...]
    left_out: Mapping[str, str]
    sentence: str

    def __getitem__(self, name: str) -> RecipeMeasure:
        """A measure by its name."""
        for measured in self.measures:
            if measured.name == name:
                return measured
        raise KeyError(name if name not in self.left_out else f"{name}: {self.left_out[name]}")
