"""Packages that train ensembles."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rivals.case import Case, NotHere
from traintwice.optimizers import SGD


def torchensemble(case: Case) -> Callable[[], None]:
    """VotingClassifier: independent networks, in one process."""
    try:
        from torchensemble import VotingClassifier
    except ImportError as error:
        raise NotHere(f"not installed ({error})") from None
    numbers = count()

    class Member(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = case.build(next(numbers))

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x)

    name = "SGD" if isinstance(case.optimizer, SGD) else "Adagrad"
    settings = {"momentum": case.optimizer.momentum} if isinstance(case.optimizer, SGD) else {"initial_accumulator_value": 0.1}

    def run() -> None:
        order = torch.Generator().manual_seed(0)
        loader = DataLoader(TensorDataset(case.inputs, case.labels), case.batch, shuffle=True, generator=order)
        with contextlib.redirect_stdout(io.StringIO()):
            ensemble = VotingClassifier(estimator=Member, n_estimators=case.replicas, cuda=False, n_jobs=None)
            ensemble.set_optimizer(name, lr=case.optimizer.lr, **settings)
            ensemble.fit(loader, epochs=case.epochs, log_interval=10**9, save_model=False)

    return run
