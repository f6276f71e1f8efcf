"""Engines on one GPU: seconds per epoch and replica, and whether bits are equal.

    PYTHONPATH=src python benchmarks/gpu.py [--only WORDS] [--cpu]

Every entry takes some warm-up steps, then the same number of timed steps for all engines of its table; the time of a full epoch follows
from the time of a step. Data are random. "of plain" is the speed relative to a plain PyTorch loop that trains one replica with
nondeterministic kernels. Takes less than 4 minutes on an H200. `--cpu` runs tiny versions of all entries, to test this script.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import nn

from traintwice.data import Dataset, Split
from traintwice.engine import Execution, Trained, train_group
from traintwice.engine._choosing import places_of
from traintwice.engine._execution import DeviceName
from traintwice.engine._reading import TrainingSet
from traintwice.engine._run import KINDS
from traintwice.engine._training import TrainingSpec
from traintwice.methods import anti_distillation
from traintwice.nets import MLP, ResNet
from traintwice.optimizers import SGD, AdaGrad
from traintwice.recipes import Recipe

WARM_UP = 4
"""Steps before the clock starts; a CUDA graph is captured in the second."""


@dataclass(frozen=True)
class Table:
    """A recipe whose engines are compared.

    Attributes:
        name: of the table.
        recipe, data: what is trained.
        epoch: examples of a full epoch.
        steps: timed steps.
    """

    name: str
    recipe: Recipe
    data: Dataset
    epoch: int
    steps: int


class Benchmark:
    """Prints one line for each entry."""

    def __init__(self, device: DeviceName, only: str) -> None:
        self.device, self.only = device, only
        self.plain: dict[str, float] = {}

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def timed(self, table: Table, what: str, replicas: int, steps: Callable[[], Iterator[object]]) -> None:
        """Time the steps of an entry, or print why it failed."""
        if self.only and self.only not in f"{table.name}, {what}":
            return
        began = time.perf_counter()
        try:
            taken = steps()
            for _ in islice(taken, WARM_UP):
                pass
            self.wait()
            start = time.perf_counter()
            count = sum(1 for _ in islice(taken, table.steps))
            self.wait()
            step = (time.perf_counter() - start) / count
        except Exception as error:  # the other entries still run
            print(f"{table.name}, {what}: failed: {type(error).__name__}: {str(error)[:300]}", flush=True)
            traceback.print_exc()
            return
        seconds = step * -(-table.epoch // table.recipe.batch_size) / replicas
        plain = self.plain.setdefault(table.name, seconds)
        print(
            f"{table.name + ', ' + what:66}{seconds:9.3f} s an epoch and replica{plain / seconds:8.2f} of plain"
            f"{1e3 * step:9.1f} ms a step{time.perf_counter() - began:7.1f} s in all",
            flush=True,
        )

    def plain_loop(self, table: Table) -> None:
        """A plain PyTorch loop with the data on the device."""
        recipe, split = table.recipe, table.data.train

        def steps() -> Iterator[object]:
            device = torch.device(self.device)
            inputs, labels = torch.from_numpy(split.inputs).to(device), torch.from_numpy(split.labels).long().to(device)
            rngs = [np.random.default_rng(j) for j in range(recipe.method.components)]
            nets = nn.ModuleList(recipe.network.build(table.data.shape, table.data.classes, rng) for rng in rngs).to(device)
            optimizer = recipe.optimizer.build(nets.parameters())
            while True:
                for rows in torch.randperm(len(inputs), device=device).split(recipe.batch_size):  # type: ignore[no-untyped-call]
                    loss = torch.stack([nn.functional.cross_entropy(net(inputs[rows]), labels[rows]) for net in nets]).sum()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    yield loss

        self.timed(table, "plain loop", 1, steps)

    def engine(self, table: Table, execution: Execution, replicas: int) -> None:
        """An engine with a group of so many replicas, whatever its usual size is."""
        execution = replace(execution, device=self.device)
        long = table.recipe.change(epochs=1 + (WARM_UP + table.steps) * table.recipe.batch_size // len(table.data.train))
        spec = TrainingSpec(long.resolve(len(table.data.train)), table.data, 0, execution)

        def steps() -> Iterator[object]:
            with execution.kernels():
                training = KINDS[execution.engine](spec, TrainingSet.of(table.data, execution), range(replicas))
                yield from training.steps(0, spec.steps)

        usual = places_of(table.recipe, table.data, execution)
        words = [f"{execution.engine}, {replicas} of {usual or 'any number of'} places" if replicas > 1 else execution.engine]
        words += [execution.precision] * (execution.precision != "float32") + ["graphs"] * execution.graphs
        self.timed(table, ", ".join(words), replicas, steps)

    def same_bits(self, table: Table, execution: Execution, replicas: int) -> None:
        """Whether a replica has the same bits twice, alone and in a group, and with CUDA graphs."""
        if self.only and self.only not in f"{table.name}, same bits":
            return
        execution = replace(execution, device=self.device)
        data = replace(table.data, train=Split(table.data.train.inputs[:1000], table.data.train.labels[:1000]))
        recipe = table.recipe.change(epochs=1, batch_size=min(table.recipe.batch_size, 300))

        def first(count: int, how: Execution) -> Trained:
            made = dict(train_group(recipe, data, seed=0, replicas=range(count), execution=how))[0]
            if not isinstance(made, Trained):
                raise made
            return made

        try:
            group = first(replicas, execution)
            others = {"twice": first(replicas, execution), "alone and in a group": first(1, execution)}
            if self.device == "cuda":
                others["with and without graphs"] = first(replicas, replace(execution, graphs=True))
            loop = first(1, replace(execution, engine="loop"))
        except Exception as error:  # the other entries still run
            print(f"{table.name}, {execution.engine}, same bits: failed: {type(error).__name__}: {str(error)[:300]}", flush=True)
            traceback.print_exc()
            return
        same = {what: all((group.weights[n] == o.weights[n]).all() for n in group.weights) for what, o in others.items()}
        gap = max(float(np.abs(group.weights[n] - loop.weights[n]).max()) for n in group.weights)
        said = ", ".join(f"{what} {'yes' if equal else 'NO'}" for what, equal in same.items())
        steps = recipe.steps_per_epoch(len(data.train))
        print(
            f"{table.name}, {execution.engine}, {execution.precision}: same bits {said}; at most {gap:.2g} from loop after {steps} steps",
            flush=True,
        )


def tables(tiny: bool) -> dict[str, Table]:
    """A row of AD Table 1, a small MLP, and ResNet-20 with two sizes of mini-batch."""
    rng = np.random.default_rng(0)

    def random(shape: tuple[int, ...], examples: int) -> Dataset:
        def split(n: int) -> Split:
            return Split(rng.random((n, *shape), dtype=np.float32), rng.integers(10, size=n))

        return Dataset("random", 10, split(examples), split(50), split(50))

    wide, steps = (64, 3) if tiny else (1200, 150)
    pixels, pictures = random((784,), 1000 if tiny else 60_000), random((3, 32, 32), 64 if tiny else 8192)
    row = Recipe(network=MLP((wide, wide)), method=anti_distillation(2, weight=0.1), optimizer=AdaGrad(), batch_size=128)
    small = Recipe(network=MLP((128, 128)), optimizer=SGD(0.1), batch_size=128)
    stages = ((1, 4, 1),) if tiny else ((3, 16, 1), (3, 32, 2), (3, 64, 2))
    net = Recipe(network=ResNet(stages), optimizer=SGD(0.1, 0.9), batch_size=16 if tiny else 128)
    large = net.change(batch_size=32 if tiny else 1024)
    return {
        "row": Table("AD row", row, pixels, 60_000, steps),
        "small": Table("784-128-128-10", small, pixels, 60_000, steps),
        "128": Table(f"ResNet-20, batch {net.batch_size}", net, pictures, 50_000, 2 if tiny else 50),
        "1024": Table(f"ResNet-20, batch {large.batch_size}", large, pictures, 50_000, 1 if tiny else 12),
    }


def main() -> None:
    """Print all entries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="entries whose name contains these words")
    parser.add_argument("--cpu", action="store_true", help="tiny versions on the CPU")
    options = parser.parse_args()
    began, gpu = time.perf_counter(), not options.cpu
    if gpu and not torch.cuda.is_available():
        print("PyTorch finds no GPU on this machine; nothing is measured")
        return
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name() if gpu else 'cpu'}", flush=True)  # type: ignore[no-untyped-call]
    if options.cpu:
        torch.set_num_threads(1)
    of, bench = tables(options.cpu), Benchmark("cuda" if gpu else "cpu", options.only)
    loop, stacked, vectorised = Execution("loop"), Execution("stacked"), Execution("vectorised")
    for key in ("row", "small"):
        bench.plain_loop(of[key])
        bench.engine(of[key], loop, 1)
        bench.engine(of[key], stacked, 20)
        bench.engine(of[key], vectorised, 20)
        if gpu:
            for engine in (stacked, vectorised):
                bench.engine(of[key], Execution(engine.engine, "cuda", graphs=True), 20)
            for graphs in (False, True):
                bench.engine(of[key], Execution("stacked", "cuda", "tf32", graphs=graphs), 20)
    for key in ("128", "1024"):
        bench.plain_loop(of[key])
        for precision in ("float32", "bf16"):
            bench.engine(of[key], replace(loop, precision=precision), 1)
            for replicas in (2,) if options.cpu else (8, 16):
                bench.engine(of[key], replace(vectorised, precision=precision), replicas)
        if gpu:
            bench.engine(of[key], Execution("vectorised", "cuda", graphs=True), 8)
    bench.same_bits(of["row"], stacked, 3)
    bench.same_bits(of["small"], vectorised, 3)
    bench.same_bits(of["128"], vectorised, 3)
    bench.same_bits(of["128"], replace(vectorised, precision="bf16"), 3)
    if gpu:
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
