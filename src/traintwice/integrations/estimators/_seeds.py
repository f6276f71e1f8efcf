"""Seeds of an estimator and of everything inside it."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import clone

from traintwice._typed import typed
from traintwice.randomness import stream

__all__ = ["NAMES", "places", "with_random_state"]

NAMES = ("random_state", "random_seed")
"""Parameters that hold a seed; CatBoost has the second."""


@typed
def with_random_state(estimator: Any, seed: int) -> Any:
    """An unfitted copy of an estimator with a seed set wherever it takes one.

    Args:
        estimator: any scikit-learn estimator. Seeds are found in pipelines, searches, column transformers and other meta-estimators, and
            in splitters of cross-validation that are parameters.
        seed: the same seed gives the same copy. Each place gets a number of its own, drawn from the seed.
    Example:
        >>> from sklearn.ensemble import BaggingClassifier
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> one = with_random_state(BaggingClassifier(DecisionTreeClassifier()), 0)
        >>> one.random_state == one.estimator.random_state, one.random_state is None
        (False, False)
    """
    copied = clone(estimator)
    rng = stream(seed, "initialisation")
    for owner, name in places(copied):
        value = int(rng.integers(2**31 - 1))
        if hasattr(owner, "set_params"):
            owner.set_params(**{name: value})
        else:
            setattr(owner, name, value)
    return copied


def places(estimator: Any) -> list[tuple[Any, str]]:
    """Every owner and name of a seed inside an estimator, in the order of their paths."""
    found: dict[str, tuple[Any, str]] = {}
    parameters = estimator.get_params(deep=True)
    for path, value in {"": estimator, **parameters}.items():
        if isinstance(value, type):
            continue
        own = value.get_params(deep=False) if hasattr(value, "get_params") else getattr(value, "__dict__", {})
        if not any(name in own for name in NAMES) and hasattr(value, "get_params"):
            own = inspect.signature(type(value)).parameters  # CatBoost lists only the parameters that were given
        named = [name for name in NAMES if name in own]
        for name in named[:1]:  # the two are one parameter to CatBoost
            found[f"{path}__{name}"] = (value, name)
    return [found[path] for path in sorted(found)]
