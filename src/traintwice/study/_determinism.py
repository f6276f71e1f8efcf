"""The determinism audit: the same training twice, in this process and in others, compared by the bits of its weights after every step."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import torch
from torch import Tensor

from traintwice._processes import close_pipes, end, start
from traintwice._typed import typed
from traintwice.data import Dataset, Source
from traintwice.engine import DEFAULT_EXECUTION, Choice, Execution, Numerics, Precision, choose, numerics_of
from traintwice.engine._execution import available_devices
from traintwice.engine._run import iterate_weights, steps_of
from traintwice.errors import BadSpec, TrainingFailed
from traintwice.recipes import Recipe
from traintwice.specs import decode, encode


@dataclass(frozen=True)
class Divergence:
    """Where two trainings parted.

    Attributes:
        step: optimiser steps taken, 0 for the initial weights.
        parameter: the first that differs, "0.name" of component 0 ...
        size: largest absolute difference between the two at that step.
    """

    step: int
    parameter: str
    size: float


@dataclass(frozen=True)
class Compared:
    """A second training next to the first.

    Attributes:
        name: how it was run.
        threads: of it.
        divergence: where it parted from the first; None where every bit is the same at every step.
        others: other replicas that were trained in the same group.
        device: of it.
    """

    name: str
    threads: int
    divergence: Divergence | None
    others: tuple[int, ...] = ()
    device: str = "cpu"


@dataclass(frozen=True)
class Audit:
    """What the audit found.

    Attributes:
        recipe, steps: what was trained, and for how many optimiser steps.
        asked: for how many it was asked; a stream may have ended before.
        choice: the engine, and why it was chosen.
        numerics: of the first training, which is alone.
        compared: the others; the first is in the same process, the second in another, the rest with other threads or among other
            replicas.
        unchecked: devices of this machine that no training of this package runs on, so that nothing is said of them.
    """

    recipe: Recipe
    steps: int
    asked: int
    choice: Choice
    numerics: Numerics
    compared: tuple[Compared, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def deterministic(self) -> bool:
        """Trainings with the same numerics are bit-identical on this machine."""
        return all(c.divergence is None for c in self.alike)

    @property
    def alike(self) -> list[Compared]:
        """The trainings with the numerics of the first."""
        return [c for c in self.compared if (c.threads, c.device) == (self.numerics.threads, self.numerics.device)]

    @property
    def to_rounding(self) -> bool:
        """Whether the engine promises a replica's numbers up to rounding only, whatever is trained with it."""
        return self.choice.engine == "vectorised" and self.numerics.device == "cpu"

    def sentences(self) -> list[str]:
        """What was seen, and what churn cannot be avoided on this machine."""
        said = []
        if self.steps < self.asked:
            said.append(
                f"The stream is trained on in one pass of {self.steps:,} steps; {self.asked:,} were asked for, and no more can be compared."
            )
        for c in self.compared:
            if c.divergence is None:
                said.append(f"{c.name}: identical weights after each of {self.steps:,} steps.")
            else:
                d = c.divergence
                since = (
                    f"from step {d.step:,} on" if d.step else "before the first step already: an earlier model came out otherwise"
                )
                said.append(f"{c.name}: other weights {since}, first in {d.parameter}, by up to {d.size:.3g}.")
        if self.choice.engine != "loop":
            said.append(
                f"The {self.choice.engine} engine works on one thread, so that there are no numbers of threads to compare."
            )
        if self.deterministic:
            said.append(
                f"With every source of randomness fixed, {self.steps:,} steps of this recipe give the same model each time on this "
                "machine: no churn is unavoidable here, and what a study measures comes from the sources that it leaves free."
            )
        elif all(c.divergence is None for c in self.alike if not c.others) and self.to_rounding:
            said.append(
                "Alone, a replica is the same model each time on this machine. Next to other replicas it is another model: on a CPU the "
                "vectorised engine agrees with the loop engine to rounding and does not promise equal bits. Take the loop engine (--engine "
                "loop) for bits that do not depend on the group."
            )
        elif all(c.divergence is None for c in self.alike if not c.others):
            said.append(
                "Alone, a replica is the same model each time on this machine, but what is trained with it changes it: the bits of a "
                "study then depend on how its replicas were grouped. Take the loop engine (--engine loop), and report this as a defect."
            )
        else:
            said.append(
                "With every source of randomness fixed, this recipe still gives another model each time on this machine: the churn that "
                "comes of that cannot be avoided here. A study with every source fixed measures it."
            )
        if any(c.divergence is not None for c in self.compared if c.threads != self.numerics.threads):
            said.append(
                "Another number of threads is another model: replicas record theirs, and a store does not mix them in one row unless "
                "told to."
            )
        if any(c.divergence is not None for c in self.compared if c.device != self.numerics.device):
            said.append(
                "Another device is another model: replicas record theirs, and a store does not mix them in one row either."
            )
        if self.unchecked:
            said.append(
                f"All of this is of the {self.numerics.device}, on which studies train. This machine has {' and '.join(self.unchecked)} "
                "too, of which nothing was checked."
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": 2,
            "recipe": encode(self.recipe),
            "steps": self.steps,
            "asked": self.asked,
            "engine": self.choice.engine,
            "reason": self.choice.reason,
            "numerics": asdict(self.numerics),
            "compared": [asdict(c) for c in self.compared],
            "unchecked": list(self.unchecked),
            "deterministic": self.deterministic,
            "findings": self.sentences(),
        }


@typed
def audit(
    recipe: Recipe,
    source: Source,
    *,
    seed: int = 0,
    replica: int = 0,
    steps: int = 1000,
    threads: Sequence[int] | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> Audit:
    """Train one replica several times side by side and compare all weights after every step.

    Args:
        recipe: what to train; all its streams are those of one replica, so that every source of randomness is fixed. Earlier models that it
            starts or learns from are trained again for each training, and are part of what is compared.
        source: the data.
        seed, replica: which streams.
        steps: how many optimiser steps, >= 1; on a stream no more than its one pass has.
        threads: further numbers of threads to compare with one, by default 2; none for engines that train replicas together, which work
            on one thread. They train the replica together with two others instead.
        execution: of the first training. The engine "auto" takes the one that a study would. The training is compared with one on every
            other device of this machine too.
    Returns:
        What parted, where, and by how much. The first training has one thread, as every worker of a study has.
    Raises:
        BadSpec: no steps, threads for the stacked engine, or an engine that cannot train the recipe. Diverged: the replica or an earlier
            model did. TrainingFailed: a second process died.
    Source:
        CH section 2.3: everything fixed on a CPU, identical weights after 10,000 steps; on GPU and TPU they part within 100.
    """
    if steps < 1:
        raise BadSpec(f"steps: got {steps}, expected at least 1")
    data = source.load()
    choice = choose(recipe, data, execution)
    chosen = replace(execution, engine=choice.engine)
    if threads and choice.engine != "loop":
        raise BadSpec(
            f"threads: got {', '.join(map(str, threads))}, but the {choice.engine} engine works on one thread; leave them out, or audit "
            "the loop engine"
        )
    asked, steps = steps, steps_of(recipe, data, steps)
    followed = Followed(recipe, seed, replica, steps, execution)
    others = {"another process": RemoteRun(followed, source)}
    if choice.engine != "loop":
        two = (replica + 1, replica + 2)
        others["another process, with two others"] = RemoteRun(replace(followed, others=two), source)
    for count in (2,) if threads is None and choice.engine == "loop" and not execution.on_gpu else threads or ():
        others[f"{count} threads"] = RemoteRun(followed, source, threads=count)
    for other in available_devices():
        if other != execution.device:  # in the numbers that every device has, by the same engine
            precision: Precision = "float32" if execution.precision == "tf32" else execution.precision
            there = replace(chosen, device=other, precision=precision, graphs=False)
            others[f"on {other}"] = RemoteRun(replace(followed, execution=there), source)
    divergences: dict[str, Divergence] = {}
    try:
        with _threads(1):
            first = Here(followed, data)
            sides: dict[str, Here | RemoteRun] = {"the same process": Here(followed, data), **others}
            for step in range(steps + 1):
                together = {name: side for name, side in sides.items() if name not in divergences}
                for side in together.values():
                    side.begin()
                digests = first.step()
                for name, side in together.items():
                    theirs = side.step()
                    if parameter := next((p for p, digest in digests.items() if theirs[p] != digest), None):
                        apart = (side.values(parameter) - first.values(parameter)).abs().max()
                        divergences[name] = Divergence(step, parameter, float(apart))
    finally:
        for process in others.values():
            process.close()
    compared = tuple(
        Compared(name, side.threads, divergences.get(name), side.followed.others, side.followed.execution.device)
        for name, side in sides.items()
    )
    without_training = ("mps",) if torch.backends.mps.is_available() else ()
    return Audit(recipe, steps, asked, choice, numerics_of(recipe, data, chosen), compared, without_training)


@dataclass(frozen=True)
class Followed:
    """A training that is followed; see `traintwice.engine._run.iterate_weights` for what each setting is."""

    recipe: Recipe
    seed: int
    replica: int
    steps: int
    execution: Execution = DEFAULT_EXECUTION
    others: tuple[int, ...] = ()


class Here:
    """A training in this process, one step at a time."""

    def __init__(self, followed: Followed, data: Dataset) -> None:
        self.followed, self.threads = followed, 1
        self._steps = iterate_weights(data=data, **vars(followed))
        self._weights: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Let a training in another process take its next step while others take theirs."""

    def step(self) -> Mapping[str, str]:
        """BLAKE2b of each parameter after the next step; the first is that of the initial weights."""
        self._weights = next(self._steps)
        plain = {name: value.cpu().numpy().tobytes() for name, value in self._weights.items()}
        return {name: hashlib.blake2b(content, digest_size=8).hexdigest() for name, content in plain.items()}

    def values(self, parameter: str) -> Tensor:
        """A parameter as it is now."""
        return self._weights[parameter].cpu().double()


class RemoteRun:
    """The same in another process, by JSON lines: it waits after each step, so that its weights can be looked at."""

    def __init__(self, followed: Followed, source: Source, *, threads: int = 1) -> None:
        self.followed, self.threads = followed, threads
        waits = {"OMP_WAIT_POLICY": "PASSIVE"}  # it waits more than it works
        self._process = start(
            "traintwice.study._determinism", threads=threads, environment=waits, stderr=subprocess.DEVNULL, text=True
        )
        self._input: IO[str] = self._process.stdin  # type: ignore[assignment]  # pipes
        self._output: IO[str] = self._process.stdout  # type: ignore[assignment]
        self._say({"followed": encode(followed), "data": encode(source), "threads": threads})

    def begin(self) -> None:
        """Let it take its next step while others take theirs."""
        self._say({"parameter": None})

    def step(self) -> Mapping[str, str]:
        """See `Here`; after `begin`."""
        found: dict[str, str] = self._answer()
        return found

    def values(self, parameter: str) -> Tensor:
        """See `Here`."""
        self._say({"parameter": parameter})
        return torch.tensor(self._answer(), dtype=torch.float64)

    def close(self) -> None:
        """End it."""
        end(self._process)
        close_pipes(self._process)

    def _answer(self) -> Any:
        line = self._output.readline()
        if not line:
            raise TrainingFailed(f"the training with {self.threads} threads in another process ended before its time")
        return json.loads(line)

    def _say(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # the next answer reports the end of the process
            print(json.dumps(message), file=self._input, flush=True)


def main() -> None:
    """The other process: read what to train, then answer one question a line until the input ends."""
    setup = json.loads(sys.stdin.readline())
    torch.set_num_threads(setup["threads"])
    data = decode(Source, setup["data"], "data").load()  # type: ignore[type-abstract]
    training = Here(decode(Followed, setup["followed"], "followed"), data)
    for line in sys.stdin:
        parameter = json.loads(line)["parameter"]
        answer = training.step() if parameter is None else training.values(parameter).tolist()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
