"""Rough estimate of the time that a study takes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from traintwice.data import Dataset
from traintwice.study import Experiment

SHARE_OF_PEAK = 0.25
"""Share of the speed of a matrix product that training a small fully connected network reaches. Ours, measured."""

ROW_OF_A_STREAM = 100_000.0
"""Multiplications that take as long as one row of a stream takes one component with a small tower. Ours, measured."""


def multiply_adds(experiment: Experiment, data: Dataset) -> float:
    """Multiplications of all trainings of a study: three for every forward multiplication of every example."""
    base = experiment.rows[experiment.baseline]
    unit = base.network.multiply_adds(data.shape, data.classes) * 3.0
    if data.places is not None:
        unit += ROW_OF_A_STREAM
    unit *= base.epoch_size(len(data.train)) * base.epochs
    units = sum(recipe.cost(base, data.shape, data.classes).train for recipe in experiment.rows.values())
    return unit * units * experiment.replicas


STEP_ON_A_GPU = 2e-3
"""Seconds that one step of one training takes on a GPU at least, because kernels start one after the other. Ours, a rough value."""


def steps(experiment: Experiment, data: Dataset) -> float:
    """Steps of all trainings of a study, each component counted."""
    return sum(
        recipe.steps_per_epoch(len(data.train)) * recipe.epochs * recipe.method.components for recipe in experiment.rows.values()
    ) * float(experiment.replicas)


def multiplications_per_second(device: str = "cpu") -> float:
    """Speed of a float32 matrix product, the best of five: on one thread of this machine, or on its GPU."""
    if device != "cpu":
        return _on_gpu(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a = torch.ones(512, 512)
        best = 0.0
        for _ in range(5):
            start = time.perf_counter()
            torch.mm(a, a)
            best = max(best, 512**3 / (time.perf_counter() - start))
        return best
    finally:
        torch.set_num_threads(threads)


def _on_gpu(device: str) -> float:
    size = 4096
    a = torch.ones(size, size, device=device)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(a, a).sum().item()  # waits for the product
        best = max(best, size**3 / (time.perf_counter() - start))
    return best


def estimate(experiments: Sequence[Experiment], jobs: int, *, device: str = "cpu") -> tuple[int, float]:
    """Number of trainings and seconds, accurate to a factor of two or three.

    Args:
        experiments: run one after the other.
        jobs: worker processes.
        device: "cpu" or "cuda".
    Returns:
        Replicas, and seconds on this machine with an empty store.
    """
    work, started, replicas = 0.0, 0.0, 0
    loaded: dict[str, Dataset] = {}
    for experiment in experiments:
        data = loaded.setdefault(repr(experiment.data), experiment.data.load())
        work += multiply_adds(experiment, data)
        started += steps(experiment, data) * (STEP_ON_A_GPU if device != "cpu" else 0.0)
        replicas += experiment.replicas * len(experiment.rows)
    return replicas, max(work / (multiplications_per_second(device) * SHARE_OF_PEAK), started) / jobs


def in_words(seconds: float) -> str:
    """A duration to one or two digits.

    >>> in_words(40), in_words(600), in_words(86400 * 3)
    ('1 minute', '10 minutes', '3 days')
    """
    unit, length = next(((u, n) for u, n in (("day", 86400.0), ("hour", 3600.0)) if seconds >= 1.5 * n), ("minute", 60.0))
    count = max(round(seconds / length), 1)
    return f"{count} {unit}{'s' * (count != 1)}"
