"""A worker process: reads tasks as JSON lines, trains them on one thread, writes them to the store, answers with JSON lines.

Started by `traintwice.study.runner`; it ends when its standard input closes, which happens when
its parent ends, however that ends.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import torch
from filelock import Timeout

from traintwice.data import Dataset
from traintwice.engine import Numerics, train
from traintwice.errors import TraintwiceError
from traintwice.specs import encode
from traintwice.study.experiment import Experiment
from traintwice.study.store import Store
from traintwice.versions import versions


def main() -> None:
    """Read the experiment, then one task a line, until the input ends."""
    torch.set_num_threads(1)
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_until_closed, args=(lines,), daemon=True).start()
    setup = json.loads(lines.get())
    experiment, store = Experiment.from_dict(setup["experiment"]), Store(setup["store"], create=False)
    data = experiment.data.load()
    while True:
        task = json.loads(lines.get())
        print(json.dumps(_answer(experiment, data, store, task["row"], task["replica"])), flush=True)


def _read_until_closed(lines: queue.Queue[str]) -> None:
    """Pass on lines; when the parent is gone, end at once: whatever is half done was not yet in the store."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _answer(experiment: Experiment, data: Dataset, store: Store, row: str, replica: int) -> dict[str, Any]:
    try:
        return _train_one(experiment, data, store, row, replica)
    except Timeout:
        return {"outcome": "busy"}
    except TraintwiceError as error:
        return {"outcome": "failed", "reason": str(error)}


def _train_one(experiment: Experiment, data: Dataset, store: Store, row: str, replica: int) -> dict[str, Any]:
    key = experiment.key(row, data)
    with store.lock(key, replica):
        if isinstance(store.record(key, replica), dict):  # another run finished it meanwhile
            return {"outcome": "done", "seconds": 0.0}
        started = time.perf_counter()
        trained = train(experiment.rows[row], data, seed=experiment.seed, replica=replica)
        seconds = time.perf_counter() - started
        record = {
            "seed": experiment.seed,
            "data": {"source": encode(experiment.data), "digest": data.digest},
            "numerics": asdict(Numerics.here(threads=torch.get_num_threads())),
            "versions": versions(),
            "steps": trained.steps,
            "seconds": round(seconds, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        store.save(key, replica, trained.logits, record)
    return {"outcome": "done", "seconds": seconds}
