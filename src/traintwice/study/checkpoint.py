"""Checkpoints of long trainings: a file beside where the replica will lie, removed when it is finished.

    one line of JSON: key, replica, numerics, steps, seconds, digest of the rest, digest of this line
    the state in safetensors

It is written under a temporary name and renamed, so that there is one whole checkpoint or none, and it is used only where everything in
the first line fits: a checkpoint of another recipe or of other numerics would end in other bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch

from traintwice.engine import Numerics, State, Stateful
from traintwice.errors import BadSpec
from traintwice.files import write_whole
from traintwice.specs import digest
from traintwice.study.store import Store, digest_of_bytes

FORMAT = 2
"""Raised when the names in a state change."""


@dataclass(frozen=True)
class Every:
    """How often a training in progress is written down.

    Args:
        seconds: since the last time, > 0.
        steps: a number of optimiser steps instead, >= 1.
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
    """Says when it is time, the same to all replicas that are trained together: then all can go on together too."""

    def __init__(self, every: Every) -> None:
        self.every = every
        self._last = time.monotonic()
        self._asked = (0, False)

    def due(self, steps: int) -> bool:
        """Whether the state after so many steps is to be kept."""
        if self._asked[0] != steps:
            now = time.monotonic()
            apart = steps % self.every.steps == 0 if self.every.steps is not None else now - self._last >= self.every.seconds
            self._asked = (steps, apart)
            self._last = now if apart else self._last
        return self._asked[1]


class Checkpoint:
    """The checkpoint of one replica; a `Keeper`.

    Args:
        store, key, replica: whose.
        numerics: of this training.
        clock: when to write.
        share: of the time that passes, where several replicas are trained together.

    Attributes:
        resumed: steps at which this training, or one before it, went on from a checkpoint.
        ignored: why a checkpoint that was found was not used.
    """

    def __init__(self, store: Store, key: str, replica: int, numerics: Numerics, clock: Clock, share: float = 1.0) -> None:
        self.path = store.checkpoint(key, replica)
        self._store = store
        self.clock, self.share = clock, share
        self.resumed: list[int] = []
        self.ignored: str | None = None
        self._identity = {"format": FORMAT, "key": key, "replica": replica, "numerics": numerics.plain()}
        self._started = time.monotonic()
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """How long the training took, with what it took before it was interrupted."""
        return self._before + (time.monotonic() - self._started) * self.share

    def resume(self) -> tuple[int, State] | None:
        """Steps taken and the state after them, where there is a checkpoint of this very training."""
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
        """Write the state where it is time.

        Raises:
            StoreError: the disk is full or the store gone.
        """
        if not self.clock.due(steps):
            return
        body = safetensors.torch.save(training.state())
        record: dict[str, Any] = {
            **self._identity,
            "steps": steps,
            "seconds": round(self.seconds, 3),
            "resumed": self.resumed,
            "state": digest_of_bytes(body),
        }
        line = json.dumps({**record, "record": digest(record)})
        try:
            write_whole(self.path, line.encode() + b"\n" + body)
        except OSError as error:
            raise self._store.unwritable(self.path.parent, error) from None

    def remove(self) -> None:
        """The replica is in the store."""
        self.path.unlink(missing_ok=True)


def _checked(line: bytes, body: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
        whole = found.pop("record") == digest(found) and found["state"] == digest_of_bytes(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if whole else None
