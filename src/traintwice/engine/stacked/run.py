"""The training of a group from its first step to its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine.averager import Averager, averager
from traintwice.engine.building import Weights
from traintwice.engine.device import CPU, Device
from traintwice.engine.loop import Trained, outcome
from traintwice.engine.stacked.feed import TrainingSet
from traintwice.engine.stacked.group import Group
from traintwice.engine.stacked.together import Together, filled, from_rows, of_rows
from traintwice.engine.state import Keeper, State, under, within
from traintwice.errors import Diverged
from traintwice.recipes import Recipe

Outcome = tuple[int, Trained | Diverged]
"""A replica and what became of it."""


def train_stacked(
    recipe: Recipe,
    data: Dataset,
    examples: TrainingSet,
    *,
    seed: int,
    replicas: Sequence[int],
    starts: Mapping[int, Weights],
    teachers: Mapping[int, Weights],
    keepers: Mapping[int, Keeper],
    resumed: Mapping[int, tuple[int, State]],
    dtype: torch.dtype,
    device: Device = CPU,
    kind: type[Together] = Group,
    places: int = 2,
) -> Iterator[Outcome]:
    """Train some replicas together; yields each as it is finished, or when it diverges, while the others go on.

    Args:
        recipe, data, seed, replicas: what is trained.
        examples: of ``data``.
        starts, teachers: weights of the earlier models of each replica.
        keepers: keep the state of each.
        resumed: steps taken and state of each that was interrupted; all of them, after the same number of steps, or none.
        dtype, device: of everything.
        kind: of group, which runs the networks.
        places: in a group at least; those beyond the replicas are filled with replicas again.
    """
    how = _How(kind, places, dtype, device)
    run = _Run(recipe, data, examples, seed=seed, starts=starts, teachers=teachers, how=how)
    step = next((steps for steps, _ in resumed.values()), 0)
    run.enter(replicas, [resumed[r][1] for r in replicas] if resumed else None)
    per_epoch = recipe.steps_per_epoch(len(data.train))
    while step < per_epoch * recipe.epochs:
        epoch = step // per_epoch
        for batch in islice(run.group.feed.epoch(epoch), step % per_epoch, None):
            failed = run.group.step(batch, step)
            run.kept.after_step(step)
            step += 1
            lost = [r for at, r in enumerate(run.replicas) if at in failed]
            for replica in lost:
                yield replica, Diverged(failed[run.replicas.index(replica)], step - 1)
            if lost:
                left = [at for at, r in enumerate(run.replicas) if r not in lost]
                if not left:
                    return
                run.enter([run.replicas[at] for at in left], [run.state(at) for at in left])
                break  # the epoch's batches were those of all of them
            for at, replica in enumerate(run.replicas):
                if (keeper := keepers.get(replica)) is not None:
                    keeper.after_step(step, _Single(run, at))
    yield from run.finish(step)


@dataclass(frozen=True)
class _How:
    """What trains a group."""

    kind: type[Together]
    places: int
    dtype: torch.dtype
    device: Device


class _Run:
    """A group and the average of its weights; the group may lose replicas on the way."""

    group: Together
    kept: Averager
    replicas: list[int]

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        examples: TrainingSet,
        *,
        seed: int,
        starts: Mapping[int, Weights],
        teachers: Mapping[int, Weights],
        how: _How,
    ) -> None:
        self.recipe, self.data, self.examples, self.seed = recipe, data, examples, seed
        self.starts, self.teachers, self.how = starts, teachers, how

    def enter(self, replicas: Sequence[int], states: Sequence[Mapping[str, Tensor]] | None) -> None:
        """Make a group of some replicas, at the beginning or from their states."""
        self.replicas = list(replicas)
        all_places = filled(self.replicas, self.how.places)
        self.group = self.how.kind(
            self.recipe.resolve(len(self.data.train)),
            self.data,
            self.examples,
            seed=self.seed,
            replicas=all_places,
            starts=[self.starts.get(r) for r in all_places],
            teachers=[self.teachers.get(r) for r in all_places],
            dtype=self.how.dtype,
            device=self.how.device,
        )
        per_epoch = self.recipe.steps_per_epoch(len(self.data.train))
        steps = per_epoch * self.recipe.epochs
        self.kept = averager(self.recipe.averaging, [self.group.stack], steps=steps, steps_per_epoch=per_epoch)
        if states is not None:
            states = [states[i % len(states)] for i in range(len(all_places))]
            self.group.restore([within("group", state) for state in states])
            self.kept.restore(from_rows([within("averager", state) for state in states]))

    def state(self, place: int) -> State:
        """All that the next step of a replica depends on."""
        own = self.group.rows_of(place)
        return {**under("group", self.group.state(place)), **under("averager", of_rows(self.kept.state(), own))}

    def finish(self, steps: int) -> Iterator[Outcome]:
        """What the replicas predict."""
        sets = self.kept.finish()
        for place, replica in enumerate(self.replicas):
            networks = [self.group.networks(place, stack) for (stack,) in sets]
            try:
                made = outcome(
                    self.recipe,
                    self.data,
                    networks,
                    self.examples.inputs,
                    seed=self.seed,
                    replica=replica,
                    steps=steps,
                    reason=partial(self.group.enlarged, place),
                )
            except Diverged as reason:
                yield replica, reason
            else:
                yield replica, made


@dataclass(frozen=True)
class _Single:
    """One replica of a run, as its keeper sees it."""

    run: _Run
    place: int

    def state(self) -> State:
        """Its state."""
        return self.run.state(self.place)
