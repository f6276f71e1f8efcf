"""What a network is, and the layers that networks share: activations and dropout."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.errors import BadSpec


class Network(Protocol):
    """The settings of a network: a frozen dataclass that builds a module."""

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """A module from inputs ``B *shape`` to logits ``B classes``, its weights drawn from ``rng`` alone."""

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """A short description for the title of a table."""

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Multiplications of one forward pass of one example, the unit of cost."""

    def __hash__(self) -> int: ...


@runtime_checkable
class SharedNetwork(Protocol):
    """A network whose components share parts."""

    def build_together(self, shape: tuple[int, ...], classes: int, rngs: Sequence[np.random.Generator]) -> list[nn.Module]:
        """One module for each component; shared parts are the same objects."""

    def shared_multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Multiplications of the shared part."""


def check_settings(network: Any) -> None:
    """Raise `BadSpec` where a setting that networks have in common is outside its range."""
    name = type(network).__name__
    for key in ("scale", "input_scale", "embedding_scale"):
        if not getattr(network, key, 1.0) > 0:
            raise BadSpec(f"{name}.{key}: got {getattr(network, key)}, expected a number greater than 0")
    if not 0 <= (rate := getattr(network, "dropout", 0.0)) < 1:
        raise BadSpec(f"{name}.dropout: got {rate}, expected a share from 0 to below 1")


def linear(weight: Tensor) -> nn.Linear:
    """A linear layer with weights ``fan_out fan_in`` and zero biases."""
    # skip_init: PyTorch's own initialisation would draw from the global generator.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, *reversed(weight.shape))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_()
    return layer


Activation = Literal["relu", "gelu", "silu", "tanh", "smelu"]


class SmeLU(nn.Module):
    r"""Smooth rectifier: two lines joined by a parabola of half-width b.

        0 for x <= −b,   (x + b)² / (4 b) for −b < x < b,   x for x >= b

    Args:
        width: b, > 0; SmeLU approaches ReLU as b approaches 0.
    Source:
        Lin & Shamir 2022 (SmeLU): smooth activations reduce prediction differences between trainings, at no cost to serve.
    Example:
        >>> import torch
        >>> SmeLU(1.0)(torch.tensor([-2.0, 0.0, 2.0])).tolist()
        [0.0, 0.25, 2.0]
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Applied to every entry."""
        inside = (x.clamp(-self.width, self.width) + self.width).square() / (4 * self.width)
        return inside + (x - self.width).clamp_min(0)

    def extra_repr(self) -> str:
        return f"width={self.width}"


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "smelu": SmeLU,
}
"""Name to module class; "smelu" is SmeLU with b = 1."""


class Dropout(nn.Module):
    """Dropout with masks from an explicit random stream: sets an entry to 0 with probability ``rate``, divides the others by 1 − rate.

    In evaluation mode the input is unchanged.

    Args:
        rate: in [0, 1).
    Source:
        Srivastava et al. 2014. Ours: the trainer sets a stream at every step, so masks depend neither on a global generator nor on
        other replicas.
    Example:
        >>> layer = Dropout(0.5)
        >>> enter_dropout(layer, np.random.default_rng(0))
        True
        >>> sorted(set(layer(torch.ones(64)).tolist()))
        [0.0, 2.0]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.stream: np.random.Generator | None = None
        self.masks: Iterator[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Applied to every entry."""
        if not self.training:
            return x
        if self.masks is not None:
            return x * next(self.masks).to(x.dtype)
        if self.stream is None:
            raise BadSpec("Dropout: has no random stream; call traintwice.nets.enter_dropout(network, rng) before every step")
        kept = torch.from_numpy(self.stream.random(tuple(x.shape), dtype=np.float32) >= self.rate)
        return x * (kept.to(x) / (1 - self.rate))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class SeededDraws(nn.Module):
    """A module that draws from PyTorch's global generator in training, such as `torch.nn.Dropout`, seeded from an explicit stream.

    While the module runs, the generator has a seed from the stream that `enter_dropout` sets; its state is restored afterwards.

    Args:
        network: the module.
    Source:
        Ours. Masks depend on the stream of replica, component and step alone, as those of `Dropout`.
    Example:
        >>> layer = SeededDraws(nn.Dropout(0.5))
        >>> first = [enter_dropout(layer, np.random.default_rng(0)), layer(torch.ones(64))][1]
        >>> second = [enter_dropout(layer, np.random.default_rng(0)), layer(torch.ones(64))][1]
        >>> torch.equal(first, second)
        True
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.stream: np.random.Generator | None = None

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The module's output."""
        if not self.training:
            return self.network(*inputs, **named)
        if self.stream is None:
            raise BadSpec("SeededDraws: has no random stream; call traintwice.nets.enter_dropout(network, rng) before every step")
        with torch.random.fork_rng(devices=sorted({p.get_device() for p in self.network.parameters() if p.is_cuda})):
            torch.manual_seed(int(self.stream.integers(2**63)))
            return self.network(*inputs, **named)


@typed
def enter_dropout(network: nn.Module, rng: np.random.Generator) -> bool:
    """Make the dropout layers of a network draw from ``rng``, one after the other; returns whether there are any."""
    layers = [module for module in network.modules() if isinstance(module, Dropout | SeededDraws)]
    for layer in layers:
        layer.stream = rng
    return bool(layers)


@contextmanager
def masks_given(network: nn.Module, masks: Iterable[Tensor]) -> Iterator[None]:
    """Within the block, the dropout layers of a network use these masks, 0 or 1 / (1 − rate), in the order of their calls."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    taken = iter(masks)
    for layer in layers:
        layer.masks = taken
    try:
        yield
    finally:
        for layer in layers:
            layer.masks = None


@torch.no_grad()
def layer_shapes(
    network: nn.Module, x: Tensor, layers: Callable[[nn.Module], bool], *, training: bool
) -> list[tuple[Any, torch.Size]]:
    """Some layers with the shapes of their outputs, in the order of a forward pass, which a copy of the network takes."""
    network, found = copy.deepcopy(network).train(training), []

    def note(layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            found.append((layer, output.shape))

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if layers(layer)]
    if hooks:
        enter_dropout(network, np.random.default_rng(0))
        network(x)
    return found
