"""The engines of this package, through their public interface."""

from __future__ import annotations

from collections.abc import Callable

from rivals.case import Case, NotHere
from traintwice.engine import Execution, train, train_group
from traintwice.engine._choosing import obstacle_to_stacking
from traintwice.recipes import Recipe


def _recipe(case: Case) -> Recipe:
    return Recipe(network=case.network, optimizer=case.optimizer, epochs=case.epochs, batch_size=case.batch)


def loop(case: Case) -> Callable[[], None]:
    """One replica after the other."""

    def run() -> None:
        for replica in range(case.replicas):
            train(_recipe(case), case.data, seed=0, replica=replica)

    return run


def stacked(case: Case) -> Callable[[], None]:
    """All replicas at once."""
    recipe, replicas = _recipe(case), list(range(case.replicas))
    obstacle = obstacle_to_stacking(recipe, case.data)
    if obstacle is not None:
        raise NotHere(obstacle)

    def run() -> None:
        for _, made in train_group(recipe, case.data, seed=0, replicas=replicas, execution=Execution("stacked")):
            if isinstance(made, Exception):
                raise made

    return run
