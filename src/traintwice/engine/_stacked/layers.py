"""Layers of a fully connected network as the hand-written passes read them: parameters, batch normalisation, activations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from traintwice.engine._groups.stack import Block
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
    """A linear layer and the layers that follow it up to the next.

    Attributes:
        weight: ``fan_in fan_out``; of the last layer ``fan_out fan_in``, for logits class by class.
        bias: ``fan_out``.
        norm, activation, rate: the layers that follow; a dropout rate of 0 drops nothing.
    """

    weight: Block
    bias: Block
    fan_in: int
    fan_out: int
    norm: Norm | None
    activation: nn.Module | None
    rate: float


@dataclass(frozen=True)
class Layout:
    """Layers of a fully connected network."""

    layers: tuple[Layer, ...]

    def blocks(self) -> Iterator[Block]:
        """All parameters, in the order of their places."""
        for layer in self.layers:
            yield from (layer.weight, layer.bias)
            if layer.norm is not None:
                yield from (layer.norm.weight, layer.norm.bias)


def layout_of(network: nn.Module) -> Layout:
    """Layout of a sequence that `traintwice.nets.MLP` built."""
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
    return Layout(tuple(layers))


@dataclass(frozen=True)
class Activation:
    """An activation f with a hand-written gradient.

    Attributes:
        in_place: whether f(a) may overwrite a, because the backward pass needs only f(a).
        forward: from a and h; writes f(a) into h.
        backward: from d, a and h = f(a); multiplies d in place by f'(a).
    """

    in_place: bool
    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor, Tensor], object]


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
