"""Which source of randomness causes churn: every combination of three sources, fixed or free."""

from __future__ import annotations

from itertools import product

from traintwice.augmentation import Shift
from traintwice.data import Digits, FashionMNIST
from traintwice.nets import MLP
from traintwice.optimizers import AdaGrad
from traintwice.recipes import Fixable, Recipe
from traintwice.study import Experiment

SOURCES: tuple[Fixable, ...] = ("initialisation", "order", "augmentation")
"""The factors of CH Table 1."""


def ablation_digits() -> Experiment:
    """The 2³ factorial of CH Table 1 (initialisation x order x augmentation) on scikit-learn's digits, and emulated hardware.

    Ten replicas of each cell; pictures are shifted by up to a pixel. With every source fixed, the replicas on a CPU are equal bit for bit.
    The cell of emulated hardware changes one weight by one unit in the last place.

    The header and the text of CH Table 6 contradict each other on which column has which source free. Both readings are measured here:
    "only this one free" and "only this one fixed", each divided by the churn with all sources free. The shares do not add up to 1.
    """
    base = Recipe(network=MLP((128, 128)), optimizer=AdaGrad(lr=0.02), epochs=25, batch_size=64, augmentation=Shift())
    return Experiment("ablation-digits", Digits(), _rows(base))


def ablation_fashion() -> Experiment:
    """The same factorial on 10,000 images of Fashion-MNIST: fifteen epochs, ten replicas of each cell (`traintwice fetch FashionMNIST`)."""
    base = Recipe(network=MLP((128, 128)), optimizer=AdaGrad(lr=0.02), epochs=15, batch_size=128, augmentation=Shift())
    return Experiment("ablation-fashion", FashionMNIST(train=10_000), _rows(base))


def _rows(base: Recipe) -> dict[str, Recipe]:
    """The eight cells, and one with all sources fixed and emulated hardware."""
    cells = {name: base.change(fixed=fixed) for name, fixed in _cells()}
    return {**cells, "hardware emulated": base.change(fixed=SOURCES, hardware="emulated")}


def _cells() -> list[tuple[str, tuple[Fixable, ...]]]:
    """Names and fixed sources of the eight cells, all free first."""
    cells = []
    for chosen in sorted(product((False, True), repeat=len(SOURCES)), key=sum):
        fixed = tuple(s for s, is_fixed in zip(SOURCES, chosen, strict=True) if is_fixed)
        free = [s for s in SOURCES if s not in fixed]
        names = {0: "all free", 1: f"{' and '.join(fixed)} fixed", 2: f"only {' and '.join(free)} free", 3: "all fixed"}
        cells.append((names[len(fixed)], fixed))
    return cells
