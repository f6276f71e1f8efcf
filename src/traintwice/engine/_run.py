"""Trainings from the first step to the predictions, or step by step: one replica, or many together as far as the engine can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine._batches import training_rows
from traintwice.engine._building import Weights, weights_of
from traintwice.engine._choosing import group_size, least_places, places_of, with_chosen_engine
from traintwice.engine._execution import DEFAULT_EXECUTION, LOOP, Execution, out_of_memory
from traintwice.engine._loop import LoopTraining, check_stream
from traintwice.engine._reading import TrainingSet, gate_weights, predict
from traintwice.engine._stacked import StackedGroup
from traintwice.engine._state import Keeper, State, renew_batch_statistics, under
from traintwice.engine._training import Trained, Training, TrainingSpec
from traintwice.engine._vectorised import VectorisedGroup
from traintwice.errors import BadInput, BadSpec, Diverged
from traintwice.recipes import Earlier, Recipe
from traintwice.served import Served, Stored

KINDS: dict[str, type[Training]] = {"loop": LoopTraining, "stacked": StackedGroup, "vectorised": VectorisedGroup}
"""Training of each engine."""

Outcome = tuple[int, Trained | Diverged]
"""A replica's number and the outcome of its training."""


@typed
def train(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    start: Weights | None = None,
    teacher: Weights | None = None,
    execution: Execution = LOOP,
    keeper: Keeper | None = None,
) -> Trained:
    """Train one replica by the reference engine, and predict the validation and test examples.

    Args:
        recipe, data, seed: what is trained.
        replica: its number; its weights and mini-batches come from random streams of its own.
        start, teacher: weights of the earlier models that the recipe names.
        execution: device and precision; its engine is not read.
        keeper: saves the state after some steps; a resumed training ends in the same bits.
    Returns:
        Raw logits of every kept network, before they are averaged or dropped; for a stream, those of each example just before the step
        that trained on it.
    Raises:
        Diverged: a loss or logits became infinite or NaN; names the step and the term.
    Example:
        >>> from traintwice.data import Digits
        >>> train(Recipe(epochs=1), Digits(train=60, test=20).load(), seed=0, replica=0).outputs["test"].shape
        (1, 20, 10)
    """
    ((_, made),) = train_group(
        recipe,
        data,
        seed=seed,
        replicas=[replica],
        execution=replace(execution, engine="loop"),
        starts={} if start is None else {replica: start},
        teachers={} if teacher is None else {replica: teacher},
        keepers={} if keeper is None else {replica: keeper},
    )
    if isinstance(made, Diverged):
        raise made
    return made


@typed
def train_group(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replicas: Sequence[int],
    execution: Execution = DEFAULT_EXECUTION,
    starts: Mapping[int, Weights] | None = None,
    teachers: Mapping[int, Weights] | None = None,
    keepers: Mapping[int, Keeper] | None = None,
    at_once: int | None = None,
) -> Iterator[Outcome]:
    """Train replicas of a recipe.

    The outcome of a replica depends neither on the other replicas nor on how many train at once: bit for bit under the loop engine and,
    on a CPU, the stacked engine (see `choose`); up to rounding under the vectorised engine.

    Args:
        recipe, data, seed: what is trained.
        replicas: their numbers, all different.
        execution: how; the engine "auto" is replaced by that of `choose`.
        starts, teachers: weights of the earlier models that the recipe names, by replica.
        keepers: by replica; save its state after some steps, and return it after an interruption.
        at_once: replicas in a group; `group_size` by default. Groups of no fixed size are halved if memory is short.
    Yields:
        A replica's number and its outcome when it is finished: `Trained`, or `Diverged` if its loss or logits became infinite or NaN.
        All engines but loop work on one thread.
    Raises:
        BadInput: the same replica twice. BadSpec: see `choose`. MemoryError, RuntimeError: not enough memory for one replica.
    """
    if len(set(replicas)) < len(replicas):
        raise BadInput(f"replicas: got {list(replicas)}, expected different numbers")
    check_stream(recipe, data)
    execution = with_chosen_engine(recipe, data, execution)
    spec = TrainingSpec(recipe.resolve(len(data.train)), data, seed, execution, starts or {}, teachers or {})
    fixed, keepers = places_of(recipe, data, execution), keepers or {}
    largest = group_size(recipe, data, execution)
    if at_once is not None and execution.engine != "loop":
        largest = at_once if fixed is None else min(at_once, fixed)
    with execution.kernels(recipe.hardware):
        examples = TrainingSet.of(data, execution)
    waiting = [[replica] for replica in replicas] if execution.engine == "loop" else [list(replicas)] if replicas else []
    while waiting:
        group = waiting.pop(0)
        resumed = {r: found for r in group if (k := keepers.get(r)) is not None and (found := k.resume()) is not None}
        parts = _split(group, resumed, largest)
        if len(parts) > 1:
            waiting = [*parts, *waiting]
            continue
        outcomes, done = _outcomes(spec, examples, keepers, group, resumed), []
        try:
            for replica, made in _on_one_thread(outcomes, execution, recipe.hardware):
                done.append(replica)
                yield replica, made
        except (MemoryError, RuntimeError) as error:
            left = [replica for replica in group if replica not in done]
            if len(left) == 1 or fixed is not None or not out_of_memory(error):
                raise
            largest = (len(left) + 1) // 2
            waiting.insert(0, left)


def _split(group: list[int], resumed: Mapping[int, tuple[int, State]], largest: int) -> list[list[int]]:
    """Groups of at most ``largest`` replicas that have taken the same number of steps."""
    by_steps: dict[int, list[int]] = {}
    for replica in group:
        by_steps.setdefault(resumed[replica][0] if replica in resumed else 0, []).append(replica)
    return [same[i : i + largest] for same in by_steps.values() for i in range(0, len(same), largest)]


def _on_one_thread(outcomes: Iterator[Outcome], execution: Execution, hardware: str) -> Iterator[Outcome]:
    """The same outcomes, computed with the kernels of the execution and, except under loop, on one thread."""
    while True:
        before = torch.get_num_threads()
        if execution.engine != "loop":
            torch.set_num_threads(1)
        try:
            with execution.kernels(hardware):
                made = next(outcomes, None)
        finally:
            torch.set_num_threads(before)
        if made is None:
            return
        yield made


def _outcomes(
    spec: TrainingSpec,
    examples: TrainingSet,
    keepers: Mapping[int, Keeper],
    replicas: list[int],
    resumed: Mapping[int, tuple[int, State]],
) -> Iterator[Outcome]:
    """Train replicas together; yields each when it is finished or diverges, and trains the others on."""
    step = next((steps for steps, _ in resumed.values()), 0)
    training = _started(spec, examples, replicas, [resumed[r][1] for r in replicas] if resumed else None)
    while step < spec.steps:
        for taken, failed in training.steps(step, spec.steps):
            step = taken
            lost = sorted(at for at in failed if at < len(replicas))
            for at in lost:
                yield replicas[at], Diverged(f"{failed[at]}{_of_inputs(spec.data, 'train')}", step - 1)
            if lost:
                left = [at for at in range(len(replicas)) if at not in lost]
                if not left:
                    return
                replicas, states = [replicas[at] for at in left], [training.state(at) for at in left]
                training = _started(spec, examples, replicas, states)
                break  # the epoch's batches belong to the group before
            for at, replica in enumerate(replicas):
                if (keeper := keepers.get(replica)) is not None:
                    keeper.after_step(step, _Single(training, at))
    for at, replica in enumerate(replicas):
        yield replica, _predicted(training, at, replica)


def _started(
    spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int], states: Sequence[State] | None = None
) -> Training:
    """A training of replicas from the beginning, or from their states; the free places of a group repeat them."""
    places = range(max(len(replicas), least_places(spec.recipe, spec.data, spec.execution)))
    training = KINDS[spec.execution.engine](spec, examples, [replicas[at % len(replicas)] for at in places])
    if states is not None:
        training.restore([states[at % len(states)] for at in places])
    return training


def _predicted(training: Training, place: int, replica: int) -> Trained | Diverged:
    """Predictions of a replica; batch statistics of averaged weights are computed first."""
    spec, recipe, (sets, gates) = training.spec, training.recipe, training.served(place)
    if recipe.averaging is not None:
        rows = training_rows(recipe, len(spec.data.train), seed=spec.seed, replica=replica)
        sampled = None if recipe.sample is None else torch.from_numpy(rows)
        for networks in sets:
            spec.enter_dropout(networks, replica, spec.steps)
            renew_batch_statistics(networks, training.examples.inputs, recipe.batch_size, sampled)
    networks = [network for own in sets for network in own]
    outputs = training.outputs()
    if outputs is None:
        outputs = {name: predict(networks, split) for name, split in spec.data.splits.items() if name != "train"}
    if gates:
        outputs |= {f"{name}.gate": gate_weights(gates, spec.data.splits[name]) for name in tuple(outputs)}
    for name, logits in outputs.items():
        if not np.isfinite(logits).all():
            cause = _of_inputs(spec.data, name.partition(".")[0]) or training.divergence_cause(place)
            return Diverged(f"the logits of the {name} split are not finite after step {spec.steps}{cause}", spec.steps)
    weights = weights_of(networks) | under("gate", weights_of(gates))
    return Trained(outputs, weights, spec.steps, training.curve.of(place))


def _of_inputs(data: Dataset, split: str) -> str:
    """Which inputs in memory are not finite, as the end of a sentence; empty where all are."""
    inputs = data.splits[split].inputs
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind != "f":
        return ""
    wrong = ~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1)
    if not wrong.any():
        return ""
    told = f"{int(wrong.sum()):,} of {len(inputs):,} {split} inputs have NaN or infinite numbers"
    return f"; {told} (first: row {int(wrong.argmax()):,} of the split): replace them, or leave these rows out"


@dataclass(frozen=True)
class _Single:
    """One replica of a training, for its keeper."""

    training: Training
    place: int

    def state(self) -> State:
        return self.training.state(self.place)


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
    training = _started(spec, TrainingSet.of(spec.data, spec.execution), replicas)
    place = replicas.index(replica)
    yield training.weights(place)
    for taken, failed in training.steps(0, steps):
        if place in failed:
            raise Diverged(f"{failed[place]}{_of_inputs(spec.data, 'train')}", taken - 1)
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
