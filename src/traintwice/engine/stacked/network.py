"""Forward and backward pass of many networks at once: batched matrix products into buffers that are made once for each size of batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traintwice.engine.stacked.activations import Activation, activation_of
from traintwice.engine.stacked.edges import Edges, padded
from traintwice.engine.stacked.layout import Layer, Layout

Product = tuple[Tensor, Tensor, Tensor]
"""Two stacks of matrices and where their product goes."""


@dataclass
class Statistics:
    """Of a batch normalisation, each as rows of whole vectors and as ``S width``."""

    mean: tuple[Tensor, Tensor]
    variance: tuple[Tensor, Tensor]
    deviation: tuple[Tensor, Tensor]


@dataclass
class _Place:
    """Buffers of a hidden layer, each as rows of whole vectors and as ``S B fan_out``.

    z is the linear layer's output, later normalised; a what the activation reads, h what it gives, o what the next layer reads, d the
    gradient of o and then of z. Several are one buffer where nothing is lost by it.
    """

    layer: Layer
    activation: Activation | None
    z: tuple[Tensor, Tensor]
    a: tuple[Tensor, Tensor]
    h: tuple[Tensor, Tensor]
    o: tuple[Tensor, Tensor]
    d: tuple[Tensor, Tensor]
    noise: tuple[Tensor, Tensor] | None
    mask: tuple[Tensor, Tensor] | None
    statistics: Statistics | None


class Passes(Edges):
    """Buffers for S = R·J networks and mini-batches of one size, those of the hidden layers too.

    Args:
        layout: of one network.
        settings: as of `Edges`.
    """

    def __init__(self, layout: Layout, **settings: Any) -> None:
        super().__init__(layout.layers[0].fan_in, layout.layers[-1].fan_out, **settings)
        self.layout = layout
        self.places = [self._place(layer, settings["dtype"], settings["device"]) for layer in layout.layers[:-1]]

    @property
    def statistics(self) -> list[Statistics]:
        """Of every batch normalisation, in the last forward pass; variances without bias correction."""
        return [place.statistics for place in self.places if place.statistics is not None]

    def _place(self, layer: Layer, dtype: torch.dtype, device: torch.device) -> _Place:
        def buffer(kind: torch.dtype = dtype, where: torch.device = device) -> tuple[Tensor, Tensor]:
            return padded(self.size, self.batch, layer.fan_out, dtype=kind, device=where)

        activation = activation_of(layer.activation) if layer.activation is not None else None
        z, d = buffer(), buffer()
        a = buffer() if layer.norm is not None else z
        h = a if activation is None or activation.in_place else buffer()
        o, noise, mask = (buffer(), buffer(torch.float32, torch.device("cpu")), buffer()) if layer.rate else (h, None, None)
        statistics = None
        if layer.norm is not None:
            statistics = Statistics(*(padded(self.size, layer.fan_out, dtype=dtype, device=device) for _ in range(3)))
        return _Place(layer, activation, z, a, h, o, d, noise, mask, statistics)

    def draw(self, streams: Sequence[np.random.Generator]) -> None:
        """Draw the masks of all dropout layers, each network's from a stream of its own."""
        for place in self.places:
            if place.noise is None or place.mask is None:
                continue
            for own, stream in zip(place.noise[1].numpy(), streams, strict=True):
                stream.random(dtype=np.float32, out=own)
            place.mask[1].copy_(place.noise[1] >= place.layer.rate).div_(1 - place.layer.rate)


class Bound:
    """The passes of networks with given parameters.

    Args:
        passes: the buffers.
        stack: parameters, block by block.
        gradient: where a backward pass writes their gradients, likewise; None where there are none to be taken.
    """

    def __init__(self, passes: Passes, stack: Sequence[Tensor], gradient: Sequence[Tensor] | None = None) -> None:
        self.passes = passes
        layers = passes.layout.layers
        reads: list[Tensor | None] = [None, *(place.o[1] for place in passes.places)]
        writes = [*(place.z[1] for place in passes.places), passes.logits]
        weights = [layer.weight.of(stack) for layer in layers]
        self.biases = [layer.bias.of(stack).unsqueeze(1) for layer in layers[:-1]]
        self.last_bias = layers[-1].bias.of(stack).unsqueeze(2)
        self.norms = _norms(layers, stack)
        *hidden, logits = [self._products(*each) for each in zip(reads, weights, writes, strict=True)]
        self.forwards: list[list[Product]] = [*hidden, [(w, x.mT, z) for x, w, z in logits]]
        if gradient is None:
            return
        errors = [*(place.d[1] for place in passes.places), passes.gradient]
        towards = [layer.weight.of(gradient) for layer in layers]
        self.backwards = [self._outer(*each) for each in zip(reads, towards, errors, strict=True)]
        self.steps = [self._outer(*each) for each in zip(reads, weights, errors, strict=True)]
        self.errors = [*errors[:-1], passes.gradient.mT]
        self.below = [*(weight.mT for weight in weights[:-1]), weights[-1]]
        self.towards_biases = [layer.bias.of(gradient) for layer in layers]
        self.towards_norms = _norms(layers, gradient)

    def _products(self, read: Tensor | None, weight: Tensor, write: Tensor) -> list[Product]:
        """What a layer reads, its weights and what it writes; components that see the same inputs read them in turn."""
        passes = self.passes
        if read is not None or passes.apart or passes.components == 1:
            return [(passes.inputs if read is None else read, weight, write)]
        sizes = (passes.replicas, passes.components)
        parts = zip(by_component(weight, sizes), by_component(write, sizes), strict=True)
        return [(passes.inputs, w, z) for w, z in parts]

    def _outer(self, read: Tensor | None, towards: Tensor, error: Tensor) -> list[Product]:
        """The products that make the gradient of a layer's weights; those of the last layer lie turned."""
        products = self._products(read, towards, error)
        last = error is self.passes.gradient
        return [(d, x, g) if last else (x.mT, d, g) for x, g, d in products]

    def forward(self) -> None:
        """From inputs to logits."""
        passes = self.passes
        for i, place in enumerate(passes.places):
            for x, w, z in self.forwards[i]:
                torch.bmm(x, w, out=z)
            place.z[1].add_(self.biases[i])
            if (norm := self.norms[i]) is not None:
                _normalise(place, *norm)
            if place.activation is not None:
                place.activation.forward(place.a[0], place.h[0])
            if place.mask is not None:
                torch.mul(place.h[0], place.mask[0], out=place.o[0])
        for w, x, z in self.forwards[-1]:
            torch.bmm(w, x, out=z)
        passes.logits.add_(self.last_bias)

    def backward(self, descend: float | None = None, keep: float = 1.0) -> None:
        """From the gradient of the logits to those of all parameters.

        Args:
            descend: a learning rate; the product that makes the gradient of a weight matrix then takes its step at once,
                w ← keep·w − rate·g, and the gradient itself is written nowhere. None writes all of them.
            keep: see there.
        """
        passes = self.passes
        for i in range(len(passes.places), -1, -1):
            if i == len(passes.places):
                torch.sum(passes.gradient, 2, out=self.towards_biases[i])
            else:
                self._through(i)
            if i:
                torch.bmm(self.errors[i], self.below[i], out=passes.places[i - 1].d[1])
            if descend is None:
                for left, right, gradient in self.backwards[i]:
                    torch.bmm(left, right, out=gradient)
            else:
                for left, right, weight in self.steps[i]:
                    weight.baddbmm_(left, right, beta=keep, alpha=-descend)

    def _through(self, i: int) -> None:
        """Back through what follows a hidden linear layer."""
        place = self.passes.places[i]
        if place.mask is not None:
            place.d[0].mul_(place.mask[0])
        if place.activation is not None:
            place.activation.backward(place.d[0], place.a[0], place.h[0])
        if (norm := self.norms[i]) is not None and (towards := self.towards_norms[i]) is not None:
            _denormalise(place, norm[0], *towards)
        torch.sum(place.d[1], 1, out=self.towards_biases[i])


def by_component(stack: Tensor, sizes: tuple[int, int]) -> tuple[Tensor, ...]:
    """The parts ``R ...`` of ``R·J ...`` that belong to each component."""
    return stack.view(*sizes, *stack.shape[1:]).unbind(1)


def _norms(layers: Sequence[Layer], stack: Sequence[Tensor]) -> list[tuple[Tensor, Tensor] | None]:
    return [None if n is None else (n.weight.of(stack), n.bias.of(stack)) for n in (layer.norm for layer in layers)]


def _normalise(place: _Place, weight: Tensor, bias: Tensor) -> None:
    """Batch normalisation over the examples of each network by itself; z becomes the normalised values."""
    kept, norm = place.statistics, place.layer.norm
    if kept is None or norm is None:
        return
    z, a = place.z[1], place.a[1]
    torch.mean(z, 1, out=kept.mean[1])
    z.sub_(kept.mean[1].unsqueeze(1))
    torch.mean(torch.mul(z, z, out=a), 1, out=kept.variance[1])
    torch.rsqrt(torch.add(kept.variance[0], norm.eps, out=kept.deviation[0]), out=kept.deviation[0])
    z.mul_(kept.deviation[1].unsqueeze(1))
    torch.mul(z, weight.unsqueeze(1), out=a).add_(bias.unsqueeze(1))


def _denormalise(place: _Place, weight: Tensor, towards_weight: Tensor, towards_bias: Tensor) -> None:
    """Dz = γ / σ · (dy − mean dy − x̂ · mean (dy x̂)), means over the batch."""
    kept = place.statistics
    if kept is None:
        return
    z, d, scratch = place.z[1], place.d[1], place.a[1]
    batch = z.shape[1]
    torch.sum(torch.mul(d, z, out=scratch), 1, out=towards_weight)
    torch.sum(d, 1, out=towards_bias)
    torch.mul(z, (towards_weight / batch).unsqueeze(1), out=scratch)
    d.sub_((towards_bias / batch).unsqueeze(1)).sub_(scratch).mul_((weight * kept.deviation[1]).unsqueeze(1))
