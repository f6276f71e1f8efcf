"""The networks of a replica before its first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset, TableShape
from traintwice.errors import BadSpec
from traintwice.nets import SharedNetwork
from traintwice.randomness import RandomSource, stream
from traintwice.recipes import Recipe

Weights = Mapping[str, np.ndarray]
"""Parameters and buffers of all components: "0.name", "1.name" ..., and of a gate for each set of them: "gate.0.name" ..."""


class Selected(nn.Module):
    """A network that sees some features of its input only."""

    def __init__(self, network: nn.Module, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.inputs = list(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits from the chosen features."""
        return self.network(x[:, self.inputs])  # type: ignore[no-any-return]


def stream_of(
    recipe: Recipe, seed: int, source: RandomSource, *, replica: int, component: int = 0, epoch: int = 0
) -> np.random.Generator:
    """A stream of a replica, or of replica 0 where the recipe fixes that source of randomness; of component 0 where components share it.

    A student's streams come after those of its teacher's components, so that it is no continuation of one of them.
    """
    owner = 0 if source in recipe.fixed else replica
    if recipe.alike is not None and source in recipe.alike:
        component = 0
    if recipe.teacher is not None and component >= 0:
        component += recipe.teacher.recipe.method.components
    return stream(seed, source, replica=owner, component=component, epoch=epoch)


def build(
    recipe: Recipe, data: Dataset, *, seed: int, replica: int, start: Weights | None, dtype: torch.dtype
) -> list[nn.Module]:
    """The components of a replica with their initial weights.

    Args:
        recipe, data, seed, replica: what is trained.
        start: weights of the earlier model that the recipe starts from.
        dtype: of the weights.
    Raises:
        BadSpec: features chosen that the data do not have.
    """
    streams = [stream_of(recipe, seed, "initialisation", replica=replica, component=j) for j in range(recipe.method.components)]
    if start is not None and recipe.start is not None:
        start = last_set(start, recipe.start.recipe)
    if isinstance(recipe.network, SharedNetwork):
        together = recipe.network.build_together(data.shape, data.classes, streams)
        return _started([network.to(dtype) for network in together], start)
    networks = []
    for j, rng in enumerate(streams):
        inputs = recipe.components[j].inputs if recipe.components else None
        shape = data.shape
        if inputs is not None:
            if len(shape) != 1 or max(inputs) >= shape[0]:
                raise BadSpec(f"Component.inputs: got position {max(inputs)}, but an input has shape {shape}")
            shape = (len(inputs),) if data.columns is None else TableShape.of(data.columns.select(inputs))
        network = recipe.network_of(j).build(shape, data.classes, rng)
        networks.append((Selected(network, inputs) if inputs is not None else network).to(dtype))
    return _started(networks, start)


def last_set(weights: Weights, recipe: Recipe) -> Weights:
    """The weights at the end of a training whose recipe keeps several sets of them."""
    models = recipe.averaging.models if recipe.averaging is not None else 1
    networks = _from(weights, (models - 1) * recipe.method.components)
    return networks | {f"gate.{name}": array for name, array in _from(gate_of(weights), models - 1).items()}


def _from(weights: Weights, first: int) -> dict[str, np.ndarray]:
    """The weights of the networks from one on, counted from there."""
    parts = {name: name.partition(".") for name in weights if name.partition(".")[0].isdigit()}
    return {f"{int(j) - first}.{rest}": weights[name] for name, (j, _, rest) in parts.items() if int(j) >= first}


def gate_of(weights: Weights) -> dict[str, np.ndarray]:
    """The weights of gates alone, by set: "0.name" ..."""
    return {name.removeprefix("gate."): array for name, array in weights.items() if name.startswith("gate.")}


def build_gate(recipe: Recipe, data: Dataset, *, start: Weights | None, dtype: torch.dtype) -> nn.Linear:
    """A linear map from the input to one weight for each component, before the first step.

    It goes on from the gate of the model that the recipe starts from; where that has none, zero weights begin as the plain mean.

    Raises:
        BadSpec: that gate weighs another number of components.
    """
    gate: nn.Linear = nn.utils.skip_init(nn.Linear, prod(data.shape), recipe.method.components)  # type: ignore[no-untyped-call]
    for parameter in gate.parameters():
        nn.init.zeros_(parameter)
    earlier = gate_of(last_set(start, recipe.start.recipe)) if start is not None and recipe.start is not None else {}
    if earlier:
        weighed = len(earlier["0.bias"])
        if weighed != gate.out_features:
            raise BadSpec(
                f"Recipe.start: the earlier model's gate weighs {weighed} components, this recipe trains {gate.out_features}; "
                "start from a model of as many"
            )
        load([gate], earlier)
    return gate.to(dtype)


def _started(networks: list[nn.Module], start: Weights | None) -> list[nn.Module]:
    if start is not None:
        load(networks, start)
    return networks


def load(networks: Sequence[nn.Module], weights: Weights) -> None:
    """Give networks stored weights; where fewer components were stored, the first serves the others too.

    Raises:
        BadSpec: the stored weights belong to another structure.
    """
    for j, network in enumerate(networks):
        own = {name.partition(".")[2]: torch.from_numpy(array) for name, array in weights.items() if name.startswith(f"{j}.")}
        if not own:
            own = {name.partition(".")[2]: torch.from_numpy(array) for name, array in weights.items() if name.startswith("0.")}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise BadSpec(
                f"the earlier model's weights do not fit component {j}: {str(error).splitlines()[-1].strip()}"
            ) from None


def weights_of(networks: list[nn.Module]) -> dict[str, np.ndarray]:
    """Parameters and buffers of all components, as they are stored."""
    return {
        f"{j}.{name}": value.detach().cpu().numpy().copy()
        for j, network in enumerate(networks)
        for name, value in network.state_dict().items()
    }
