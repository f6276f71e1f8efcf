"""`traintwice replicate`: trains any function or command several times."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traintwice._user_code import allow_imports, names_a_function
from traintwice.cli import _options as options
from traintwice.cli import _output as output
from traintwice.cli._options import NOTHING_SAID, reads_files, split
from traintwice.errors import BadInput, BadSpec
from traintwice.predictions._reading import Reading

if TYPE_CHECKING:
    from traintwice.compare import Against
    from traintwice.integrations.trackers import Tracker
    from traintwice.replication import Replication

DEFAULT_REPLICAS = Path("traintwice-replicas")


@reads_files(without=("by", "time", "show", "weight", "cluster", "draws", "by_position", "on_missing", "memory"))
def replicate(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...",
            help="After --: a command with {seed} and {out}, such as python train.py --seed {seed} --out {out}. Or a function, "
            "such as train:main.",
        ),
    ],
    replicas: Annotated[int, typer.Option(min=1, help="Trainings of each recipe; missing ones are trained.")] = 10,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="NAME=WORDS",
            help="A recipe: words added to the command, or key=value settings of the function; repeat for more. The first is the "
            "baseline.",
        ),
    ] = None,
    store: Annotated[Path, typer.Option(help="Directory of the replicas.")] = DEFAULT_REPLICAS,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random streams.")] = 0,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="SOURCE",
            help="Source of randomness that differs between replicas, such as init; separate by commas. The others are fixed.",
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=0, help="Train only the replica of this number, in this process: for array jobs.")
    ] = None,
    on: Annotated[
        str, typer.Option("--on", metavar="EXECUTOR", help="Where replicas are trained: processes, in-process or ray.")
    ] = "processes",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, such as auto; by default Ray is started on this machine alone.")
    ] = None,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of each replica (--on ray).")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at a time; by default one for each core.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End a replica that takes longer; it counts as failed.")
    ] = None,
    mix_code: Annotated[bool, typer.Option("--mix-code", help="Allow replicas of different code in one recipe.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="DIRECTORY", help="Write a report.")] = None,
    track: options.Track = None,
    against: options.Served = None,
    against_id: options.ServedId = None,
    reading: Reading = NOTHING_SAID,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model several times with other seeds, by any command or function; measure and compare the replicas."""
    from traintwice.replication._study import recipes_of

    train: str | list[str] = command
    if len(command) == 1 and names_a_function(command[0]):
        train = command[0]
        sys.path.insert(0, str(Path.cwd()))
    arguments: dict[str, Any] = {"train": train, "replicas": replicas, "seed": seed, "vary": split(vary), "reading": reading}
    if recipe:
        arguments["recipes"] = recipes_of(recipe, of_command=isinstance(train, list))
    train_and_show(
        arguments,
        store,
        report,
        json=json,
        quiet=quiet,
        track=track,
        executor=on,
        index=index,
        address=address,
        gpus=gpus,
        jobs=jobs,
        threads=threads,
        timeout=timeout,
        mix_code=mix_code,
        against=against,
        against_id=against_id,
    )


def train_and_show(
    arguments: Mapping[str, Any],
    path: Path,
    report: Path | None,
    *,
    json: bool,
    quiet: bool,
    track: Sequence[str] | None = None,
    against: Path | None = None,
    against_id: str | None = None,
    **options: Any,
) -> None:
    """Train what is missing with progress on standard error; print the table, the comparisons and the failures."""
    from traintwice.replication._executors import PROCESSES
    from traintwice.replication._store import ReplicaStore
    from traintwice.replication._study import gather, replicas_of_study, train_missing

    if against is not None and not against.exists():
        raise BadInput(f"{against}: no such file")
    allow_imports()
    trackers = trackers_of(track)
    wanted = replicas_of_study(**arguments)
    wanted.check_program(options.get("executor", PROCESSES), options.get("index"))
    store = ReplicaStore(path)
    if not quiet:
        print(f"traintwice: trains with the {wanted.trainer.name}", file=sys.stderr)
    with output.interruptible(), closing(train_missing(wanted, store, **options)) as finishing:
        failed, started = False, time.monotonic()
        total = len(wanted.missing(store)) if options.get("index") is None else 1
        for done, (task, reason) in enumerate(finishing, start=1):
            failed = failed or reason is not None
            if not quiet:
                left = (time.monotonic() - started) / done * (total - done)
                when = f", about {left:.0f} s left" if total > done else ""
                print(f"{task.name}: {reason or 'done'} ({done} of {total}{when})", file=sys.stderr, flush=True)
    found = gather(store, **wanted.described())
    if options.get("index") is None:
        served = None if against is None else found.against(str(against), id=against_id)
        _show(found, report, json=json, served=served)
        for tracker in trackers:
            tracker(found)
    if failed:
        print(f"traintwice: {found.failures_in_words()}", file=sys.stderr)
        raise typer.Exit(2)


def trackers_of(track: Sequence[str] | None) -> list[Tracker]:
    """The trackers of ``--track``."""
    if not track:
        return []
    from traintwice.integrations.trackers import tracker_of

    return [tracker_of(text) for text in track]


def report_replicas(path: Path, study: str | None, report: Path | None, *, json: bool) -> None:
    """`traintwice report` of the last study of a function or command in a directory."""
    from traintwice.replication._study import stored

    if study is not None:
        raise BadSpec(f"--study {study}: {path} holds replicas of a function or command, which have no name; leave --study out")
    _show(stored(path), report, json=json)


def _show(found: Replication, report: Path | None, *, json: bool, served: Against | None = None) -> None:
    """Print the table and the comparisons, or all as JSON; write the report."""
    from traintwice.errors import TooFewReplicas

    if json:
        output.show_json({**found.to_dict(), **({} if served is None else {"against_served": served.to_dict()})})
    else:
        output.show_sheet(found.sheet())
        try:
            for comparison in found.compare().values():
                output.show("\n")
                output.show_sheet(comparison.sheet())
        except TooFewReplicas as reason:
            output.show(f"\nNo comparison: {reason}\n")
        if served is not None:
            output.show("\n")
            output.show_sheet(served.sheet())
    if report is not None:
        output.show_page(found.report(report, against=served), wanted=not json)
