"""Finding, training, loading and showing of studies, for the verbs that need PyTorch; imported when one of them runs."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable
from rich.text import Text

from traintwice import report as reports
from traintwice._files import TEMPORARY, write_whole
from traintwice._processes import Started
from traintwice._user_code import allow_imports, named_code
from traintwice.cli import _output as output
from traintwice.engine import Execution
from traintwice.errors import BadSpec, StoreError, unknown
from traintwice.presets import PRESETS, CompositeStudy, StudyOfExperiments
from traintwice.presets._studies import OWN_PACKAGE, NamedStudy, installed_studies
from traintwice.report._findings import choose, in_words
from traintwice.served import Logged
from traintwice.specs import decode
from traintwice.study import (
    Chain,
    Every,
    Experiment,
    Plan,
    Results,
    Store,
    cautions,
    component_table,
    gather,
    prepare,
    progressive_findings,
    source_shares,
    train_missing,
    verdict,
)
from traintwice.study._determinism import Audit
from traintwice.tables import Table

FIRST_COLUMNS = ("accuracy", "churn", "churn_to_error", "train", "serve")

Advance = Callable[[str], None]
"""Counts a replica of a digest as finished."""

STUDY_SECONDS = 10
"""Without a terminal: time between two lines of progress of a study."""

REPRODUCTION = "traintwice-reproduction"
NOT_INSTALLED = (
    f"The tables and studies of the papers, such as ad.table1, need the package {REPRODUCTION}: "
    "pip install ./reproduction in the repository of traintwice."
)


def find(study: str, *, settings: list[str], **explicit: Any) -> Experiment | CompositeStudy:
    """The study that the arguments of `run` describe: name or TOML file, ``KEY=VALUE`` of ``--set``, and explicit options."""
    explicit = {key: value for key, value in explicit.items() if value not in (None, [])}
    is_file = study.endswith(".toml") or (study not in PRESETS and Path(study).is_file())
    found = Experiment.read(Path(study)) if is_file else named(study).make()
    if not isinstance(found, Experiment):
        if (settings and not isinstance(found, StudyOfExperiments)) or "name" in explicit:
            option = "--name" if "name" in explicit else "--set"
            raise BadSpec(f"{option}: {study} is a composite study, whose settings are fixed")
        return found
    for key, option in (("parts", "--part"), ("scale", "--scale")):
        if key in explicit:
            raise BadSpec(f"{option}: {study} is one experiment, which has neither parts nor scales")
    return Experiment.from_dict({**found.override(settings).to_dict(), **explicit})


def find_experiment(study: str, *, settings: list[str], seed: int | None) -> Experiment:
    """The experiment of a name or TOML file; a composite study is refused."""
    found = find(study, settings=settings, seed=seed)
    if not isinstance(found, Experiment):
        raise BadSpec(f"{study} is a composite study, expected one experiment")
    return found


def named(name: str) -> NamedStudy:
    """The study of a name, of this package or of a plug-in."""
    if name in PRESETS:  # without loading plug-ins
        return NamedStudy(name, OWN_PACKAGE, PRESETS[name])
    studies = installed_studies(PRESETS)
    if name in studies.refused:
        raise BadSpec(studies.refused[name])
    if name not in studies.by_name:
        hints = ["A file's name must end in .toml.", *studies.broken]
        if all(study.package != REPRODUCTION for study in studies.by_name.values()):
            hints.append(NOT_INSTALLED)
        raise unknown("study", name, studies.by_name, hint=" ".join(hints))
    return studies.by_name[name]


def execution_of(*, engine: str, device: str, precision: str, jobs: int | None = None) -> Execution:
    """The execution that the options of the command line describe."""
    try:
        return decode(Execution, {"engine": engine, "device": device, "precision": precision, "jobs": jobs})
    except BadSpec as error:
        raise BadSpec(f"--{error}") from None  # the message starts with the name of the option


def train(
    experiment: Experiment,
    path: Path,
    *,
    execution: Execution,
    mix_numerics: bool,
    mix_code: bool = False,
    save_weights: bool,
    quiet: bool,
    checkpoint_seconds: float = 60.0,
    started: list[Started] | None = None,
) -> Results:
    """Train the missing replicas with progress on standard error, and gather; ``started`` are worker processes started earlier."""
    show_code(experiment)
    store = Store(path)
    data = experiment.data.load()
    plan = prepare(
        experiment, data, store, mix_numerics=mix_numerics, mix_code=mix_code, save_weights=save_weights, execution=execution
    )
    if not quiet:
        for caution in cautions(experiment, classes=data.classes):
            print(f"note, {caution}", file=sys.stderr)
        for row, note in plan.notes.items():
            print(f"note, {row}: {note}", file=sys.stderr)
        for line in engines_in_words(plan, experiment.replicas):
            print(line, file=sys.stderr)
    for damage in plan.damaged:
        print(
            f"traintwice: {store.folder(damage.key)}: {damage.reason}; training replica {damage.replica} again", file=sys.stderr
        )
    notes: list[str] = []
    every = Every(checkpoint_seconds)
    with (
        progress_for(experiment.replicas, plan, {row: [key] for row, key in plan.keys.items()}, quiet=quiet) as advance,
        closing(train_missing(experiment, data, store, plan, checkpoint=every, started=started)) as finishing,
    ):
        for finished in finishing:
            advance(finished.task.key)
            if finished.note:
                notes.append(f"{finished.task.row}, replica {finished.task.replica}: {finished.note}")
    for note in notes:
        print(f"traintwice: {note}", file=sys.stderr)
    return gather(experiment, store, data)


@contextmanager
def progress_for(replicas: int, plan: Plan, shown: Mapping[str, Sequence[str]], *, quiet: bool) -> Iterator[Advance]:
    """A function that counts a replica of a digest as finished: bars on a terminal, lines elsewhere, nothing when quiet.

    ``shown`` has the digests that each bar counts; there are so many replicas of each digest.
    """
    console = Console(stderr=True)
    if quiet or not plan.missing:
        yield lambda key: None
    elif not console.is_terminal:
        yield _in_lines(replicas, plan)
    else:
        left = TimeRemainingColumn(elapsed_when_finished=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), MofNCompleteColumn(), left)
        with Progress(*columns, console=console) as bars:
            yield _in_bars(replicas, plan, shown, bars)


def _in_lines(replicas: int, plan: Plan) -> Advance:
    """A line every ten seconds, and one for each finished recipe."""
    left = Counter(task.key for task in plan.missing)
    total, started = len(plan.missing), time.monotonic()
    printed = started

    def advance(key: str) -> None:
        nonlocal printed
        left[key] -= 1
        now, remaining = time.monotonic(), left.total()
        if left[key] == 0:
            for row in (row for row, of_row in plan.keys.items() if of_row == key):
                print(f"{row}: {replicas}/{replicas} replicas after {now - started:.0f} s", file=sys.stderr, flush=True)
        elif now - printed >= STUDY_SECONDS:
            seconds = (now - started) / (total - remaining) * remaining
            print(f"{total - remaining} of {total} replicas, about {seconds:.0f} s left", file=sys.stderr, flush=True)
            printed = now

    return advance


def _in_bars(replicas: int, plan: Plan, shown: Mapping[str, Sequence[str]], bars: Progress) -> Advance:
    """A bar for each recipe, or each way of a chain, with the time left."""
    left = Counter(task.key for task in plan.missing)
    of_key: dict[str, list[TaskID]] = {}
    for name, keys in shown.items():
        total = replicas * len(keys)
        bar = bars.add_task(name, total=total, completed=total - sum(left[key] for key in keys))
        for key in keys:
            of_key.setdefault(key, []).append(bar)

    def advance(key: str) -> None:
        for bar in of_key.get(key, ()):  # earlier models have no bar
            bars.advance(bar)

    return advance


def engines_in_words(plan: Plan, replicas: int) -> list[str]:
    """The engine of the missing replicas and why it was chosen; rows are named where engines differ."""
    at_once = {task.row: min(task.at_once, replicas) for task in plan.missing}
    lines: dict[str, list[str]] = {}
    for row, choice in plan.engines.items():
        if row in at_once:
            many = f"{at_once[row]} replicas at once" if at_once[row] > 1 else "one replica at a time"
            lines.setdefault(f"engine: {choice.engine}, {many}: {choice.reason}", []).append(row)
    return [line if len(lines) == 1 else f"{line} ({', '.join(rows)})" for line, rows in lines.items()]


def show_code(made: Experiment | Chain, what: str = "study") -> None:
    """Allow the imports of a study or a chain, and print them on standard error."""
    allow_imports()
    for maker, setting in named_code(made.to_dict()):
        print(f"traintwice: imports the code that the {what} names: {maker} ({setting})", file=sys.stderr)


def load(path: Path, name: str | None, *, trust: bool) -> Results:
    """The results of a study from its store alone; code that the study names is imported only with ``trust``."""
    store = Store(path, create=False)
    names = store.studies()
    if name is None:
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise StoreError(f"{path}: holds {len(names)} studies ({listed}); choose one with --study")
        name = names[0]
    plain = store.study(name)
    if plain is None:
        raise unknown("study", name, names, hint=f"(in {path})")
    experiment = Experiment.from_dict(plain, source=f"{path}: study {name}")
    if trust:
        show_code(experiment)
    return gather(experiment, store, experiment.data.load())


def check_writable(out: Path) -> None:
    """Check before training that a report can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f"{TEMPORARY}probe"
        write_whole(probe, b"")
        probe.unlink()
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written there ({error.strerror}); choose another --report") from None


def show_results(results: Results, out: Path | None, *, as_json: bool, served: Logged | None = None) -> None:
    """Write the report into ``out``; print tables and findings with its path, or JSON alone."""
    against = None if served is None else results.against(served)
    index = None if out is None else reports.write(results, out, against=against)
    if as_json:
        print(json.dumps(reports.plain(results, against=against), ensure_ascii=False, allow_nan=False))
    else:
        print_results(Console(highlight=False, markup=False), results)
        if against is not None:
            output.show("\n")
            output.show_sheet(against.sheet())
    output.show_page(index, wanted=not as_json)


def print_results(console: Console, results: Results) -> None:
    """Print tables and sentences; for many rows one table, and only the sentences that the page does not fold."""
    found = verdict(results)
    choice = choose(found, tuple(results.rows))
    table = results.table()
    console.print(table.title, style="bold")
    parts = table.split(console.width, first=FIRST_COLUMNS)
    for part in parts[:1] if choice.many else parts:
        console.print()
        console.print(_in_columns(part))
    console.print()
    for note in table.notes:
        console.print(note, style="dim")
    _print_part(console, source_shares(results))
    stream = progressive_findings(results)
    if stream is not None:
        _print_part(console, stream.table)
        _print_part(console, stream.baseline_over_time)
        console.print()
        for text in stream.sentences:
            console.print(text)
    if not choice.many:
        _print_part(console, component_table(results))
    console.print()
    brief = [b.row for b in choice.briefly]
    for sentence in in_words(found, results):
        if sentence.kind == "terms" and brief:
            console.print(f"Also inconclusive: {'; '.join(brief)}.")
        if sentence.row not in brief:
            console.print(sentence.text)
    if choice.many:
        console.print("The other measures, all differences and the components of each recipe are in the report, and in --json.")


def _print_part(console: Console, table: Table | None) -> None:
    if table is None:
        return
    console.print()
    console.print(table.title, style="bold")
    for part in table.split(console.width):
        console.print(_in_columns(part))
    for note in table.notes:
        console.print(note, style="dim")


def _in_columns(table: Table) -> RichTable:
    """A table for the terminal. Long names are folded; square brackets in names are not markup."""
    columns = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    columns.add_column("", overflow="fold")
    for column in table.columns:
        columns.add_column(Text(column.title), justify="left" if column.unit == "text" else "right", no_wrap=True)
    for row, cells in zip(table.rows, table.strings(), strict=True):
        columns.add_row(*[Text(cell) for cell in [row.name, *cells]])
    return columns


def show_audit(found: Audit, what: str, *, as_json: bool) -> None:
    """Print whether the trainings of a recipe gave the same bits."""
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
        return
    console, n = Console(highlight=False), found.numerics
    console.print(f"{what}: one replica, every source of randomness fixed", style="bold")
    console.print(f"engine: {found.choice.engine}: {found.choice.reason}")
    console.print(f"{n.dtype}, {n.device}, {n.processor}, torch {n.torch}; first training: 1 thread, alone\n")
    for sentence in found.sentences():
        console.print(sentence)
