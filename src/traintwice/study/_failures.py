"""Replicas whose training raised, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from traintwice._user_code import together
from traintwice.study._plan import Plan, Task


def failures_in_words(made: Plan, reasons: Mapping[Task, str], tracebacks: Mapping[str, str]) -> Iterator[str]:
    """The failed replicas, those with the same reason together, each reason with its traceback."""
    tasks = [task for task in made.missing if task in reasons]
    yield f"{len(tasks)} of {len(made.missing)} replicas failed, the others are kept:"
    for where, reason in together((task.row, task.replica, reasons[task]) for task in tasks):
        yield f"{where}: {reason}"
        if tracebacks.get(reason):
            yield tracebacks[reason].rstrip()
    if any(tracebacks.values()):
        yield "Fix the code and run again: the same command trains what is missing."
