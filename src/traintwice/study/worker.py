"""A worker process: reads tasks as JSON lines, trains them on one thread, writes them to the store, answers with JSON lines.

Started by `traintwice.study.runner`; it ends when its standard input closes, which happens when
its parent ends, however that ends.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, Any

import torch
from filelock import Timeout

from traintwice.data import Dataset, Loaded, Source
from traintwice.engine import Numerics, train
from traintwice.errors import Diverged, TrainingFailed, TraintwiceError
from traintwice.recipes import Recipe
from traintwice.specs import decode, encode
from traintwice.study.checkpoint import EVERY_MINUTE, Checkpoint, Every
from traintwice.study.identity import key_of
from traintwice.study.store import Store
from traintwice.versions import versions

ANSWER = "traintwice: "
"""How a line of answer begins; other lines on the pipe are somebody's print."""


def main() -> None:
    """Read where data and store are, then one task a line, until the input ends."""
    torch.set_num_threads(1)
    answers = _claim_standard_output()
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_until_closed, args=(lines,), daemon=True).start()
    importlib.import_module("torch._dynamo")  # the first optimiser would; now it is while the parent plans
    setup = json.loads(lines.get())
    source = decode(Source, setup["data"], "data")  # type: ignore[type-abstract]
    data, store = source.load(), Store(setup["store"], create=False)
    every = decode(Every, setup["checkpoint"], "checkpoint")
    while True:
        task = json.loads(lines.get())
        answers.write(ANSWER + json.dumps(_answer(task, source, data, store, setup["seed"], every)) + "\n")
        answers.flush()


def _claim_standard_output() -> IO[str]:
    """The pipe to the parent; whatever else this process prints goes to standard error."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


def _read_until_closed(lines: queue.Queue[str]) -> None:
    """Pass on lines; when the parent is gone, end at once: whatever is half done was not yet in the store."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _answer(task: dict[str, Any], source: Source, data: Dataset, store: Store, seed: int, every: Every) -> dict[str, Any]:
    try:
        recipe = decode(Recipe, task["recipe"], "recipe")
        if key_of(recipe, data.digest, seed) != task["key"]:
            raise TrainingFailed("the worker reads another recipe or other data than its parent; this is a defect of traintwice")
        chosen = {"seed": seed, "replica": task["replica"], "save_weights": task["save_weights"], "every": every}
        return train_into(store, recipe, source, data, **chosen)
    except Timeout:
        return {"outcome": "busy"}
    except TraintwiceError as error:
        return {"outcome": "failed", "reason": str(error)}
    except (RuntimeError, ArithmeticError, MemoryError) as error:  # PyTorch on a setting that no check foresaw
        return {"outcome": "failed", "reason": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}


def train_into(
    store: Store,
    recipe: Recipe,
    source: Source,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    save_weights: bool = False,
    every: Every = EVERY_MINUTE,
) -> dict[str, Any]:
    """Train one replica and write it to a store, unless another process did so meanwhile; go on from its checkpoint where there is one.

    Returns:
        The answer to the parent: outcome "done" or "diverged", seconds, and why a checkpoint was ignored, where one was.
    Raises:
        filelock.Timeout: another process is training it. TraintwiceError: it cannot be trained or written.
    """
    key = key_of(recipe, data.digest, seed)
    with store.lock(key, replica):
        found = store.record(key, replica)
        if isinstance(found, dict) and ("diverged" in found or "weights" in found or not save_weights):
            return {"outcome": "diverged" if "diverged" in found else "done", "seconds": 0.0}
        numerics = Numerics.here(threads=torch.get_num_threads())
        checkpoint = Checkpoint(store, key, replica, numerics, every)
        record: dict[str, Any] = {
            "seed": seed,
            "data": {"source": encode(source), "digest": data.digest},
            "numerics": asdict(numerics),
            "versions": versions(),
        }
        if isinstance(data.train.inputs, Loaded):
            record["data"] |= {"own_randomness": "the loader's: a resumed training need not end in the same bits"}
        outputs, weights, outcome = {}, None, "done"
        try:
            start, teacher = (
                None if e is None else store.load_weights(key_of(e.recipe, data.digest, seed), e.replica_for(replica))
                for e in (recipe.start, recipe.teacher)
            )
            trained = train(recipe, data, seed=seed, replica=replica, start=start, teacher=teacher, keeper=checkpoint)
            outputs, weights = trained.outputs, trained.weights if save_weights else None
            record["steps"] = trained.steps
        except Diverged as reason:
            outcome = "diverged"
            record |= {"diverged": str(reason), "steps": reason.step}
        seconds = round(checkpoint.seconds, 3)
        record |= {"seconds": seconds, "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        if checkpoint.resumed:
            record["resumed"] = checkpoint.resumed
        store.save(key, replica, outputs, record, weights=weights)
        checkpoint.remove()
    return {"outcome": outcome, "seconds": seconds, "note": checkpoint.ignored}
