"""Replicas of one recipe, trained together where the engine can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from traintwice.data import Dataset
from traintwice.engine.building import Weights
from traintwice.engine.choosing import group_size, places_of, with_chosen_engine
from traintwice.engine.device import Device
from traintwice.engine.execution import DEFAULT_EXECUTION, Execution
from traintwice.engine.loop import Trained, train
from traintwice.engine.memory import out_of_memory
from traintwice.engine.stacked import Group, Outcome, Together, train_stacked
from traintwice.engine.stacked.feed import TrainingSet
from traintwice.engine.state import Keeper, State
from traintwice.engine.vectorised import Group as AnyGroup
from traintwice.errors import BadInput, Diverged
from traintwice.recipes import Recipe

KINDS: dict[str, type[Together]] = {"stacked": Group, "vectorised": AnyGroup}
"""What an engine trains together."""


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
) -> Iterator[tuple[int, Trained | Diverged]]:
    """Train replicas of a recipe.

    What a replica becomes depends neither on the other replicas nor on how many are trained at once: bit by bit under the loop engine and,
    on a CPU, the stacked engine (see `choose`); up to rounding under the vectorised engine.

    Args:
        recipe, data, seed: what is trained.
        replicas: their numbers, all different.
        execution: how; the engine "auto" takes the one that `choose` names.
        starts, teachers: weights of the earlier models of each replica, by its number, where the recipe names such.
        keepers: by replica; keep its state after some steps, and give it back after an interruption.
        at_once: replicas in a group; left out, `group_size`. Groups shrink where memory is short, but for those of a fixed number of
            places, which have no more replicas than that.
    Yields:
        A replica's number and its outcome, as it is finished: `Trained`, or `Diverged` where its loss or its logits became infinite or NaN.
        All engines but loop work on one thread, whatever PyTorch is set to.
    Raises:
        BadInput: the same replica twice. BadSpec: see `choose`. MemoryError, RuntimeError: not enough memory for one replica.
    """
    if len(set(replicas)) < len(replicas):
        raise BadInput(f"replicas: got {list(replicas)}, expected different numbers")
    starts, teachers, keepers = starts or {}, teachers or {}, keepers or {}
    execution = with_chosen_engine(recipe, data, execution)
    device, dtype = execution.placed(), execution.dtype
    if execution.engine == "loop":
        for replica in replicas:
            made: Trained | Diverged
            try:
                made = train(
                    recipe,
                    data,
                    seed=seed,
                    replica=replica,
                    start=starts.get(replica),
                    teacher=teachers.get(replica),
                    dtype=dtype,
                    device=device,
                    keeper=keepers.get(replica),
                )
            except Diverged as reason:
                made = reason
            yield replica, made
        return
    fixed = places_of(recipe, data, execution)
    largest = at_once or group_size(recipe, data, execution)
    largest = largest if fixed is None else min(largest, fixed)
    with device.entered(recipe.hardware):
        examples = training_set(data, execution)
    waiting = [list(replicas)] if replicas else []
    while waiting:
        group = waiting.pop(0)
        resumed = {r: found for r in group if (k := keepers.get(r)) is not None and (found := k.resume()) is not None}
        alike = _split(group, resumed, largest)
        if len(alike) > 1:
            waiting = [*alike, *waiting]
            continue
        outcomes = train_stacked(
            recipe,
            data,
            examples,
            seed=seed,
            replicas=group,
            starts=starts,
            teachers=teachers,
            keepers=keepers,
            resumed=resumed,
            dtype=dtype,
            device=device,
            kind=KINDS[execution.engine],
            places=fixed or 2,
        )
        done = []
        try:
            for replica, made in _alone(outcomes, device, recipe.hardware):
                done.append(replica)
                yield replica, made
        except (MemoryError, RuntimeError) as error:
            left = [replica for replica in group if replica not in done]
            if len(left) == 1 or fixed is not None or not out_of_memory(error):
                raise
            largest = (len(left) + 1) // 2
            waiting.insert(0, left)


def _split(group: list[int], resumed: Mapping[int, tuple[int, State]], largest: int) -> list[list[int]]:
    """Groups of at most so many replicas that have taken the same number of steps."""
    by_steps: dict[int, list[int]] = {}
    for replica in group:
        by_steps.setdefault(resumed[replica][0] if replica in resumed else 0, []).append(replica)
    return [alike[i : i + largest] for alike in by_steps.values() for i in range(0, len(alike), largest)]


def training_set(data: Dataset, execution: Execution) -> TrainingSet:
    """The training examples as an engine reads them: in rows for the stacked one on a CPU, otherwise as they are kept."""
    filled = execution.engine == "stacked" and not execution.on_gpu
    return TrainingSet.of(data, execution.dtype, execution.placed(), filled=filled)


def _alone(outcomes: Iterator[Outcome], device: Device, hardware: str) -> Iterator[Outcome]:
    """Let an iterator work on one thread and with the kernels of a device, and whoever reads it as before."""
    while True:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with device.entered(hardware):
                made = next(outcomes, None)
        finally:
            torch.set_num_threads(before)
        if made is None:
            return
        yield made
