"""What determines a replica, and its digest: the name under which it lies in a store."""

from __future__ import annotations

from typing import Any

from traintwice.recipes import ALGORITHM, Recipe
from traintwice.specs import digest, encode


def identity(recipe: Recipe, data_digest: str, seed: int) -> dict[str, Any]:
    """Plain values that determine a recipe's replicas: algorithm, recipe, data and seed.

    What is kept of the components at inference is not among them: raw logits of all are stored.
    """
    return {"algorithm": ALGORITHM, "recipe": _trained(encode(recipe)), "data": data_digest, "seed": seed}


def key_of(recipe: Recipe, data_digest: str, seed: int) -> str:
    """Digest of `identity`."""
    return digest(identity(recipe, data_digest, seed))


def _trained(recipe: dict[str, Any]) -> dict[str, Any]:
    method: dict[str, Any] = {name: value for name, value in recipe["method"].items() if name != "keep"}
    # What a teacher keeps decides what its student sees, so it stays; a start is weights and nothing else.
    start = {"start": {**recipe["start"], "recipe": _trained(recipe["start"]["recipe"])}} if "start" in recipe else {}
    return {**recipe, "method": method, **start}
