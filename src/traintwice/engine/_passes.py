"""Hand-written forward and backward pass of many fully connected networks: batched matrix products into buffers that are made once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from traintwice.engine._stack import Block, GroupShape, IOBuffers
from traintwice.nets import Dropout, SmeLU

aten = torch.ops.aten


@dataclass(frozen=True)
class Norm:
    """A batch normalisation: parameters, name and constants."""

    weight: Block
    bias: Block
    name: str
    eps: float
    momentum: float


@dataclass(frozen=True)
class Layer:
    """A linear layer and the layers that follow it up to the next; a dropout rate of 0 drops nothing."""

    weight: Block  # fan_in fan_out; of the last layer fan_out fan_in, for logits class by class
    bias: Block
    fan_in: int
    fan_out: int
    norm: Norm | None
    activation: nn.Module | None
    rate: float


def blocks_of(layers: Sequence[Layer]) -> tuple[Block, ...]:
    """All parameters, in the order of their places."""
    blocks: list[Block] = []
    for layer in layers:
        blocks += (layer.weight, layer.bias)
        blocks += () if layer.norm is None else (layer.norm.weight, layer.norm.bias)
    return tuple(blocks)


def layers_of(network: nn.Module) -> list[Layer]:
    """Layers of a sequence that `traintwice.nets.MLP` built."""
    count = itertools.count()

    def block(name: str, parameter: Tensor, *, transposed: bool = False) -> Block:
        return Block(name, next(count), tuple(reversed(parameter.shape)) if transposed else tuple(parameter.shape), transposed)

    modules = list(network.named_children())
    linears = {i: module for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear)}
    layers = []
    for (start, linear), end in zip(linears.items(), [*list(linears)[1:], len(modules)], strict=True):
        name = modules[start][0]
        weight = block(f"{name}.weight", linear.weight, transposed=end < len(modules))
        bias = block(f"{name}.bias", linear.bias)
        norm, activation, rate = None, None, 0.0
        for inner, module in modules[start + 1 : end]:
            if isinstance(module, nn.BatchNorm1d):
                norm = Norm(
                    block(f"{inner}.weight", module.weight),
                    block(f"{inner}.bias", module.bias),
                    inner,
                    module.eps,
                    float(module.momentum or 0.0),
                )
            elif isinstance(module, Dropout):
                rate = module.rate
            else:
                activation = module
        layers.append(Layer(weight, bias, linear.in_features, linear.out_features, norm, activation, rate))
    return layers


@dataclass(frozen=True)
class Activation:
    """An activation f with a hand-written gradient."""

    in_place: bool  # whether f(a) may overwrite a, because the backward pass needs only f(a)
    forward: Callable[[Tensor, Tensor], object]  # from a and h; writes f(a) into h
    backward: Callable[[Tensor, Tensor, Tensor], object]  # from d, a and h = f(a); multiplies d in place by f'(a)


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(
        True,
        lambda a, h: torch.clamp_min(a, 0, out=h),
        lambda d, a, h: aten.threshold_backward.grad_input(d, h, 0, grad_input=d),
    ),
    nn.Tanh: Activation(
        True, lambda a, h: torch.tanh(a, out=h), lambda d, a, h: aten.tanh_backward.grad_input(d, h, grad_input=d)
    ),
    nn.GELU: Activation(
        False, lambda a, h: aten.gelu.out(a, out=h), lambda d, a, h: aten.gelu_backward.grad_input(d, a, grad_input=d)
    ),
    nn.SiLU: Activation(
        False, lambda a, h: aten.silu.out(a, out=h), lambda d, a, h: aten.silu_backward.grad_input(d, a, grad_input=d)
    ),
}


def activation_of(module: nn.Module) -> Activation:
    """The hand-written form of an activation of `traintwice.nets.MLP`."""
    return _smelu(module.width) if isinstance(module, SmeLU) else ACTIVATIONS[type(module)]


def _smelu(b: float) -> Activation:
    """SmeLU of half-width b: (clamp(a, −b, b) + b)² / (4 b) + max(a − b, 0)."""
    slope = torch.empty(0)

    def forward(a: Tensor, h: Tensor) -> None:
        torch.clamp(a, -b, b, out=h).add_(b).square_().div_(4 * b).add_((a - b).clamp_min_(0))

    def backward(d: Tensor, a: Tensor, _h: Tensor) -> None:
        nonlocal slope
        if slope.shape != a.shape or slope.dtype != a.dtype:
            slope = torch.empty_like(a)
        d.mul_(torch.clamp(a, -b, b, out=slope).add_(b).div_(2 * b))

    return Activation(False, forward, backward)


Product = tuple[Tensor, Tensor, Tensor]
"""Two stacks of matrices, and the buffer of their product."""


@dataclass
class _Statistics:
    """Statistics of a batch normalisation, each as padded rows and as ``S width``."""

    eps: float
    mean: tuple[Tensor, Tensor]
    variance: tuple[Tensor, Tensor]
    deviation: tuple[Tensor, Tensor]


@dataclass
class _Place:
    """Buffers of a hidden layer, each as padded rows and as ``S B fan_out``; some share memory if nothing is lost.

    z is the output of the linear layer, later normalised; a the input of the activation and h its output; o the input of the next layer;
    d the gradient by o and then by z.
    """

    layer: Layer
    activation: Activation | None
    z: tuple[Tensor, Tensor]
    a: tuple[Tensor, Tensor]
    h: tuple[Tensor, Tensor]
    o: tuple[Tensor, Tensor]
    d: tuple[Tensor, Tensor]
    mask: tuple[Tensor, Tensor] | None
    statistics: _Statistics | None


class LayerBuffers(IOBuffers):
    """Buffers of S networks for mini-batches of one size, with those of the hidden layers."""

    def __init__(self, shape: GroupShape, layers: Sequence[Layer]) -> None:
        super().__init__(shape, layers[0].fan_in, layers[-1].fan_out)
        self.layers = layers
        self.places = [self._place(layer) for layer in layers[:-1]]
        self.drops = [(layer.rate, (shape.batch, layer.fan_out)) for layer in layers[:-1] if layer.rate]
        self.masks = [place.mask[1] for place in self.places if place.mask is not None]

    @property
    def statistics(self) -> list[_Statistics]:
        """Statistics of every batch normalisation in the last forward pass; variances without bias correction."""
        return [place.statistics for place in self.places if place.statistics is not None]

    def _place(self, layer: Layer) -> _Place:
        shape = self.shape.batch, layer.fan_out
        activation = activation_of(layer.activation) if layer.activation is not None else None
        z, d = self.shape.padded(*shape), self.shape.padded(*shape)
        a = self.shape.padded(*shape) if layer.norm is not None else z
        h = a if activation is None or activation.in_place else self.shape.padded(*shape)
        o, mask = (self.shape.padded(*shape), self.shape.padded(*shape)) if layer.rate else (h, None)
        statistics = None
        if layer.norm is not None:
            statistics = _Statistics(layer.norm.eps, *(self.shape.padded(layer.fan_out) for _ in range(3)))
        return _Place(layer, activation, z, a, h, o, d, mask, statistics)


class BoundPasses:
    """Passes of networks with given parameters and, for a backward pass, gradients; both block by block."""

    def __init__(self, buffers: LayerBuffers, stack: Sequence[Tensor], gradient: Sequence[Tensor] | None = None) -> None:
        self.buffers = buffers
        layers = buffers.layers
        reads: list[Tensor | None] = [None, *(place.o[1] for place in buffers.places)]
        writes = [*(place.z[1] for place in buffers.places), buffers.logits]
        weights = [layer.weight.of(stack) for layer in layers]
        self.biases = [layer.bias.of(stack).unsqueeze(1) for layer in layers[:-1]]
        self.last_bias = layers[-1].bias.of(stack).unsqueeze(2)
        self.norms = _norms(layers, stack)
        *hidden, logits = [self._products(*each) for each in zip(reads, weights, writes, strict=True)]
        self.forwards: list[list[Product]] = [*hidden, [(w, x.mT, z) for x, w, z in logits]]
        if gradient is None:
            return
        errors = [*(place.d[1] for place in buffers.places), buffers.gradient]
        towards = [layer.weight.of(gradient) for layer in layers]
        self.backwards = [self._outer(*each) for each in zip(reads, towards, errors, strict=True)]
        self.steps = [self._outer(*each) for each in zip(reads, weights, errors, strict=True)]
        self.errors = [*errors[:-1], buffers.gradient.mT]
        self.below = [*(weight.mT for weight in weights[:-1]), weights[-1]]
        self.towards_biases = [layer.bias.of(gradient) for layer in layers]
        self.towards_norms = _norms(layers, gradient)

    def _products(self, read: Tensor | None, weight: Tensor, write: Tensor) -> list[Product]:
        """Input, weights and output of a layer; components that share inputs read them one after the other."""
        buffers = self.buffers
        if read is not None or buffers.shape.apart or buffers.shape.components == 1:
            return [(buffers.inputs if read is None else read, weight, write)]
        sizes = (buffers.shape.replicas, buffers.shape.components)
        parts = zip(_by_component(weight, sizes), _by_component(write, sizes), strict=True)
        return [(buffers.inputs, w, z) for w, z in parts]

    def _outer(self, read: Tensor | None, towards: Tensor, error: Tensor) -> list[Product]:
        """Products for the gradient of a layer's weights; those of the last layer are transposed."""
        products = self._products(read, towards, error)
        last = error is self.buffers.gradient
        return [(d, x, g) if last else (x.mT, d, g) for x, g, d in products]

    def forward(self) -> None:
        buffers = self.buffers
        for i, place in enumerate(buffers.places):
            for x, w, z in self.forwards[i]:
                torch.bmm(x, w, out=z)
            place.z[1].add_(self.biases[i])
            if place.statistics is not None and (norm := self.norms[i]) is not None:
                _normalise(place.z[1], place.a[1], place.statistics, *norm)
            if place.activation is not None:
                place.activation.forward(place.a[0], place.h[0])
            if place.mask is not None:
                torch.mul(place.h[0], place.mask[0], out=place.o[0])
        for w, x, z in self.forwards[-1]:
            torch.bmm(w, x, out=z)
        buffers.logits.add_(self.last_bias)

    def backward(self, descend: float | None = None, keep: float = 1.0) -> None:
        """From the gradient of the logits to those of all parameters.

        With a learning rate ``descend``, the product for the gradient of a weight matrix updates it at once, w ← keep·w − rate·g, and
        writes no gradient.
        """
        buffers = self.buffers
        for i in range(len(buffers.places), -1, -1):
            if i == len(buffers.places):
                torch.sum(buffers.gradient, 2, out=self.towards_biases[i])
            else:
                self._through(i)
            if i:
                torch.bmm(self.errors[i], self.below[i], out=buffers.places[i - 1].d[1])
            if descend is None:
                for left, right, gradient in self.backwards[i]:
                    torch.bmm(left, right, out=gradient)
            else:
                for left, right, weight in self.steps[i]:
                    weight.baddbmm_(left, right, beta=keep, alpha=-descend)

    def _through(self, i: int) -> None:
        """Backward pass of the layers after a hidden linear layer."""
        place = self.buffers.places[i]
        if place.mask is not None:
            place.d[0].mul_(place.mask[0])
        if place.activation is not None:
            place.activation.backward(place.d[0], place.a[0], place.h[0])
        kept, norm, towards = place.statistics, self.norms[i], self.towards_norms[i]
        if kept is not None and norm is not None and towards is not None:
            _denormalise(place.z[1], place.d[1], place.a[1], kept, norm[0], *towards)
        torch.sum(place.d[1], 1, out=self.towards_biases[i])


def _by_component(stack: Tensor, sizes: tuple[int, int]) -> tuple[Tensor, ...]:
    """Parts ``R ...`` of ``R·J ...``, one for each component."""
    return stack.view(*sizes, *stack.shape[1:]).unbind(1)


def _norms(layers: Sequence[Layer], stack: Sequence[Tensor]) -> list[tuple[Tensor, Tensor] | None]:
    return [None if n is None else (n.weight.of(stack), n.bias.of(stack)) for n in (layer.norm for layer in layers)]


def _normalise(z: Tensor, a: Tensor, kept: _Statistics, weight: Tensor, bias: Tensor) -> None:
    """Batch normalisation of each network from z to a; z becomes the normalised values."""
    torch.mean(z, 1, out=kept.mean[1])
    z.sub_(kept.mean[1].unsqueeze(1))
    torch.mean(torch.mul(z, z, out=a), 1, out=kept.variance[1])
    torch.rsqrt(torch.add(kept.variance[0], kept.eps, out=kept.deviation[0]), out=kept.deviation[0])
    z.mul_(kept.deviation[1].unsqueeze(1))
    torch.mul(z, weight.unsqueeze(1), out=a).add_(bias.unsqueeze(1))


def _denormalise(
    z: Tensor, d: Tensor, scratch: Tensor, kept: _Statistics, weight: Tensor, towards_weight: Tensor, towards_bias: Tensor
) -> None:
    """Dz = γ / σ · (dy − mean dy − x̂ · mean (dy x̂)), means over the batch."""
    batch = z.shape[1]
    torch.sum(torch.mul(d, z, out=scratch), 1, out=towards_weight)
    torch.sum(d, 1, out=towards_bias)
    torch.mul(z, (towards_weight / batch).unsqueeze(1), out=scratch)
    d.sub_((towards_bias / batch).unsqueeze(1)).sub_(scratch).mul_((weight * kept.deviation[1]).unsqueeze(1))
