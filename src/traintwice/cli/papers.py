"""What `run` does with a table or figure of a paper."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from traintwice.cli.evidence import evidence_of
from traintwice.papers import ARTEFACTS, Scale, reproduce
from traintwice.papers.cost import estimate, in_words
from traintwice.papers.reproducing import studies
from traintwice.papers.writing import plain, write
from traintwice.processes import cores
from traintwice.study import Experiment, Results


def run_artefact(
    name: str,
    *,
    scale: Scale,
    parts: list[str],
    replicas: int | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
    jobs: int | None,
    quiet: bool,
    train: Callable[[Experiment], Results],
) -> None:
    """Say what it will take, train what is missing, print the table, write it in all forms.

    Args:
        name, scale, parts, replicas, seed: which table or figure, and how much of it.
        out: directory for its files.
        as_json: print JSON in place of tables.
        jobs: worker processes of ``train``, for the estimate of the time.
        quiet: print no progress.
        train: trains what is missing of a study.
    Raises:
        BadSpec: no such scale. UnknownName: no such part.
    """
    artefact = ARTEFACTS[name]
    chosen = artefact.chosen_parts(scale, tuple(parts))
    if not quiet:
        for line in artefact.left_out(scale, tuple(parts)):
            print(line, file=sys.stderr)
        planned = [e for part in chosen for e in studies(artefact, part, scale, replicas=replicas, seed=seed or 0)]
        if planned:
            count, seconds = estimate(planned, jobs or cores())
            print(f"{artefact.title}, scale {scale}: {count} trainings, roughly {in_words(seconds)} on this CPU", file=sys.stderr)
        for line in evidence_of(artefact.name, scale):
            print(line, file=sys.stderr)

    def announced(experiment: Experiment) -> Results:
        if not quiet:
            print(f"{experiment.name}:", file=sys.stderr)
        return train(experiment)

    done = reproduce(artefact, scale=scale, parts=parts, replicas=replicas, seed=seed or 0, train=announced)
    if as_json:
        print(json.dumps(plain(done), ensure_ascii=False, allow_nan=False))
    else:
        console = Console(highlight=False, markup=False)
        for table in done.tables:
            console.print(table.title, style="bold")
            for piece in table.split(console.width):
                console.print(piece.to_rich())
                console.print()
            for note in table.notes:
                console.print(note, style="dim")
    if out is not None:
        for path in write(done, out):
            if not as_json:
                print(path)
