"""``python -m traintwice_reproduction``: run the studies of the pages, and keep their results; the site is made from these."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from traintwice.engine import Execution
from traintwice.errors import TraintwiceError, unknown
from traintwice.presets import digits
from traintwice.study import add_to_bank, run
from traintwice_reproduction import kept, pictures
from traintwice_reproduction.pages import clicks, comparing, methods, methods_results, speed, tables
from traintwice_reproduction.studies import choices, chosen, evidence, methods_digits
from traintwice_reproduction.tables import ARTEFACTS, reproduce

app = typer.Typer(
    help="Run the studies of the pages and keep their results; `make docs` makes the pages from these.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

StorePath = Annotated[Path, typer.Option("--store", help="Directory of trained replicas.")]
Date = Annotated[str, typer.Option(help="Date of the run.", default_factory=lambda: datetime.date.today().isoformat())]
Names = Annotated[list[str], typer.Argument(help="Names as in `traintwice list`.")]
STORE = kept.ROOT / "traintwice-runs"


@app.command()
def refresh(date: Date, store: StorePath = STORE) -> None:
    """Run the studies `digits`, `methods-digits` and `flights` and keep their results."""
    kept.keep(methods_results.DIGITS, methods_results.of_digits(run(digits(), store=store), date))
    kept.keep(methods.RESULTS, methods_results.summary(run(methods_digits(), store=store), date))
    kept.keep(clicks.RESULTS, clicks.summary(run(clicks.study(), store=store), date))


@app.command(name="findings")
def run_findings(names: Names, date: Date, store: StorePath = STORE) -> None:
    """Run studies of the claims and keep their results."""
    for name in names:
        if name not in comparing.NAMES:
            raise unknown("study of claims", name, comparing.NAMES)
    for name in names:
        results = run(comparing.study_of(name), store=store)
        kept.keep(comparing.FOLDER / f"{name}.json", comparing.summary(results, comparing.family_of(name), date))


@app.command(name="evidence")
def run_evidence(
    names: Annotated[list[str], typer.Argument(help=f"Some of {', '.join(evidence.EVIDENCE)}.")],
    date: Date,
    store: StorePath = STORE,
    row: Annotated[list[str] | None, typer.Option(help="A recipe, the baseline first; repeat for more. All by default.")] = None,
    replicas: Annotated[int | None, typer.Option(min=2, help="Trainings of each recipe; by default those of the study.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at a time; by default one for each core.")] = None,
) -> None:
    """Run studies of methods on real data; keep their results, and the rows of all but the largest in the bank."""
    for name in names:
        if name not in evidence.EVIDENCE:
            raise unknown("study of evidence", name, evidence.EVIDENCE)
    studies = {name: evidence.part(evidence.EVIDENCE[name](), row or (), replicas) for name in names}
    for name, study in studies.items():
        results = run(study, store=store, execution=Execution(jobs=jobs))
        kept.keep(evidence.FOLDER / f"{name}.json", evidence.summary(results, date))
        words = [name, *(f"--row {shlex.quote(r)}" for r in row or ()), *([f"--replicas {replicas}"] if replicas else [])]
        command = f"python -m traintwice_reproduction evidence {' '.join(words)}"
        if len(results.rows) * results.experiment.replicas * len(results.data.test) <= evidence.MOST_IN_BANK:
            add_to_bank(results, kept.BANK, name=name, command=command, replace=True)


@app.command(name="sst2")
def run_sst2(
    store: Annotated[Path, typer.Option("--store", help="Directory of the replicas; another one for --draws.")],
    date: Date,
    recipe: Annotated[
        list[str] | None, typer.Option(help="A recipe, the baseline first; repeat for more. All by default.")
    ] = None,
    draws: Annotated[bool, typer.Option("--draws", help="Each replica draws its own training sentences.")] = False,
    replicas: Annotated[int, typer.Option(min=2, help="Trainings of each recipe.")] = 10,
    sentences: Annotated[int, typer.Option(min=2, help="Training sentences of a replica, of 6,920.")] = 2_000,
    length: Annotated[int, typer.Option(min=4, help="Tokens of a sentence that are read.")] = 48,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at a time; by default one for each core.")] = None,
) -> None:
    """Fine-tune a sentence encoder on SST-2; keep the results and put the rows into the bank (needs transformers and an encoder)."""
    from traintwice_reproduction.studies import sst2_results
    from traintwice_reproduction.studies.sst2 import RECIPES, sst2

    recipes = recipe or list(RECIPES)
    found = sst2(store=store, recipes=recipes, draws=draws, replicas=replicas, jobs=jobs, sentences=sentences, length=length)
    typer.echo(found)
    name = f"sst2{'-draws' * draws}"
    kept.keep(evidence.FOLDER / f"{name}.json", sst2_results.summary(found, name, date))
    options = {"replicas": replicas, "sentences": sentences, "length": length}
    words = [
        *(f"--recipe {r}" for r in recipe or ()),
        *["--draws"] * draws,
        *(f"--{key} {value}" for key, value in options.items()),
    ]
    sst2_results.add_to_bank(found, name, " ".join(["python -m traintwice_reproduction sst2", *words]))


@app.command(name="tables")
def run_tables(names: Names, date: Date, store: StorePath = STORE) -> None:
    """Run tables and figures at small scale and keep their results."""
    for name in names:
        if name not in ARTEFACTS:
            raise unknown("table or figure", name, ARTEFACTS)
    for name in names:
        start = time.monotonic()
        done = reproduce(ARTEFACTS[name], store=store)
        kept.keep(tables.FOLDER / f"{name}.small.json", tables.evidence(done, time.monotonic() - start, date))


@app.command(name="speed")
def keep_speed(files: Annotated[list[Path], typer.Argument(help="Output of benchmarks/engine.py --json.")], date: Date) -> None:
    """Keep measurements of the engine benchmark."""
    found = kept.read(speed.RESULTS) if speed.RESULTS.exists() else {}
    for path in files:
        found |= speed.taken(json.loads(path.read_text()), date)
    kept.keep(speed.RESULTS, kept.rounded({name: found[name] for name in speed.NETWORKS if name in found}))


@app.command(name="choices")
def run_choices(names: Names, date: Date, store: StorePath = STORE) -> None:
    """Train candidate settings on other replicas, keep their validation measures and the chosen values."""
    for name in names:
        if name not in choices.CHOICES:
            raise unknown("choice", name, choices.CHOICES)
    for name in names:
        choice = choices.CHOICES[name]()
        kept.keep(chosen.FOLDER / f"{name}.json", choices.summary(choice, run(choice.experiment, store=store), date))


@app.command(name="site")
def write_site(folder: Annotated[Path, typer.Argument(help="Folder to write anew.")] = kept.ROOT / "build" / "site") -> None:
    """Write the Markdown of the documentation site, from docs/, the docstrings, the command line and the kept results."""
    from traintwice_reproduction.site.writing import write

    typer.echo(f"{len(write(folder))} pages in {folder}")


@app.command(name="pictures")
def make_pictures(
    store: StorePath = STORE,
    replicas: Annotated[
        int, typer.Option(min=2, help="Of each recipe of the study `digits`; what the store lacks is trained.")
    ] = 10,
    browser: Annotated[str | None, typer.Option(help="Chromium; by default the first on the path.")] = None,
) -> None:
    """Make the pictures of docs/pictures from real runs: the terminal of the demonstration, the pages of a comparison and of a study."""
    for path in pictures.make(store, replicas, browser):
        typer.echo(f"{path}: {path.stat().st_size:,} bytes")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except TraintwiceError as error:
        print(f"traintwice_reproduction: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
