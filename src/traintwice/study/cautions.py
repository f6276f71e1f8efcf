"""Warnings of the methods of a study, each once, with the recipes that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from traintwice.methods import Method
from traintwice.recipes import Recipe
from traintwice.study.experiment import Experiment


@dataclass(frozen=True)
class Caution:
    """A warning of `Method.warnings`, and the recipes whose method, or teacher's method, it is about."""

    text: str
    rows: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'; '.join(self.rows)}: {self.text}."


def cautions(experiment: Experiment, *, classes: int | None = None) -> tuple[Caution, ...]:
    """Warnings of the methods of an experiment, in the order of its rows.

    Args:
        experiment: any.
        classes: K, if known.
    Example:
        >>> from traintwice.data import Digits
        >>> from traintwice.methods import symmetric_kl_regulariser
        >>> from traintwice.recipes import Recipe
        >>> rows = {"baseline": Recipe(), "confident": Recipe(method=symmetric_kl_regulariser())}
        >>> [c.rows for c in cautions(Experiment("mine", Digits(), rows))]
        [('confident',)]
    """
    found: dict[str, list[str]] = {}
    for row, recipe in experiment.rows.items():
        for text in dict.fromkeys(text for method in _methods(recipe) for text in method.warnings(classes=classes)):
            found.setdefault(text, []).append(row)
    return tuple(Caution(text, tuple(rows)) for text, rows in found.items())


def _methods(recipe: Recipe) -> Iterator[Method]:
    """Methods of a recipe and of the earlier models that it starts or learns from."""
    yield recipe.method
    for earlier in recipe.earlier():
        yield from _methods(earlier.recipe)
