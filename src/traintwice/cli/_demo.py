"""`traintwice demo`: two small models of real data, their files, the comparison and its page, in seconds."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from traintwice._files import write_whole
from traintwice.cli import _output as output
from traintwice.errors import BadInput, StoreError

FOLDER = Path("traintwice-demo")
FILES = ("old.csv", "new.csv", *(f"again{k}.csv" for k in range(5)), "report.html")

RETRAINS = 5
FIRST_TEST_MONTH = 9
HIDDEN, EPOCHS, BATCH, RATE = 32, 12, 32, 0.4
NAMES = ("carrier", "origin", "dest")
GROUPS = ("month", *NAMES)
WEATHER = ("temp", "wind_speed", "log_rain", "visib")


def demo(
    what: Annotated[Literal["diff"], typer.Argument(help="What is shown: the comparison of two models.")] = "diff",
    out: Annotated[Path, typer.Option(help="Directory for the files.")] = FOLDER,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write the HTML page too (extra report).")] = True,
) -> None:
    """Train small models of real flights, write their predictions, compare them, write the page."""
    _check_folder(out)
    rows = _train_and_write(out)
    folder = f"./{out}" if str(out).startswith("-") else str(out)
    again = f"{escape(folder)}/again*.csv"
    words = ["traintwice", "diff", f"{folder}/old.csv", f"{folder}/new.csv", "--floor", again, "--by", "origin"]
    can = all(find_spec(module) is not None for module in ("altair", "vl_convert"))
    words += ["--report", f"{folder}/report.html"] if page and can else []
    output.show(
        f"{out}: predictions of {rows:,} flights (is it late?) by a model trained on January to August (old.csv), by five retrains of it "
        "with other seeds\n(again0.csv …) and by one that also knows the weather (new.csv). The command, to run again:\n\n"
        f"  {shlex.join(words)}\n\n"
    )
    from typer.main import get_command

    from traintwice.cli._app import app

    get_command(app).main(words[1:], "traintwice", standalone_mode=False)
    if page and not can:
        output.show("\nThe HTML page needs the extra report: pip install 'traintwice[report]'\n")
    output.show(f"\nNext: traintwice {shlex.join(['gate', *words[2:6]])} --max churn/floor=1.5\n")


def _check_folder(out: Path) -> None:
    """Raise before the work if the directory holds files that are not of a demo."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out}: is not a directory; choose another --out")
    other = sorted(entry.name for entry in out.iterdir() if entry.name not in FILES) if out.exists() else []
    if other:
        raise BadInput(f"{out}: has files that no demo wrote (first: {other[0]}); choose another --out")


def _train_and_write(out: Path) -> int:
    """Train the old model, its retrains and the new model, and write their predictions of the last months; rows of each file."""
    from traintwice.data._packaged import flights_sample

    flights = flights_sample()
    test = flights["month"] >= FIRST_TEST_MONTH
    plain, known = (_inputs(flights, names, test) for names in ((), WEATHER))
    late = flights["late"].astype(np.float64)
    models = {"old": (plain, 0), "new": (known, 1), **{f"again{k}": (plain, 2 + k) for k in range(RETRAINS)}}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (inputs, seed) in models.items():
            score = _score(inputs[~test], late[~test], inputs[test], seed)
            columns = [flights["flight"][test], score, flights["late"][test], *(flights[n][test] for n in GROUPS)]
            rows = (f"{i},{p:.6f},{y},{','.join(map(str, groups))}" for i, p, y, *groups in zip(*columns, strict=True))
            write_whole(out / f"{name}.csv", "\n".join([f"id,p,y,{','.join(GROUPS)}", *rows, ""]).encode())
    except OSError as error:
        raise StoreError(
            f"{out}: the files of the demo cannot be written there ({error.strerror}); choose another --out"
        ) from None
    return int(test.sum())


def _inputs(flights: Mapping[str, np.ndarray], weather: Sequence[str], test: np.ndarray) -> np.ndarray:
    """Columns of a network: hour and month as waves, distance, carrier, origin and dest as 0 and 1, and the weather."""
    waves = [f(2 * np.pi * flights[name] / n) for name, n in (("hour", 24), ("month", 12)) for f in (np.sin, np.cos)]
    of_names = [flights[name] == value for name in NAMES for value in sorted(set(flights[name]))]
    numbers = np.stack([*waves, *(flights[name] for name in ("log_distance", *weather))], axis=1).astype(np.float64)
    mean, spread = np.nanmean(numbers[~test], axis=0), np.nanstd(numbers[~test], axis=0)
    return np.concatenate([np.nan_to_num((numbers - mean) / spread), np.stack(of_names, axis=1)], axis=1)


def _score(inputs: np.ndarray, late: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities of a network with one hidden layer, trained by SGD; the seed gives its weights and the order of rows."""
    rng = np.random.default_rng(seed)
    first = rng.normal(scale=inputs.shape[1] ** -0.5, size=(inputs.shape[1], HIDDEN))
    last, shift, bias = rng.normal(scale=HIDDEN**-0.5, size=HIDDEN), np.zeros(HIDDEN), 0.0
    for epoch in range(EPOCHS):
        rate = RATE * (1 - 0.9 * epoch / EPOCHS)
        order = rng.permutation(len(inputs))
        for rows in (order[start : start + BATCH] for start in range(0, len(order), BATCH)):
            hidden = np.maximum(inputs[rows] @ first + shift, 0)
            error = (1 / (1 + np.exp(-(hidden @ last + bias))) - late[rows]) / len(rows)
            back = np.outer(error, last) * (hidden > 0)
            last, bias = last - rate * hidden.T @ error, bias - rate * error.sum()
            first, shift = first - rate * inputs[rows].T @ back, shift - rate * back.sum(axis=0)
    found: np.ndarray = 1 / (1 + np.exp(-(np.maximum(test @ first + shift, 0) @ last + bias)))
    return found
