"""Checkpoints of long trainings: a file in the folder of the replica, removed when the replica is finished.

    one line of JSON: key, replica, numerics, steps, seconds, digest of the rest, digest of this line
    the state in safetensors

The file is written under a temporary name and renamed, so there is one whole checkpoint or none. It is used only where key, replica and
numerics match: a checkpoint of another recipe or of other numerics would lead to other bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch

from traintwice._files import write_whole
from traintwice._study_files import content_digest
from traintwice._typed import typed
from traintwice.engine import Numerics, State, Stateful
from traintwice.errors import BadSpec
from traintwice.specs import digest
from traintwice.study._store import Store

FORMAT = 3
"""Version of the checkpoint; raised when the names in a state change."""


@dataclass(frozen=True)
@typed
class Every:
    """How often a training in progress is saved.

    Args:
        seconds: between two checkpoints, > 0.
        steps: optimiser steps between two checkpoints, >= 1; None counts seconds.
    Raises:
        BadSpec: a setting outside its range.
    """

    seconds: float = 60.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise BadSpec(f"Every.seconds: got {self.seconds}, expected a number greater than 0")
        if self.steps is not None and self.steps < 1:
            raise BadSpec(f"Every.steps: got {self.steps}, expected at least 1")


EVERY_MINUTE = Every()


class Clock:
    """The times at which to save, the same for all replicas that are trained together, so that they can resume together."""

    def __init__(self, every: Every) -> None:
        self.every = every
        self._last = time.monotonic()
        self._answered = (0, False)

    def due(self, steps: int) -> bool:
        """Whether to save the state after so many steps."""
        if self._answered[0] != steps:
            now = time.monotonic()
            apart = steps % self.every.steps == 0 if self.every.steps is not None else now - self._last >= self.every.seconds
            self._answered = (steps, apart)
            self._last = now if apart else self._last
        return self._answered[1]


class Checkpoint:
    """The checkpoint of one replica; a `Keeper`. ``share`` of the elapsed time counts for this replica, where several train together."""

    def __init__(
        self,
        store: Store,
        key: str,
        replica: int,
        numerics: Numerics,
        clock: Clock,
        share: float = 1.0,
        *,
        code: Mapping[str, str] | None = None,
    ) -> None:
        self.path = store.checkpoint(key, replica)
        self._store = store
        self.clock, self.share = clock, share
        self.resumed: list[int] = []
        self.ignored: str | None = None
        self._identity: dict[str, Any] = {"format": FORMAT, "key": key, "replica": replica, "numerics": numerics.plain()}
        if code:
            self._identity["code"] = dict(code)
        self._started = time.monotonic()
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Duration of the training, the time before interruptions included."""
        return self._before + (time.monotonic() - self._started) * self.share

    def resume(self) -> tuple[int, State] | None:
        """Steps taken and the state after them; None where there is no checkpoint of this training."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.ignored = f"{self.path.name} cannot be read ({error.strerror}); training from the beginning"
            return None
        line, _, body = content.partition(b"\n")
        found = _checked(line, body)
        if found is None:
            self.ignored = f"{self.path.name} is damaged; training from the beginning"
            return None
        different = [name for name, value in self._identity.items() if found.get(name) != value]
        if different:
            self.ignored = (
                f"{self.path.name} belongs to another training (other {' and '.join(different)}); training from the beginning"
            )
            return None
        self._before = found["seconds"]
        self.resumed = [*found["resumed"], found["steps"]]
        return found["steps"], safetensors.torch.load(body)

    def after_step(self, steps: int, training: Stateful) -> None:
        """Save the state where it is due.

        Raises:
            StoreError: the disk is full or the store was removed.
        """
        if not self.clock.due(steps):
            return
        body = safetensors.torch.save(training.state())
        progress = {"steps": steps, "seconds": round(self.seconds, 3), "resumed": self.resumed, "state": content_digest(body)}
        record = self._identity | progress
        line = json.dumps({**record, "record": digest(record)})
        try:
            write_whole(self.path, line.encode() + b"\n" + body)
        except OSError as error:
            raise self._store.unwritable(self.path.parent, error) from None

    def remove(self) -> None:
        """Delete the checkpoint: the replica is in the store."""
        self.path.unlink(missing_ok=True)


def _checked(line: bytes, body: bytes) -> dict[str, Any] | None:
    """The first line of a checkpoint; None where line or state are damaged."""
    try:
        found: dict[str, Any] = json.loads(line)
        whole = found.pop("record") == digest(found) and found["state"] == content_digest(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if whole else None
