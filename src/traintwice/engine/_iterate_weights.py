"""Weights of a replica after every step of its training, for the determinism audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine._building import Weights
from traintwice.engine._choosing import least_places, with_chosen_engine
from traintwice.engine._execution import DEFAULT_EXECUTION, Execution
from traintwice.engine._loop import check_stream
from traintwice.engine._reading import TrainingSet
from traintwice.engine._run import KINDS, filled, train_group
from traintwice.engine._training import TrainingSpec
from traintwice.errors import BadSpec, Diverged
from traintwice.recipes import Earlier, Recipe
from traintwice.served import Served, Stored


def iterate_weights(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    steps: int,
    execution: Execution = DEFAULT_EXECUTION,
    others: Sequence[int] = (),
) -> Iterator[dict[str, Tensor]]:
    """Parameters and buffers of all components, before the first step and after each.

    Args:
        recipe: trained for as many epochs as the steps need. Earlier models that it needs are trained first, completely.
        data, seed, replica: what is trained.
        steps: how many, >= 1; see `steps_of`.
        execution: as in `train_group`, for earlier models too.
        others: replicas in the same group; the loop engine leaves them out.
    Yields:
        The tensors by name ("0.name" of component 0 ...); they change with the next step.
    """
    check_stream(recipe, data)
    chosen = with_chosen_engine(recipe, data, execution)
    replicas = [*others[:1], replica, *others[1:]]
    starts, teachers = (
        _trained(e, data, seed=seed, replicas=replicas, execution=execution) for e in (recipe.start, recipe.teacher)
    )
    steps, per_epoch = steps_of(recipe, data, steps), recipe.steps_per_epoch(len(data.train))
    recipe = recipe.change(epochs=max(ceil(steps / per_epoch), 1)).resolve(len(data.train))
    iterated = _iterate(TrainingSpec(recipe, data, seed, chosen, starts, teachers), replica, replicas, steps)
    while True:
        with chosen.kernels(recipe.hardware):
            weights = next(iterated, None)
        if weights is None:
            return
        yield weights


def steps_of(recipe: Recipe, data: Dataset, steps: int) -> int:
    """Steps that `iterate_weights` takes: on a stream of data, at most those of its one pass."""
    return steps if recipe.progressive is None else min(steps, recipe.steps_per_epoch(len(data.train)))


def _iterate(spec: TrainingSpec, replica: int, replicas: Sequence[int], steps: int) -> Iterator[dict[str, Tensor]]:
    """Weights of a replica of a group. Another replica that diverges stays in the group."""
    if spec.execution.engine == "loop":
        replicas = [replica]
    places = filled(replicas, least_places(spec.recipe, spec.data, spec.execution))
    training = KINDS[spec.execution.engine](spec, TrainingSet.of(spec.data, spec.execution), places)
    place = replicas.index(replica)
    yield training.weights(place)
    for taken, failed in training.steps(0, steps):
        if place in failed:
            raise Diverged(failed[place], taken - 1)
        yield training.weights(place)


def _trained(
    earlier: Earlier | Served | None, data: Dataset, *, seed: int, replicas: Sequence[int], execution: Execution
) -> Mapping[int, Weights]:
    """Weights of an earlier model by the replica that needs them, after the earlier models that it needs itself."""
    if isinstance(earlier, Stored):
        raise BadSpec(f"Stored: the replicas {earlier.key} are in a store, which this does not read; expected Earlier or Weights")
    if not isinstance(earlier, Earlier):
        return {}
    recipe, numbers = earlier.recipe, sorted({earlier.replica_for(r) for r in replicas})
    starts, teachers = (
        _trained(e, data, seed=seed, replicas=numbers, execution=execution) for e in (recipe.start, recipe.teacher)
    )
    weights = {}
    for number, made in train_group(
        recipe, data, seed=seed, replicas=numbers, execution=execution, starts=starts, teachers=teachers
    ):
        if isinstance(made, Diverged):
            raise made
        weights[number] = made.weights
    return {r: weights[earlier.replica_for(r)] for r in replicas}
