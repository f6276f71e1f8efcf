"""What some losses read in addition to the logits: stale peers, a teacher, outputs of inner layers."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.data import Loaded
from traintwice.engine._batches import training_rows
from traintwice.engine._building import Selected, build, load, number_of_networks, served_weights
from traintwice.engine._deployed import deployed
from traintwice.engine._reading import predict
from traintwice.engine._state import State, into_copies, of_copies
from traintwice.engine._training import TrainingSpec
from traintwice.errors import BadInput, BadSpec
from traintwice.nets import SeededDraws
from traintwice.nets._factory import OneLogit, Unpacked
from traintwice.recipes import Earlier
from traintwice.served import Logged
from traintwice.served import Weights as WeightsFile

BLOCK = 1024
"""Examples whose distances to all others are computed at once."""

EXACT_UP_TO = 8
"""Lags up to this many steps are exact, with as many copies; for longer lags one copy is renewed every T steps."""


class Peers:
    """Copies of all components, T steps old, CH eq. (17).

    Ours: at step t the weights before step max(t − T, 0) for T up to 8; beyond, those before step T·floor((t − 1)/T), 1 to T steps old.
    """

    def __init__(self, networks: list[nn.Module], lag: int) -> None:
        self.networks, self.lag = networks, lag
        self._copies: deque[list[nn.Module]] = deque(maxlen=lag + 1 if lag <= EXACT_UP_TO else 1)
        self._now: tuple[int, list[nn.Module]] = (-1, [])

    def at(self, step: int) -> list[nn.Module]:
        """Peers of a step. Call it in every step, in order, before the update; a second call in a step returns the same."""
        if self._now[0] != step:
            self._now = (step, self._next(step))
        return self._now[1]

    def _next(self, step: int) -> list[nn.Module]:
        if self.lag <= EXACT_UP_TO:
            self._copies.append(copy.deepcopy(self.networks))
            return self._copies[0]
        if step % self.lag:
            return self._copies[0]
        renewed = copy.deepcopy(self.networks)
        in_use = self._copies[0] if self._copies else renewed
        self._copies.append(renewed)
        return in_use

    def state(self) -> State:
        """Weights of the copies, between two steps."""
        return of_copies(self._copies)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._copies.clear()
        self._copies.extend(into_copies(self.networks, state))


class Teacher:
    """What a replica learns from: networks of an earlier model or of the model in service, or its logged predictions.

    Without augmentation the logits of networks are constant, so they are computed once; a user's own loader does not number its
    examples. Logged predictions are constant always.
    """

    def __init__(self, spec: TrainingSpec, replica: int) -> None:
        self.networks: list[nn.Module] = []
        self._all: Tensor | None = None
        there, dtype = spec.execution.torch_device, spec.execution.dtype
        if isinstance(spec.recipe.teacher, Logged):
            data, logged = spec.data, spec.recipe.teacher
            probs = logged.probs(data.ids_of("train"), classes=data.classes, class_names=data.class_names)
            with np.errstate(divide="ignore"):  # the logarithm of 0 is -inf
                self._all = torch.from_numpy(np.log(probs)[None]).to(there, dtype)
            return
        self.networks = [network.to(there, dtype) for network in _teaching(spec, replica)]
        if self.networks and spec.recipe.augmentation is None and not isinstance(spec.data.train.inputs, Loaded):
            self._all = torch.from_numpy(predict(self.networks, spec.data.train)).to(there, dtype)
        if self.networks and spec.recipe.method.neighbours:
            self._all = _of_neighbours(spec, replica, self.networks)

    @property
    def teaches(self) -> bool:
        """Whether there is a teacher."""
        return self._all is not None or bool(self.networks)

    def logits(self, rows: Tensor, x: Tensor | None) -> Tensor | None:
        """Logits ``T B K`` of examples by number or, where they are not constant, of their inputs; None without a teacher."""
        if self._all is not None:
            return self._all[:, rows]
        if not self.networks:
            return None
        with torch.no_grad():
            return torch.stack([network(x) for network in self.networks])


def _of_neighbours(spec: TrainingSpec, replica: int, networks: Sequence[nn.Module]) -> Tensor:
    """Logarithms ``1 N K`` of the shares of the classes among the nearest training examples of the replica."""
    data, recipe = spec.data, spec.recipe
    if isinstance(data.train.inputs, Loaded):
        raise BadSpec(
            f"NeighbourSmoothing: {data.train.inputs.source.maker} does not number its examples, and their neighbours are looked up; "
            "take data in memory or on disk"
        )
    points = torch.from_numpy(predict(networks, data.train)).mean(0).to(spec.execution.torch_device, spec.execution.dtype)
    labels = torch.from_numpy(data.train.labels).to(points.device)
    drawn = np.unique(training_rows(recipe, len(data.train), seed=spec.seed, replica=replica))
    among = torch.from_numpy(drawn).to(points.device)
    return neighbour_shares(points, labels, data.classes, recipe.method.neighbours, among).log().unsqueeze(0)


def _teaching(spec: TrainingSpec, replica: int) -> list[nn.Module]:
    """The networks of a replica's teacher, on the CPU; none without a teacher."""
    teacher, weights = spec.recipe.teacher, spec.teachers.get(replica)
    if isinstance(teacher, WeightsFile):
        weights = served_weights(teacher, spec.recipe, spec.data)
        built = [build(spec.recipe, spec.data) for _ in range(number_of_networks(weights))]
        networks = [own[j] if j < len(own) else own[0] for j, own in enumerate(built)]
        load(networks, weights)
        return [network.eval() for network in networks]
    if teacher is None or weights is None:
        return []
    return [*deployed(teacher.recipe if isinstance(teacher, Earlier) else spec.recipe, spec.data, weights).networks]


@typed
def neighbour_shares(points: Tensor, labels: Tensor, classes: int, neighbours: int, among: Tensor | None = None) -> Tensor:
    """Share of each class among the labels of the nearest examples.

        η_nk = mean over the nearest examples m of [label_m = k]

    Args:
        points: ``N D``, such as logits of a first model; examples are near by their Euclidean distance.
        labels: classes ``N``.
        classes: K.
        neighbours: how many of the nearest examples count, at least 1; all where there are fewer. An example is its own neighbour.
        among: numbers of the examples that may be neighbours; None is all.
    Returns:
        Shares ``N K`` in [0, 1], with sum 1 for each example. 0.9 reads: nine of ten near examples have this class.
    Raises:
        BadInput: fewer than one neighbour, or other numbers of points and labels.
    Source:
        Bahri & Jiang 2021; `NeighbourSmoothing` reads the logarithms.
    Example:
        >>> points = torch.tensor([[0.0], [0.1], [5.0]])
        >>> neighbour_shares(points, torch.tensor([0, 1, 1]), 2, 2).tolist()
        [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]
    """
    if neighbours < 1 or len(points) != len(labels):
        raise BadInput(
            f"neighbour_shares: got {neighbours} neighbours, {len(points)} points and {len(labels)} labels, expected at least one "
            "neighbour and a label for each point"
        )
    among = torch.arange(len(points), device=points.device) if among is None else among
    candidates, votes = points[among], torch.nn.functional.one_hot(labels[among].long(), classes).to(points.dtype)
    count = min(neighbours, len(among))
    shares = [
        votes[
            torch.cdist(block, candidates, compute_mode="donot_use_mm_for_euclid_dist").topk(count, largest=False).indices
        ].mean(1)
        for block in points.split(BLOCK)  # type: ignore[no-untyped-call]
    ]
    return torch.cat(shares)


class Signals:
    """Records outputs of sub-networks of every component, by their names in ``network.named_modules()`` (AD section 4)."""

    def __init__(self, networks: Sequence[nn.Module], names: frozenset[str]) -> None:
        self.networks = [_inner(network) for network in networks]
        self.names = sorted(names)
        for j, network in enumerate(self.networks):
            known = [name for name, _ in network.named_modules() if name]
            for name in self.names:
                if name not in known:
                    raise BadSpec(f"signal {name!r}: component {j} has no sub-network of that name; it has {', '.join(known)}")

    @contextmanager
    def recording(self) -> Iterator[Mapping[str, Tensor] | None]:
        """Run every component once, in order, within the block; the signals ``J B D`` are there after it."""
        if not self.names:
            yield None
            return
        seen: dict[str, list[Tensor]] = {name: [] for name in self.names}
        found: dict[str, Tensor] = {}
        hooks = [
            network.get_submodule(name).register_forward_hook(lambda _m, _x, y, name=name: seen[name].append(y.flatten(1)))
            for name in self.names
            for network in {id(network.get_submodule(name)): network for network in self.networks}.values()  # shared ones once
        ]
        try:
            yield found
            found.update({name: torch.stack(parts) for name, parts in seen.items()})
        finally:
            for hook in hooks:
                hook.remove()


def _inner(network: nn.Module) -> nn.Module:
    """The module whose sub-networks a user names."""
    while isinstance(network, Selected | SeededDraws | Unpacked | OneLogit):
        network = network.network
    return network
