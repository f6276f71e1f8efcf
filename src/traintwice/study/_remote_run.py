"""A training followed one step at a time, in this process or in another: what the determinism audit compares.

In another process it speaks JSON lines and waits after each step, so that its weights can be looked at where they differ.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from traintwice._processes import close_pipes, end, start
from traintwice.data import Dataset, Source
from traintwice.engine import DEFAULT_EXECUTION, Execution
from traintwice.engine._iterate_weights import iterate_weights
from traintwice.errors import TrainingFailed
from traintwice.recipes import Recipe
from traintwice.specs import decode, encode

Step = tuple[dict[str, str], dict[str, Tensor]]
"""Digest by parameter, and the parameters."""


@dataclass(frozen=True)
class Followed:
    """A training that is followed; see `traintwice.engine._iterate_weights.iterate_weights` for what each setting is."""

    recipe: Recipe
    seed: int
    replica: int
    steps: int
    execution: Execution = DEFAULT_EXECUTION
    others: tuple[int, ...] = ()

    def weights(self, data: Dataset) -> Iterator[dict[str, Tensor]]:
        """Parameters and buffers before the first step and after each."""
        return iterate_weights(data=data, **vars(self))


def here(followed: Followed, data: Dataset) -> Iterator[Step]:
    """The training in this process: digests and weights before the first step and after each."""
    for weights in followed.weights(data):
        yield digests_of(weights), weights


def digests_of(weights: dict[str, Tensor]) -> dict[str, str]:
    """BLAKE2b of the bytes of each parameter."""
    return {name: hashlib.blake2b(value.cpu().numpy().tobytes(), digest_size=8).hexdigest() for name, value in weights.items()}


class _Remote(dict[str, Tensor]):
    """Weights in another process, fetched when they are looked at."""

    def __init__(self, process: RemoteRun) -> None:
        super().__init__()
        self.process = process

    def __missing__(self, name: str) -> Tensor:
        found = self.process.ask(name)
        return torch.from_numpy(np.array(found["values"], dtype=np.float64))


class RemoteRun:
    """The same training in another process, one step at a time: it waits after each, so that its weights can be looked at."""

    def __init__(self, followed: Followed, source: Source, *, threads: int = 1) -> None:
        self.followed, self.threads = followed, threads
        self._begun = False
        waits = {"OMP_WAIT_POLICY": "PASSIVE"}  # it waits more than it works
        self._process = start(
            "traintwice.study._remote_run", threads=threads, environment=waits, stderr=subprocess.DEVNULL, text=True
        )
        self._input: IO[str] = self._process.stdin  # type: ignore[assignment]  # pipes, as asked
        self._output: IO[str] = self._process.stdout  # type: ignore[assignment]
        self._say({"followed": encode(followed), "data": encode(source), "threads": threads})

    def steps(self) -> Iterator[Step]:
        """Digests after each step; the weights are fetched where they are wanted."""
        while True:
            self.begin()
            self._begun = False
            yield self._answer(), _Remote(self)

    def begin(self) -> None:
        """Let it take its next step while others take theirs."""
        if not self._begun:
            self._say({"parameter": None})
            self._begun = True

    def ask(self, parameter: str) -> dict[str, Any]:
        """The values of a parameter as it is now."""
        self._say({"parameter": parameter})
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._output.readline()
        if not line:
            raise TrainingFailed(f"the training with {self.threads} threads in another process ended before its time")
        return json.loads(line)  # type: ignore[no-any-return]

    def _say(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # the next answer reports the end of the process
            print(json.dumps(message), file=self._input, flush=True)

    def close(self) -> None:
        """End it."""
        end(self._process)
        close_pipes(self._process)


def main() -> None:
    """The other process: read what to train, then answer one question a line until the input ends."""
    setup = json.loads(sys.stdin.readline())
    torch.set_num_threads(setup["threads"])
    data = decode(Source, setup["data"], "data").load()  # type: ignore[type-abstract]
    steps = decode(Followed, setup["followed"], "followed").weights(data)
    weights: dict[str, Tensor] = {}
    for line in sys.stdin:
        name = json.loads(line)["parameter"]
        if name is None:
            weights = next(steps)
            answer: dict[str, Any] = digests_of(weights)
        else:
            answer = {"values": weights[name].double().tolist()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
