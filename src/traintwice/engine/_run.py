"""Trainings from the first step to the predictions: one replica, or many together as far as the engine can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine._averager import renew_batch_statistics
from traintwice.engine._batches import training_rows
from traintwice.engine._building import Weights, weights_of
from traintwice.engine._choosing import group_size, least_places, places_of, with_chosen_engine
from traintwice.engine._execution import DEFAULT_EXECUTION, LOOP, Execution, out_of_memory
from traintwice.engine._loop import LoopTraining, check_stream
from traintwice.engine._reading import TrainingSet, gate_weights, predict
from traintwice.engine._stacked import StackedGroup
from traintwice.engine._state import Keeper, State
from traintwice.engine._training import Trained, Training, TrainingSpec
from traintwice.engine._vectorised import VectorisedGroup
from traintwice.errors import BadInput, Diverged
from traintwice.recipes import Recipe

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
        recipe, data: what is trained.
        seed: of the experiment.
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
        run, done = _Run(spec, examples, keepers), []
        try:
            for replica, made in _on_one_thread(run.outcomes(group, resumed), execution, recipe.hardware):
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


class _Run:
    """A training of replicas; those that diverge leave it."""

    training: Training
    replicas: list[int]

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, keepers: Mapping[int, Keeper]) -> None:
        self.spec, self.examples, self.keepers = spec, examples, keepers

    def outcomes(self, replicas: Sequence[int], resumed: Mapping[int, tuple[int, State]]) -> Iterator[Outcome]:
        """Train replicas; yields each when it is finished or diverges."""
        step = next((steps for steps, _ in resumed.values()), 0)
        self._enter(replicas, [resumed[r][1] for r in replicas] if resumed else None)
        while step < self.spec.steps:
            for taken, failed in self.training.steps(step, self.spec.steps):
                step = taken
                lost = sorted(at for at in failed if at < len(self.replicas))
                for at in lost:
                    yield self.replicas[at], Diverged(failed[at], step - 1)
                if lost:
                    left = [at for at in range(len(self.replicas)) if at not in lost]
                    if not left:
                        return
                    self._enter([self.replicas[at] for at in left], [self.training.state(at) for at in left])
                    break  # the epoch's batches belong to the group before
                if self.keepers:
                    self._keep(step)
        for place, replica in enumerate(self.replicas):
            try:
                made = self._predicted(place, replica)
            except Diverged as reason:
                yield replica, reason
            else:
                yield replica, made

    def _enter(self, replicas: Sequence[int], states: Sequence[State] | None) -> None:
        """Start a training of replicas, or continue from their states."""
        spec, self.replicas = self.spec, list(replicas)
        places = filled(replicas, least_places(spec.recipe, spec.data, spec.execution))
        self.training = KINDS[spec.execution.engine](spec, self.examples, places)
        if states is not None:
            self.training.restore([states[i % len(states)] for i in range(len(places))])

    def _keep(self, step: int) -> None:
        """Let the keepers save the state of each replica."""
        for at, replica in enumerate(self.replicas):
            if (keeper := self.keepers.get(replica)) is not None:
                keeper.after_step(step, _Single(self.training, at))

    def _predicted(self, place: int, replica: int) -> Trained:
        """Predictions of a replica; batch statistics of averaged weights are computed first."""
        spec, (sets, gates) = self.spec, self.training.served(place)
        if spec.recipe.averaging is not None:
            for networks in sets:
                spec.enter_dropout(networks, replica, spec.steps)
                renew_batch_statistics(networks, self.examples.inputs, spec.recipe.batch_size, self._sampled(replica))
        networks = [network for own in sets for network in own]
        outputs = self.training.outputs()
        if outputs is None:
            outputs = {name: predict(networks, split) for name, split in spec.data.splits.items() if name != "train"}
        if gates:
            outputs |= {f"{name}.gate": gate_weights(gates, spec.data.splits[name]) for name in tuple(outputs)}
        for name, logits in outputs.items():
            if not np.isfinite(logits).all():
                cause = self.training.divergence_cause(place)
                raise Diverged(f"the logits of the {name} split are not finite after step {spec.steps}{cause}", spec.steps)
        weights = weights_of(networks) | {f"gate.{name}": value for name, value in weights_of(gates).items()}
        return Trained(outputs, weights, spec.steps, self.training.curve.of(place))

    def _sampled(self, replica: int) -> torch.Tensor | None:
        """The examples of a replica's sample; None for all."""
        if self.spec.recipe.sample is None:
            return None
        spec = self.spec
        return torch.from_numpy(training_rows(spec.recipe, len(spec.data.train), seed=spec.seed, replica=replica))


@dataclass(frozen=True)
class _Single:
    """One replica of a training, for its keeper."""

    training: Training
    place: int

    def state(self) -> State:
        """State of the replica."""
        return self.training.state(self.place)


def filled(replicas: Sequence[int], least: int) -> list[int]:
    """Replicas repeated until there are ``least`` places.

    >>> filled([4], 2), filled([4, 5, 6], 2), filled([4, 5], 5)
    ([4, 4], [4, 5, 6], [4, 5, 4, 5, 4])
    """
    return [replicas[i % len(replicas)] for i in range(max(len(replicas), least))]
