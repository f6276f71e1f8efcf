"""Networks that train together: their parameters in one stack, buffers of inputs, outputs and masks, loss and optimiser of a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.engine._reading import FILLED, rounded_up
from traintwice.engine._state import State
from traintwice.losses import CrossEntropy, Outputs
from traintwice.methods import Memories, Method
from traintwice.optimizers import SGD, Optimizer
from traintwice.recipes import Recipe
from traintwice.schedules import at_step

LANES = 64
"""Numbers of a network in a stack are padded to a multiple of so many. PyTorch's vectorised loops take two vectors at a time (32 float32
numbers) and round the remaining numbers differently; with this padding nothing remains, in a group of any size."""


@dataclass(frozen=True)
class Block:
    """A parameter of all networks, by its name in a network's state; the shape is that stored."""

    name: str
    index: int
    shape: tuple[int, ...]
    transposed: bool = False

    @property
    def length(self) -> int:
        """Padded size for each network."""
        return rounded_up(prod(self.shape), LANES)

    def of(self, stack: Sequence[Tensor]) -> Tensor:
        """The parameter of all networks, ``S *shape``, in a stack's blocks ``S length``."""
        return stack[self.index][:, : prod(self.shape)].view(-1, *self.shape)


class Stack(nn.Module):
    """Parameters of S networks, ``S length`` for each parameter of one. It is a module, so averagers and peers can use it as one."""

    def __init__(self, blocks: Sequence[Block], networks: int, dtype: torch.dtype) -> None:
        super().__init__()
        zeros = [torch.zeros(networks, block.length, dtype=dtype) for block in blocks]
        self.blocks = nn.ParameterList(nn.Parameter(zero, requires_grad=False) for zero in zeros)


@torch.no_grad()
def pack(network: nn.Module, blocks: Sequence[Block], stack: Sequence[Tensor], row: int) -> None:
    """Copy a network's parameters to its row of a stack."""
    parameters = dict(network.named_parameters())
    for block in blocks:
        block.of(stack)[row].copy_(parameters[block.name].t() if block.transposed else parameters[block.name])


@torch.no_grad()
def unpack(network: nn.Module, blocks: Sequence[Block], stack: Sequence[Tensor], row: int) -> None:
    """Inverse of `pack`."""
    parameters = dict(network.named_parameters())
    for block in blocks:
        own = block.of(stack)[row]
        parameters[block.name].copy_(own.t() if block.transposed else own)


@dataclass(frozen=True)
class GroupShape:
    """Shape of a group's mini-batches, and of all buffers."""

    replicas: int
    components: int
    batch: int
    apart: bool  # whether components have inputs of their own
    dtype: torch.dtype
    device: torch.device

    @property
    def size(self) -> int:
        """Networks S = R·J."""
        return self.replicas * self.components

    def padded(self, *shape: int) -> tuple[Tensor, Tensor]:
        """A buffer ``S L`` with L rounded up to `LANES`, and its view ``S *shape``."""
        count = prod(shape)
        flat = torch.zeros(self.size, rounded_up(count, LANES), dtype=self.dtype, device=self.device)
        return flat, flat[:, :count].view(self.size, *shape)


Drop = tuple[float, tuple[int, ...]]
"""Rate and shape of a dropout mask."""


class IOBuffers:
    """Inputs, logits and gradient of the logits of S networks, for mini-batches of one size.

    Attributes:
        rows: inputs ``R·B D`` or, if components have their own, ``S·B D``, padded to `FILLED`; written before a forward pass.
        inputs: a view of them, ``R B D`` or ``S B D``, without the padding.
        logits: ``S K B``, written by a forward pass; class by class, which is fast to normalise.
        gradient: of the loss by the logits, ``S K B``, written before a backward pass.
        minus_one: −1 for every example of every network, ``S 1 B``.
        drops, masks: every dropout mask of a pass, in order, and where it is written.
    """

    drops: list[Drop]
    masks: list[Tensor]

    def __init__(self, shape: GroupShape, features: int, classes: int) -> None:
        self.shape = shape
        seen = shape.size if shape.apart else shape.replicas
        self.rows = torch.zeros(seen * shape.batch, rounded_up(features, FILLED), dtype=shape.dtype, device=shape.device)
        self.inputs = self.rows.view(seen, shape.batch, -1)[:, :, :features]
        self.logits_flat, self.logits = shape.padded(classes, shape.batch)
        self.gradient_flat, self.gradient = shape.padded(classes, shape.batch)
        minus_one = torch.full((), -1.0, dtype=shape.dtype, device=shape.device)
        self.minus_one = minus_one.expand(shape.size, 1, shape.batch)

    def by_replica(self, stack: Tensor) -> Tensor:
        """``R J ...`` of ``R·J ...``."""
        return stack.view(self.shape.replicas, self.shape.components, *stack.shape[1:])


def kept_of(network: nn.Module) -> dict[str, Tensor]:
    """Buffers of a network, such as running statistics, and parameters that are not trained."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(network.named_buffers())}


def drawn(drops: Sequence[Drop], streams: Sequence[np.random.Generator], dtype: torch.dtype) -> list[Tensor]:
    """Masks ``S ...``, each network's from its own stream, as `traintwice.nets.Dropout` draws them."""
    made = []
    for rate, shape in drops:
        noise = torch.empty(len(streams), *shape)
        for own, stream in zip(noise.numpy(), streams, strict=True):
            stream.random(dtype=np.float32, out=own)
        made.append((noise >= rate).to(dtype) / (1 - rate))
    return made


REPLICAS = 32
"""Losses get a multiple of so many replicas, with zeros after those of the group, so that every array fills whole vectors (see `LANES`)."""


@dataclass(frozen=True)
class LossInputs:
    """What the losses of R replicas read in addition to the logits, as in `traintwice.losses.Outputs`."""

    labels: Tensor
    peers: Tensor | None = None
    teacher: Tensor | None = None
    shared: slice | None = None


class LogitGradients:
    """Calls a method's loss on the logits of a group; ``values`` ``R`` are the last losses, written in place, as CUDA graphs need."""

    def __init__(self, method: Method, values: Tensor, classes: int) -> None:
        replicas = len(values)
        self.method, self.replicas, self.values = method, replicas, values
        self.padded = rounded_up(replicas, REPLICAS)
        self.last: tuple[Tensor, LossInputs, int] | None = None  # explains a later step that is not finite
        self.plain = len(method.terms) == 1 and type(method.terms[0].loss) is CrossEntropy and classes > 1

    def write(self, buffers: IOBuffers, seen: LossInputs, step: int, memories: Memories | None) -> tuple[Memories | None, Tensor]:
        """Write ``buffers.gradient``; returns what the terms remember, and numbers that are finite if a replica's loss is."""
        if self.plain:
            self._of_cross_entropy(buffers, seen.labels, step)
            return None, buffers.logits
        return self._of_any(buffers, seen, step, memories)

    def failures(
        self, buffers: IOBuffers, seen: LossInputs, step: int, memories: Memories | None, values: Tensor
    ) -> dict[int, str]:
        """Why the loss of a replica is not finite, by its place, from the numbers of `write`."""
        found, logits = {}, buffers.by_replica(buffers.logits)
        if not self.plain or not math.isfinite(values.sum().item()):
            finite = values.isfinite().reshape(self.replicas, -1).all(1).tolist()
            for at in (i for i, good in enumerate(finite) if not good):
                out, own = _outputs_of(logits, seen, at), memory_of(memories, at)
                found[at] = f"at step {step} {self.method.not_finite(out, step, own, before=self._before(at))}"
        if not found:
            self.last = (logits.clone(), seen, step)
        return found

    def _of_cross_entropy(self, buffers: IOBuffers, labels: Tensor, step: int) -> None:
        """Weight / B · (softmax(z) − onehot(y)) for every component."""
        z, g = buffers.logits, buffers.gradient
        torch.sub(z, torch.amax(z, 1, keepdim=True), out=g)
        if labels.ndim == 2 and buffers.shape.components > 1:
            labels = labels.unsqueeze(1).expand(-1, buffers.shape.components, -1)
        at = labels.reshape(buffers.shape.size, 1, buffers.shape.batch)
        of_label = g.gather(1, at)
        torch.exp(buffers.gradient_flat, out=buffers.gradient_flat)
        total = torch.sum(g, 1, keepdim=True)
        g.div_(total)
        weight = at_step(self.method.terms[0].weight, step)
        per_replica = total.log_().sub_(of_label).view(self.replicas, -1)
        torch.mul(per_replica.sum(1), weight / buffers.shape.batch, out=self.values)
        if g.device.type == "cpu":
            g.scatter_add_(1, at, buffers.minus_one)
        else:  # the same numbers; scatter kernels are not deterministic on a GPU
            g.sub_((torch.arange(g.shape[1], device=g.device).unsqueeze(1) == at).to(g.dtype))
        buffers.gradient_flat.mul_(weight / buffers.shape.batch)

    def _of_any(self, buffers: IOBuffers, seen: LossInputs, step: int, memories: Memories | None) -> tuple[Memories, Tensor]:
        """By automatic differentiation of the loss."""
        with torch.enable_grad():
            logits = self._filled(buffers.by_replica(buffers.logits).mT).requires_grad_()
            peers, teacher = (None if x is None else self._filled(x) for x in (seen.peers, seen.teacher))
            out = Outputs(logits, self._filled(seen.labels), peers=peers, teacher=teacher, shared=seen.shared, plain=True)
            loss, memories = self.method.advance(out, step, memories)
            (gradient,) = torch.autograd.grad(loss, logits, torch.ones_like(loss))
        buffers.by_replica(buffers.gradient).copy_(gradient[: self.replicas].mT)
        self.values.copy_(loss.detach()[: self.replicas])
        return memories, loss.detach()[: self.replicas]

    def _filled(self, values: Tensor) -> Tensor:
        """With zeros after the replicas of the group."""
        made = values.new_zeros(self.padded, *values.shape[1:])
        made[: self.replicas] = values
        return made

    def joined(self, memories: list[State]) -> State | None:
        """Memory of a term for all replicas, from that of each."""
        if not memories[0]:
            return None
        return {name: self._filled(torch.stack([memory[name] for memory in memories])) for name in memories[0]}

    def divergence_cause(self, memories: Memories | None, place: int) -> str:
        """The cause of logits of a replica that are not finite, as the end of a sentence."""
        return self.method.enlarged(self._before(place), memory_of(memories, place))

    def _before(self, place: int) -> tuple[Outputs, int] | None:
        return None if self.last is None else (_outputs_of(self.last[0], self.last[1], place), self.last[2])


def _outputs_of(logits: Tensor, seen: LossInputs, place: int) -> Outputs:
    peers, teacher = (None if x is None else x[place] for x in (seen.peers, seen.teacher))
    return Outputs(logits[place].mT, seen.labels[place], peers=peers, teacher=teacher, shared=seen.shared, plain=True)


def memory_of(memories: Memories | None, place: int) -> Memories | None:
    if memories is None:
        return None
    return tuple(None if m is None else {name: value[place] for name, value in m.items()} for m in memories)


def fused_optimizer(
    optimizer: Optimizer, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]
) -> torch.optim.Optimizer:
    """An optimiser on a stack: on a CPU PyTorch's fused form, in which whole vectors round equally at every place."""
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    built = optimizer.build(parameters)
    for group in built.param_groups:
        group["fused"], group["foreach"] = on_cpu, not on_cpu
    return built


def fused_sgd_of(recipe: Recipe) -> SGD | None:
    """Plain SGD, if the product that computes a gradient may update the weights at once; None if anything else reads the gradients."""
    optimizer = recipe.optimizer_of(0)
    reads_gradients = recipe.clip_norm is not None or recipe.sharpness
    return optimizer if isinstance(optimizer, SGD) and not optimizer.momentum and not reads_gradients else None


@torch.no_grad()
def clip(gradients: Sequence[Tensor], norm: float) -> None:
    """Scale the gradient of every network by min(1, norm / (‖g‖ + 1e-6)), in place."""
    factor = (norm / (norms(gradients) + 1e-6)).clamp_max_(1.0)
    for gradient in gradients:
        gradient.mul_(factor)


@torch.no_grad()
def ascent(gradients: Sequence[Tensor], size: float) -> list[Tensor]:
    """Moves of a size along the gradient of every network."""
    factor = size / (norms(gradients) + 1e-12)
    return [gradient * factor for gradient in gradients]


def norms(gradients: Sequence[Tensor]) -> Tensor:
    """Norm of the gradient of every network, ``S 1``."""
    parts = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients], dim=1)
    length: Tensor = torch.linalg.vector_norm(parts, dim=1, keepdim=True)
    return length


class CapturedPass:
    """Warms up on the first call for a size of mini-batch, captures a CUDA graph on the second, then replays it."""

    def __init__(self) -> None:
        self._seen: dict[int, LossInputs] = {}
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def __call__(self, batch: int, seen: LossInputs, work: Callable[[LossInputs], Tensor]) -> Tensor:
        """Result of a pass that changes all memory in place."""
        if batch not in self._seen:
            teacher = None if seen.teacher is None else seen.teacher.clone()
            self._seen[batch] = replace(seen, labels=seen.labels.clone(), teacher=teacher)
            return _on_another_stream(work, self._seen[batch])
        own = self._seen[batch]
        own.labels.copy_(seen.labels)
        if own.teacher is not None and seen.teacher is not None:
            own.teacher.copy_(seen.teacher)
        if batch not in self._graphs:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                values = work(own)
            self._graphs[batch] = graph, values
        graph, values = self._graphs[batch]
        graph.replay()
        return values


def _on_another_stream(work: Callable[[LossInputs], Tensor], seen: LossInputs) -> Tensor:
    """Run a pass on a CUDA stream of its own, as a warm-up must be."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        values = work(seen)
    torch.cuda.current_stream().wait_stream(side)
    return values
