"""What `run` and `report` do."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

from rich.console import Console

from traintwice import report as reports
from traintwice.cli.progress import progress_for
from traintwice.errors import StoreError, unknown
from traintwice.files import TEMPORARY, write_whole
from traintwice.presets import PRESETS
from traintwice.study import (
    Every,
    Experiment,
    Results,
    Store,
    gather,
    prepare,
    source_shares,
    stream_findings,
    train_missing,
    verdict,
)
from traintwice.tables import Table

FIRST_COLUMNS = ("accuracy", "churn", "churn_to_error", "train", "serve")


def find(study: str, *, replicas: int | None, seed: int | None, settings: list[str], name: str | None) -> Experiment:
    """The experiment that the arguments of `run` describe.

    Raises:
        UnknownName: no such preset. BadSpec: the file or a setting is wrong.
    """
    if study in PRESETS:
        experiment = PRESETS[study]()
    elif study.endswith(".toml") or Path(study).is_file():
        experiment = Experiment.read(Path(study))
    else:
        raise unknown("study", study, PRESETS, hint="A file's name must end in .toml.")
    plain = experiment.override(settings).to_dict()
    given = {"replicas": replicas, "seed": seed, "name": name}
    return Experiment.from_dict({**plain, **{key: value for key, value in given.items() if value is not None}})


def train(
    experiment: Experiment,
    path: Path,
    *,
    jobs: int | None,
    mix_numerics: bool,
    save_weights: bool,
    quiet: bool,
    checkpoint_seconds: float = 60.0,
) -> Results:
    """Train what is missing, with progress on standard error, and gather."""
    store = Store(path)
    data = experiment.data.load()
    made = prepare(experiment, data, store, mix_numerics=mix_numerics, save_weights=save_weights)
    if not quiet:
        for row, recipe in experiment.rows.items():
            for warning in recipe.method.warnings(classes=data.classes):
                print(f"note, {row}: {warning}", file=sys.stderr)
    for damage in made.damaged:
        print(
            f"traintwice: {store.folder(damage.key)}: {damage.reason}; training replica {damage.replica} again", file=sys.stderr
        )
    notes: list[str] = []
    with (
        progress_for(experiment, made, quiet=quiet) as progress,
        closing(train_missing(experiment, data, store, made, jobs=jobs, checkpoint=Every(checkpoint_seconds))) as news,
    ):
        for finished in news:
            progress.advance(finished.task.key)
            if finished.note:
                notes.append(f"{finished.task.row}, replica {finished.task.replica}: {finished.note}")
    for note in notes:
        print(f"traintwice: {note}", file=sys.stderr)
    return gather(experiment, store, data)


def load(path: Path, name: str | None) -> Results:
    """The results of a study from its store alone.

    Raises:
        StoreError: no store, no such study, several and none named, or replicas missing.
    """
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
    return gather(experiment, store, experiment.data.load())


def check_writable(out: Path) -> None:
    """Raise before anything is trained where a report could not be written in the end.

    Raises:
        StoreError: the directory cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f"{TEMPORARY}probe"
        write_whole(probe, b"")
        probe.unlink()
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written there ({error.strerror}); choose another --report") from None


def show_results(results: Results, out: Path | None, *, as_json: bool) -> None:
    """Print table and findings, then write the report where one is wanted and print its path; or JSON alone."""
    if as_json:
        print(json.dumps(reports.plain(results), ensure_ascii=False, allow_nan=False))
    else:
        _print_results(results)
    if out is not None:
        index = reports.write(results, out)
        if not as_json:
            print(f"\nReport: {index}")


def _print_results(results: Results) -> None:
    console = Console(highlight=False, markup=False)
    table = results.table()
    console.print(table.title, style="bold")
    for part in table.split(console.width, first=FIRST_COLUMNS):
        console.print()
        console.print(part.to_rich())
    console.print()
    for note in table.notes:
        console.print(note, style="dim")
    stream = stream_findings(results)
    for further in (source_shares(results), *(() if stream is None else (stream.table, stream.baseline_over_time))):
        if further is not None:
            _print_further(console, further)
    console.print()
    if stream is not None:
        for sentence in stream.sentences:
            console.print(sentence)
        console.print()
    for sentence in reports.sentences(verdict(results), results):
        console.print(sentence)


def _print_further(console: Console, table: Table) -> None:
    console.print()
    console.print(table.title, style="bold")
    for part in table.split(console.width):
        console.print(part.to_rich())
    for note in table.notes:
        console.print(note, style="dim")
