"""The engines of this package, through their public interface."""

from __future__ import annotations

from collections.abc import Callable

from rivals.case import Case, NotHere
from traintwice import engine
from traintwice.recipes import Recipe


def _recipe(case: Case) -> Recipe:
    return Recipe(network=case.network, optimizer=case.optimizer, epochs=case.epochs, batch_size=case.batch)


def loop(case: Case) -> Callable[[], None]:
    """One replica after the other."""

    def run() -> None:
        for replica in range(case.replicas):
            engine.train(_recipe(case), case.data, seed=0, replica=replica)

    return run


def stacked(case: Case) -> Callable[[], None]:
    """All replicas at once."""
    train_group = getattr(engine, "train_group", None)
    if train_group is None:
        raise NotHere("this version has no stacked engine")
    recipe, replicas = _recipe(case), list(range(case.replicas))

    def run() -> None:
        for _, made in train_group(recipe, case.data, seed=0, replicas=replicas, engine="stacked"):
            if isinstance(made, Exception):
                raise made

    try:
        run()
    except ValueError as error:
        raise NotHere(str(error)) from None
    return run
