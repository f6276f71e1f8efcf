"""Loops that PyTorch users write: the usual one, and one with all that is known to help."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from rivals.case import Case
from traintwice.optimizers import SGD

TRIAL_STEPS = 12


def data_loader_loop(case: Case) -> Callable[[], None]:
    """DataLoader over a TensorDataset, shuffled, the optimiser as it comes, one network after the other."""

    def run() -> None:
        for replica in range(case.replicas):
            network = case.build(replica)
            optimizer = case.optimizer.build(network.parameters())
            order = torch.Generator().manual_seed(replica)
            loader = DataLoader(TensorDataset(case.inputs, case.labels), case.batch, shuffle=True, generator=order)
            for _ in range(case.epochs):
                for x, y in loader:
                    optimizer.zero_grad()
                    cross_entropy(network(x), y).backward()
                    optimizer.step()

    return run


def tuned_loop(case: Case) -> Callable[[], None]:
    """Data in memory, rows copied into buffers that are kept, the fastest of PyTorch's implementations of the optimiser."""
    implementation = min(({"fused": True}, {"foreach": True}, {"foreach": False}), key=lambda how: _trial(case, how))

    def run() -> None:
        for replica in range(case.replicas):
            _train(case, replica, implementation, case.epochs, None)

    run.__doc__ = str(implementation)
    return run


def _trial(case: Case, how: dict[str, bool]) -> float:
    """Seconds of a few steps, the faster of two times."""
    times = []
    for _ in range(2):
        began = time.process_time()
        _train(case, 0, how, 1, TRIAL_STEPS)
        times.append(time.process_time() - began)
    return min(times)


def _train(case: Case, replica: int, how: dict[str, bool], epochs: int, steps: int | None) -> None:
    network = case.build(replica)
    optimizer = _optimizer(case, network, how)
    inputs, labels = case.inputs, case.labels
    x, y = inputs[: case.batch].clone(), labels[: case.batch].clone()
    generator = torch.Generator().manual_seed(replica)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=generator).split(case.batch)[:steps]:
            torch.index_select(inputs, 0, rows, out=x)
            torch.index_select(labels, 0, rows, out=y)
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(network(x), y).backward()
            optimizer.step()


def _optimizer(case: Case, network: nn.Module, how: dict[str, bool]) -> torch.optim.Optimizer:
    chosen, parameters = case.optimizer, list(network.parameters())
    settings: dict[str, Any] = dict(how)
    if isinstance(chosen, SGD):
        return torch.optim.SGD(parameters, lr=chosen.lr, momentum=chosen.momentum, **settings)
    return torch.optim.Adagrad(parameters, lr=chosen.lr, initial_accumulator_value=0.1, **settings)
