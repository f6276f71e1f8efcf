"""Networks of a replica before its first step, and their stored weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset, PackedShape, TableShape
from traintwice.engine._state import of_networks, under, within
from traintwice.errors import BadSpec
from traintwice.nets import Factory, SharedNetwork
from traintwice.randomness import RandomSource, stream
from traintwice.recipes import Earlier, Recipe
from traintwice.served import Stored
from traintwice.served import Weights as WeightsFile

Weights = Mapping[str, np.ndarray]
"""Parameters and buffers of all components ("0.name", "1.name" ...) and of a gate for each set of components ("gate.0.name" ...)."""


class Selected(nn.Module):
    """A network that reads some features of its input."""

    def __init__(self, network: nn.Module, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.inputs = list(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x[:, self.inputs])  # type: ignore[no-any-return]


def stream_of(
    recipe: Recipe, seed: int, source: RandomSource, *, replica: int, component: int = 0, epoch: int = 0
) -> np.random.Generator:
    """Random stream of a replica: that of replica 0 if the recipe fixes the source, that of component 0 if components share it.

    A student uses the stream numbers after those of its teacher's components; otherwise it would start with a teacher's weights. A model
    in service has none of these streams, so its student starts as the baseline does.
    """
    owner = 0 if source in recipe.fixed else replica
    if recipe.alike is not None and source in recipe.alike:
        component = 0
    if isinstance(recipe.teacher, Earlier) and component >= 0:
        component += recipe.teacher.recipe.method.components
    return stream(seed, source, replica=owner, component=component, epoch=epoch)


def build(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int = 0,
    replica: int = 0,
    start: Weights | None = None,
    dtype: torch.dtype = torch.float32,
) -> list[nn.Module]:
    """Components of a replica with their initial weights, or with those of an earlier model."""
    streams = [stream_of(recipe, seed, "initialisation", replica=replica, component=j) for j in range(recipe.method.components)]
    check_packed(recipe, data)
    if isinstance(recipe.network, SharedNetwork):
        networks = [network.to(dtype) for network in recipe.network.build_together(data.shape, data.classes, streams)]
    else:
        networks = [_component(recipe, data, j, rng).to(dtype) for j, rng in enumerate(streams)]
    if start is not None:
        load(networks, _start(start, recipe))
    elif (
        isinstance(recipe.network, Factory) and "initialisation" not in (recipe.alike or ()) and (same := same_weights(networks))
    ):
        raise BadSpec(
            f"{recipe.network.maker}: made the same weights for components 0 and {same}, expected independent ones; set no seed in the "
            'function. Where the weights are always the same, as of a pretrained network, set alike = ["initialisation"] in the recipe'
        )
    return networks


def same_weights(networks: Sequence[nn.Module]) -> int | None:
    """The first network with the weights of network 0; None for none, and where weights are not known yet."""
    first, *others = [list(network.parameters()) for network in networks]
    if not first or any(nn.parameter.is_lazy(weight) for own in (first, *others) for weight in own):
        return None
    for j, own in enumerate(others, 1):
        if len(own) == len(first) and all(torch.equal(a, b) for a, b in zip(first, own, strict=True)):
            return j
    return None


def _start(start: Weights, recipe: Recipe) -> Weights:
    """The set of weights to start from."""
    if isinstance(recipe.start, Earlier):
        return last_set(start, recipe.start.recipe)
    return last_set(start, recipe) if isinstance(recipe.start, Stored) else start


def served_weights(served: WeightsFile, recipe: Recipe, data: Dataset) -> Weights:
    """Weights of a model in service, in the stored form; raises `BadInput` for those of another network."""
    networks = build(recipe, data)
    return served.tensors([[*network.state_dict()] for network in networks])


def number_of_networks(weights: Weights) -> int:
    """How many networks weights belong to."""
    return len({name.partition(".")[0] for name in weights if not name.startswith("gate.")})


def check_packed(recipe: Recipe, data: Dataset) -> None:
    """Raise `BadSpec` where something would read the bytes of packed inputs as numbers."""
    if not isinstance(data.shape, PackedShape):
        return
    for network in (recipe.network_of(j) for j in range(recipe.method.components)):
        if not isinstance(network, Factory):
            raise BadSpec(
                f"Recipe.network: {type(network).__name__} reads one array of numbers, and {data.name} has "
                f"{'whole numbers' if len(data.shape.parts) == 1 else 'several inputs'}; take a Factory, or return floats"
            )
    if "gate" in recipe.method.needs or any(component.inputs is not None for component in recipe.components):
        raise BadSpec(
            f"Recipe: a gate and Component.inputs read one array of numbers, and {data.name} has several inputs or whole numbers"
        )


def _component(recipe: Recipe, data: Dataset, j: int, rng: np.random.Generator) -> nn.Module:
    """A component that shares no parts with others."""
    inputs, shape = recipe.components[j].inputs if recipe.components else None, data.shape
    if inputs is None:
        return recipe.network_of(j).build(shape, data.classes, rng)
    if len(shape) != 1 or max(inputs) >= shape[0]:
        raise BadSpec(f"Component.inputs: got position {max(inputs)}, but an input has shape {shape}")
    shape = (len(inputs),) if data.columns is None else TableShape.of(data.columns.select(inputs))
    return Selected(recipe.network_of(j).build(shape, data.classes, rng), inputs)


@torch.no_grad()
def perturb_one_ulp(networks: list[nn.Module], rng: np.random.Generator) -> None:
    """Move one weight away from 0 by one unit in the last place, in place: in long trainings it has the effect of a new seed.

    Ours, after Jordan 2024 and Summers & Dinneen 2021. The first layer is left out: an input that is always 0 would hide the change.
    """
    weights: dict[int, nn.Parameter] = {}
    for network in networks:
        matrices = [p for p in network.parameters() if p.ndim > 1]
        weights |= {id(p): p for p in matrices[1:] or matrices}
    chosen = list(weights.values())
    sizes = np.array([p.numel() for p in chosen])
    flat = chosen[int(rng.choice(len(chosen), p=sizes / sizes.sum()))].view(-1)
    places = flat.nonzero().flatten()
    at = places[int(rng.integers(len(places)))]
    flat[at] = torch.nextafter(flat[at], flat[at] * torch.inf)


def last_set(weights: Weights, recipe: Recipe) -> Weights:
    """The last of several sets of weights that a recipe keeps."""
    models = recipe.averaging.models if recipe.averaging is not None else 1
    networks = _from(weights, (models - 1) * recipe.method.components)
    return networks | under("gate", _from(within("gate", weights), models - 1))


def _from(weights: Weights, first: int) -> dict[str, np.ndarray]:
    """Weights of the networks from number ``first`` on, renumbered from 0."""
    parts = {name: name.partition(".") for name in weights if name.partition(".")[0].isdigit()}
    return {f"{int(j) - first}.{rest}": weights[name] for name, (j, _, rest) in parts.items() if int(j) >= first}


def build_gate(recipe: Recipe, data: Dataset, *, start: Weights | None = None, dtype: torch.dtype = torch.float32) -> nn.Linear:
    """Linear map from the input to one logit for each component: zeros (the plain mean), or the gate of the earlier model."""
    gate: nn.Linear = nn.utils.skip_init(nn.Linear, prod(data.shape), recipe.method.components)  # type: ignore[no-untyped-call]
    for parameter in gate.parameters():
        nn.init.zeros_(parameter)
    earlier = within("gate", _start(start, recipe)) if start is not None and recipe.start is not None else {}
    if earlier:
        weighed = len(earlier["0.bias"])
        if weighed != gate.out_features:
            raise BadSpec(
                f"Recipe.start: the earlier model's gate weighs {weighed} components, this recipe trains {gate.out_features}; "
                "start from a model of as many"
            )
        load([gate], earlier)
    return gate.to(dtype)


def load(networks: Sequence[nn.Module], weights: Weights) -> None:
    """Load stored weights; components without stored weights get those of component 0."""
    for j, network in enumerate(networks):
        own = within(str(j), weights) or within("0", weights)
        try:
            network.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
        except RuntimeError as error:
            raise BadSpec(
                f"the earlier model's weights do not fit component {j}: {str(error).splitlines()[-1].strip()}"
            ) from None


def weights_of(networks: list[nn.Module]) -> dict[str, np.ndarray]:
    """Parameters and buffers of all components, in the stored form."""
    return {name: value.cpu().numpy() for name, value in of_networks(networks).items()}
