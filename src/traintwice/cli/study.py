"""What `run` and `report` do, but for showing what came out."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from traintwice.cli.progress import progress_for
from traintwice.engine import Execution
from traintwice.errors import BadSpec, StoreError, unknown
from traintwice.files import TEMPORARY, write_whole
from traintwice.presets import PRESETS
from traintwice.processes import Started
from traintwice.specs import decode
from traintwice.study import Every, Experiment, Plan, Results, Store, cautions, gather, prepare, train_missing


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
        from traintwice.papers import ARTEFACTS

        raise unknown("study", study, [*PRESETS, *ARTEFACTS], hint="A file's name must end in .toml.")
    plain = experiment.override(settings).to_dict()
    given = {"replicas": replicas, "seed": seed, "name": name}
    return Experiment.from_dict({**plain, **{key: value for key, value in given.items() if value is not None}})


def execution_of(*, engine: str, device: str, precision: str, jobs: int | None = None) -> Execution:
    """The execution that the options of the command line describe.

    Raises:
        BadSpec: an option has a value that it cannot have.
    """
    try:
        return decode(Execution, {"engine": engine, "device": device, "precision": precision, "jobs": jobs})
    except BadSpec as error:
        raise BadSpec(f"--{error}") from None  # the message starts with the name of the option


def is_of_a_paper(study: str, *, scale: str | None, parts: list[str], settings: list[str], name: str | None) -> bool:
    """Whether the argument of `run` is a table or figure of a paper.

    Raises:
        BadSpec: an option that only the other kind of study has.
    """
    from traintwice.papers import ARTEFACTS

    if study not in ARTEFACTS:
        if scale is not None or parts:
            given = "--part" if parts else "--scale"
            raise BadSpec(f"{given}: {study} is no table or figure of a paper; those are {', '.join(ARTEFACTS)}")
        return False
    if settings or name is not None:
        given = "--set" if settings else "--name"
        raise BadSpec(f"{given}: {study} is run as it stands; `traintwice show STUDY --toml` gives a study to edit")
    return True


def train(
    experiment: Experiment,
    path: Path,
    *,
    execution: Execution,
    mix_numerics: bool,
    save_weights: bool,
    quiet: bool,
    checkpoint_seconds: float = 60.0,
    started: list[Started] | None = None,
) -> Results:
    """Train what is missing, with progress on standard error, and gather; ``started`` are workers that wait already."""
    store = Store(path)
    data = experiment.data.load()
    made = prepare(experiment, data, store, mix_numerics=mix_numerics, save_weights=save_weights, execution=execution)
    if not quiet:
        for caution in cautions(experiment, classes=data.classes):
            print(f"note, {caution}", file=sys.stderr)
        for line in engines_in_words(made, experiment.replicas):
            print(line, file=sys.stderr)
    for damage in made.damaged:
        print(
            f"traintwice: {store.folder(damage.key)}: {damage.reason}; training replica {damage.replica} again", file=sys.stderr
        )
    notes: list[str] = []
    every = Every(checkpoint_seconds)
    with (
        progress_for(experiment, made, quiet=quiet) as progress,
        closing(train_missing(experiment, data, store, made, checkpoint=every, started=started)) as news,
    ):
        for finished in news:
            progress.advance(finished.task.key)
            if finished.note:
                notes.append(f"{finished.task.row}, replica {finished.task.replica}: {finished.note}")
    for note in notes:
        print(f"traintwice: {note}", file=sys.stderr)
    return gather(experiment, store, data)


def engines_in_words(made: Plan, replicas: int) -> list[str]:
    """What trains the missing replicas, and why; rows are named where not all are trained alike."""
    at_once = {task.row: min(task.at_once, replicas) for task in made.missing}
    said: dict[str, list[str]] = {}
    for row, choice in made.engines.items():
        if row in at_once:
            many = f"{at_once[row]} replicas at once" if at_once[row] > 1 else "one replica at a time"
            said.setdefault(f"engine: {choice.engine}, {many}: {choice.reason}", []).append(row)
    return [line if len(said) == 1 else f"{line} ({', '.join(rows)})" for line, rows in said.items()]


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
