"""A worker process: reads tasks as JSON lines, trains them on one thread, writes replicas to the store, answers with JSON lines.

`traintwice.study._workers` starts workers. A worker ends when its standard input closes, so also when its parent is killed.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import lru_cache
from math import isnan
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import torch
from filelock import Timeout

from traintwice._installed import versions
from traintwice._processes import claim_pipes
from traintwice._user_code import reason_of, traceback_of
from traintwice.data import Dataset, Loaded, Source
from traintwice.engine import DEFAULT_EXECUTION, Execution, numerics_of, train_group, training_rows, with_chosen_engine
from traintwice.errors import Diverged, StoreError, TrainingFailed, TraintwiceError
from traintwice.recipes import Earlier, Recipe
from traintwice.served import Served, Stored
from traintwice.specs import decode, digest, encode, key_of
from traintwice.study._plan import Task, code_of
from traintwice.study._replicas import Damage, Record
from traintwice.study._store import EVERY_MINUTE, Checkpoint, Clock, Every, Store

ANSWER = "traintwice: "
"""Prefix of the lines with answers; other lines on the pipe come from print calls in user code."""


class Answer(TypedDict):
    """The outcome of one replica; "busy" where another process is training it. "died" is the last answer of a worker that ended."""

    replica: int
    outcome: Literal["done", "diverged", "busy", "failed", "died"]
    seconds: NotRequired[float]
    reason: NotRequired[str]
    traceback: NotRequired[str]
    note: NotRequired[str | None]


def main() -> None:
    """Read the setup, then one task a line, until the input ends."""
    torch.set_num_threads(1)
    source_pipe, answers_pipe = claim_pipes()
    answers = os.fdopen(answers_pipe, "w")
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_until_closed, args=(source_pipe, lines), daemon=True).start()
    importlib.import_module("torch._dynamo")  # the first optimiser imports it; here it is imported while the parent plans
    setup = json.loads(lines.get())
    store, every = Store(setup["store"], create=False), decode(Every, setup["checkpoint"], "checkpoint")
    while True:
        for answer in _answers(json.loads(lines.get()), store, every):
            answers.write(ANSWER + json.dumps(answer) + "\n")
            answers.flush()


def _read_until_closed(pipe: int, lines: queue.Queue[str]) -> None:
    """Pass on lines; end at once when the input closes. Unfinished replicas are not in the store yet.

    The pipe is read without a file object: processes that a DataLoader forks would inherit its lock, and wait for it for ever.
    """
    rest = b""
    while content := os.read(pipe, 1 << 16):
        *whole, rest = (rest + content).split(b"\n")
        for line in whole:
            lines.put(line.decode())
    if multiprocessing.active_children() and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # this process and those that user code started, such as the workers of a DataLoader
    os._exit(0)


def _answers(message: Mapping[str, Any], store: Store, every: Every) -> Iterator[Answer]:
    """An answer for each replica of a task, as replicas are finished."""
    key, left = message["task"]["key"], list(message["replicas"])
    try:
        task = decode(Task, message["task"])
        source, data = _loaded(json.dumps(message["task"]["source"]))
        if key_of(task.recipe, data.digest, task.seed) != key:
            if source.load().digest != data.digest:
                raise TrainingFailed(
                    "the data differ each time they are read, so that replicas would be compared on other rows. Return the validation and "
                    "test rows in the same order each time, without shuffling and without random changes"
                )
            raise TrainingFailed("the worker read another recipe or other data than its parent; this is a bug in traintwice")
        for answer in train_into(
            store,
            task.recipe,
            source,
            data,
            seed=task.seed,
            replicas=tuple(left),
            save_weights=task.save_weights,
            every=every,
            execution=task.execution,
        ):
            left.remove(answer["replica"])
            yield answer
    except TraintwiceError as error:
        yield from (_failed(store, key, replica, error, "") for replica in left)
    except (Exception, SystemExit) as error:  # code that the study names, or PyTorch on a setting that no check covers
        yield from (_failed(store, key, replica, error, traceback_of(error)) for replica in left)


@lru_cache(maxsize=1)
def _loaded(plain: str) -> tuple[Source, Dataset]:
    """The data of the last task: those of the next are mostly the same."""
    source = decode(Source, json.loads(plain), "data")  # type: ignore[type-abstract]
    return source, source.load()


def _failed(store: Store, key: str, replica: int, error: BaseException, traceback: str) -> Answer:
    """The answer for a replica whose training raised; the store keeps the traceback."""
    reason = reason_of(error)
    with suppress(StoreError):  # the parent reports the failure anyway
        store.save_failure(key, replica, reason, traceback)
    return Answer(replica=replica, outcome="failed", reason=reason, traceback=traceback)


def train_into(
    store: Store,
    recipe: Recipe,
    source: Source,
    data: Dataset,
    *,
    seed: int,
    replicas: Sequence[int],
    save_weights: bool = False,
    every: Every = EVERY_MINUTE,
    execution: Execution = DEFAULT_EXECUTION,
) -> Iterator[Answer]:
    """Train replicas from their checkpoints and write each to a store, unless another process already did; yields an answer for each."""
    key = key_of(recipe, data.digest, seed)
    with ExitStack() as held:
        mine = []
        for replica in replicas:
            try:
                held.enter_context(store.lock(key, replica))
            except Timeout:
                yield {"replica": replica, "outcome": "busy"}
                continue
            found = store.record(key, replica)
            if not isinstance(found, Damage | None) and ("diverged" in found or "weights" in found or not save_weights):
                yield {"replica": replica, "outcome": "diverged" if "diverged" in found else "done", "seconds": 0.0}
            else:
                mine.append(replica)
        chosen = with_chosen_engine(recipe, data, execution)
        numerics = numerics_of(recipe, data, chosen, threads=torch.get_num_threads())
        clock = Clock(every)
        share = 1.0 if chosen.engine == "loop" else 1 / max(len(mine), 1)
        code = code_of(source, recipe)
        keepers = {m: Checkpoint(store, key, m, numerics, clock, share, code=code) for m in mine}
        described = {"source": encode(source), "digest": data.digest}
        if isinstance(data.train.inputs, Loaded):
            described["own_randomness"] = "the loader's: a resumed training need not end in the same bits"
        plain: Record = {"seed": seed, "data": described, "numerics": numerics.plain(), "versions": versions()}
        if code:
            plain["code"] = code
        starts, teachers = (_weights_of(e, store, data, seed, mine) for e in (recipe.start, recipe.teacher))
        for m, made in train_group(
            recipe,
            data,
            seed=seed,
            replicas=mine,
            execution=execution,
            starts=starts,
            teachers=teachers,
            keepers=keepers,
        ):
            checkpoint = keepers[m]
            seconds = round(checkpoint.seconds, 3)
            record: Record = plain | {"seconds": seconds, "finished": datetime.now(UTC).isoformat(timespec="seconds")}
            if recipe.sample is not None:
                drawn = training_rows(recipe, len(data.train), seed=seed, replica=m)
                record["sample"] = {"rows": len(drawn), "distinct": len(np.unique(drawn)), "digest": digest(drawn.tolist())}
            if checkpoint.resumed:
                record["resumed"] = checkpoint.resumed
            if isinstance(made, Diverged):
                store.save(key, m, {}, record | {"diverged": str(made), "steps": made.step})
            else:
                weights = made.weights if save_weights else None
                loss = [None if isnan(value) else float(f"{value:.6g}") for value in made.curve.tolist()]
                store.save(key, m, made.outputs, record | {"steps": made.steps, "loss": loss}, weights=weights)
            checkpoint.remove()
            yield Answer(
                replica=m, outcome="diverged" if isinstance(made, Diverged) else "done", seconds=seconds, note=checkpoint.ignored
            )


def _weights_of(
    earlier: Earlier | Served | None, store: Store, data: Dataset, seed: int, replicas: Sequence[int]
) -> dict[int, dict[str, np.ndarray]]:
    """Weights in the store of the earlier model of each replica; none of a model in service, which the engine reads."""
    if isinstance(earlier, Earlier):
        key = key_of(earlier.recipe, data.digest, seed)
        return {m: store.load_weights(key, earlier.replica_for(m)) for m in replicas}
    return {m: store.load_weights(earlier.key, m) for m in replicas} if isinstance(earlier, Stored) else {}
