"""Speed of each step of the stacked engine's design, from a plain stack of networks to the engine.

    PYTHONPATH=src python benchmarks/engine_ideas.py [--case narrow] [--repeat 5]

All variants train the same R fully connected networks with ReLU by plain SGD in float32 on one thread, in turns; the processor time of
a step is the median of the repeats, without compilation. The first variant is how a PyTorch user stacks networks: `torch.baddbmm`,
`cross_entropy`, autograd. The last one is the engine, with equal bits in every group, checked losses, and any method.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rivals import ours
from rivals.case import CASES, Case

LR = 0.05


class Stacked:
    """R networks: weights ``R in out``, biases ``R 1 out``, and the rows of every step."""

    def __init__(self, case: Case) -> None:
        widths = [case.shape[0], *case.network.hidden, 10]  # type: ignore[attr-defined]
        generator = torch.Generator().manual_seed(0)
        size = case.replicas
        pairs = list(pairwise(widths))
        self.weights = [torch.randn(size, a, b, generator=generator) / a**0.5 for a, b in pairs]
        self.biases = [torch.zeros(size, 1, b) for _, b in pairs]
        self.case, self.inputs, self.labels = case, case.inputs, case.labels
        self.steps = case.steps * case.epochs

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs ``R B in`` and labels ``R B`` of every step."""
        case, generator = self.case, torch.Generator().manual_seed(0)
        x = torch.empty(case.replicas * case.batch, case.shape[0])
        for _ in range(case.epochs):
            order = torch.stack([torch.randperm(len(self.labels), generator=generator) for _ in range(case.replicas)])
            for rows in order.split(case.batch, dim=1):
                flat = rows.reshape(-1)
                torch.index_select(self.inputs, 0, flat, out=x)
                yield x.view(case.replicas, case.batch, -1), self.labels[flat].view(rows.shape)


def loss_of(weights: list[Tensor], biases: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The sum over networks of their mean cross-entropy."""
    h = x
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        h = torch.baddbmm(b, h, w)
        if i < len(weights) - 1:
            h = h.relu()
    return cross_entropy(h.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]


def by_autograd(case: Case, *, compiled: bool = False) -> Callable[[], None]:
    """Autograd; with ``compiled``, forward and backward pass by torch.compile."""
    stack = Stacked(case)
    parameters = [p.requires_grad_() for p in (*stack.weights, *stack.biases)]
    loss = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def run() -> None:
        for x, y in stack.batches():
            gradients = torch.autograd.grad(loss(stack.weights, stack.biases, x, y), parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.add_(gradient, alpha=-LR)

    return run


def by_hand(case: Case, *, kept: bool = False, inside: bool = False) -> Callable[[], None]:
    """A hand-written backward pass; ``kept``: into buffers that are made once, ``inside``: weights are updated inside the product."""
    stack = Stacked(case)
    size, batch, count = case.replicas, case.batch, len(stack.weights)
    outs = [torch.empty(size, batch, w.shape[2]) for w in stack.weights] if kept else [None] * count
    errors = [torch.empty(size, batch, w.shape[1]) for w in stack.weights] if kept else [None] * count
    towards = [torch.empty_like(w) for w in stack.weights] if kept else [None] * count

    def run() -> None:
        for x, y in stack.batches():
            hs = [x]
            for i, (w, b) in enumerate(zip(stack.weights, stack.biases, strict=True)):
                z = torch.bmm(hs[-1], w, out=outs[i]).add_(b)
                hs.append(z.clamp_min_(0) if i < count - 1 else z)
            d = torch.softmax(hs[-1], 2)
            d.scatter_add_(2, y.unsqueeze(2), d.new_full((1,), -1.0).expand(size, batch, 1))
            d.div_(batch)
            for i in reversed(range(count)):
                below = torch.bmm(d, stack.weights[i].mT, out=errors[i]) if i else None
                if inside:
                    stack.weights[i].baddbmm_(hs[i].mT, d, alpha=-LR)
                else:
                    stack.weights[i].add_(torch.bmm(hs[i].mT, d, out=towards[i]), alpha=-LR)
                stack.biases[i].add_(d.sum(1, keepdim=True), alpha=-LR)
                if below is not None:
                    d = torch.ops.aten.threshold_backward(below, hs[i], 0)

    def without_graph() -> None:
        with torch.no_grad():
            run()

    return without_graph


VARIANTS: dict[str, Callable[[Case], Callable[[], None]]] = {
    "stacked products, autograd": by_autograd,
    "... compiled": lambda case: by_autograd(case, compiled=True),
    "backward pass by hand": by_hand,
    "... into buffers made once": lambda case: by_hand(case, kept=True),
    "... weight update inside the product": lambda case: by_hand(case, kept=True, inside=True),
    "the engine": ours.stacked,
}


def main() -> None:
    """Print the table of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=["narrow", "middle", "wide"], default=["narrow", "middle", "wide"])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.case:
        case = CASES[name]
        runs = {variant: make(case) for variant, make in VARIANTS.items()}
        for run in runs.values():
            run()
        times: dict[str, list[float]] = {variant: [] for variant in runs}
        for _ in range(options.repeat):
            for variant, run in runs.items():
                began = time.process_time()
                run()
                times[variant].append(time.process_time() - began)
        first = median(times[next(iter(times))])
        print(case.name)
        for variant, took in times.items():
            print(
                f"  {variant:38}{1e3 * median(took) / case.steps / case.epochs:8.2f} ms a step {first / median(took):6.2f} times"
            )


if __name__ == "__main__":
    main()
