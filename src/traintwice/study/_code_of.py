"""Code of the user's that a recipe or a data set names: digests of its files, recorded with every replica."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traintwice._code import Code, code_of_function
from traintwice._user_code import imported, names_a_function
from traintwice.data import Source
from traintwice.recipes import Recipe
from traintwice.specs import encode


def code_of(source: Source, recipe: Recipe) -> Code:
    """Digests of the functions that a data set and a recipe name, and of the modules of their project that these import."""
    found: Code = {}
    for maker in sorted({*_makers(encode(source)), *_makers(encode(recipe))}):
        for name, digest in code_of_function(imported(maker, "maker")).items():
            found[f"{maker.partition(':')[2]} in {name}" if name in found and found[name] != digest else name] = digest
    return found


def _makers(plain: Any) -> list[str]:
    """The functions that plain values name."""
    if isinstance(plain, list | tuple):
        return [maker for item in plain for maker in _makers(item)]
    if not isinstance(plain, Mapping):
        return []
    own = plain.get("maker")
    here = [own] if isinstance(own, str) and names_a_function(own) else []
    return [*here, *(maker for item in plain.values() for maker in _makers(item))]
