"""Finding, training and loading of studies, for `run`, `report`, `check`, `export` and `predict`."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from traintwice._files import TEMPORARY, write_whole
from traintwice._processes import Started
from traintwice._user_code import allow_imports, named_code
from traintwice.cli._progress import progress_for
from traintwice.engine import Execution
from traintwice.errors import BadSpec, StoreError, unknown
from traintwice.presets import PRESETS, CompositeStudy, StudyOfExperiments
from traintwice.presets._plugins import OWN_PACKAGE, NamedStudy, installed_studies
from traintwice.specs import decode
from traintwice.study import Chain, Every, Experiment, Plan, Results, Store, cautions, gather, prepare, train_missing

REPRODUCTION = "traintwice-reproduction"
NOT_INSTALLED = (
    f"The tables and studies of the papers, such as ad.table1, need the package {REPRODUCTION}: "
    "pip install ./reproduction in the repository of traintwice."
)


def find(study: str, *, settings: list[str], **explicit: Any) -> Experiment | CompositeStudy:
    """The study that the arguments of `run` describe.

    Args:
        study: name or TOML file.
        settings: ``KEY=VALUE`` of ``--set``.
        explicit: options ``replicas``, ``seed``, ``name``, ``scale`` and ``parts``; None or an empty list where the user gave none.
    Raises:
        UnknownName: no such study. BadSpec: the file, a setting or a plug-in is wrong, or the study does not have an option.
    """
    explicit = {key: value for key, value in explicit.items() if value not in (None, [])}
    found = Experiment.read(Path(study)) if study.endswith(".toml") or _is_file(study) else named(study).make()
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
    """The experiment of a name or TOML file.

    Raises:
        UnknownName: no such study. BadSpec: as `find`, or a composite study.
    """
    found = find(study, settings=settings, seed=seed)
    if not isinstance(found, Experiment):
        raise BadSpec(f"{study} is a composite study, expected one experiment")
    return found


def named(name: str) -> NamedStudy:
    """The study of a name, of this package or of a plug-in.

    Raises:
        UnknownName: no such study. BadSpec: two plug-ins have a study of that name.
    """
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


def _is_file(study: str) -> bool:
    return study not in PRESETS and Path(study).is_file()


def execution_of(*, engine: str, device: str, precision: str, jobs: int | None = None) -> Execution:
    """The execution that the options of the command line describe.

    Raises:
        BadSpec: an option has a value outside its range.
    """
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
        progress_for(experiment.replicas, plan, {row: [key] for row, key in plan.keys.items()}, quiet=quiet) as progress,
        closing(train_missing(experiment, data, store, plan, checkpoint=every, started=started)) as finishing,
    ):
        for finished in finishing:
            progress.advance(finished.task.key)
            if finished.note:
                notes.append(f"{finished.task.row}, replica {finished.task.replica}: {finished.note}")
    for note in notes:
        print(f"traintwice: {note}", file=sys.stderr)
    return gather(experiment, store, data)


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
    """The results of a study from its store alone; code that the study names is imported only with ``trust``.

    Raises:
        BadInput: the study names code, and ``trust`` is False.
        StoreError: no store, replicas missing, or several studies and no name. UnknownName: no such study.
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
    if trust:
        show_code(experiment)
    return gather(experiment, store, experiment.data.load())


def check_writable(out: Path) -> None:
    """Check before training that a report can be written.

    Raises:
        StoreError: the directory cannot be created or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f"{TEMPORARY}probe"
        write_whole(probe, b"")
        probe.unlink()
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written there ({error.strerror}); choose another --report") from None
