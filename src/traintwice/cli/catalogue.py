"""What `list` and `show` print: everything that has a name, with its own docstring."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console
from rich.table import Table
from rich.text import Text

from traintwice import metrics, specs
from traintwice.averaging import Averaging
from traintwice.cli.evidence import evidence_of
from traintwice.controls import CONTROLS
from traintwice.data import Source
from traintwice.errors import BadInput, unknown
from traintwice.losses import Loss
from traintwice.methods import BUILDERS, Method, ensemble
from traintwice.nets import Network
from traintwice.optimizers import Optimizer
from traintwice.papers import ARTEFACTS, SCALES, Artefact
from traintwice.presets import PRESETS
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import Schedule
from traintwice.study import Experiment, cautions


def catalogue() -> dict[str, dict[str, Any]]:
    """Group to name to object."""
    return {
        "studies": dict(PRESETS),
        "papers": dict(ARTEFACTS),
        "methods": dict(BUILDERS),
        "controls": dict(CONTROLS),
        "losses": specs.FAMILIES[Loss],
        "measures": {metric.__name__: metric for metric in metrics.ALL},
        "networks": specs.FAMILIES[Network],
        "averaging": specs.FAMILIES[Averaging],
        "optimisers": specs.FAMILIES[Optimizer],
        "schedules": specs.FAMILIES[Schedule],
        "data": specs.FAMILIES[Source],
    }


def first_line(named: Any) -> str:
    """The first sentence of an object's docstring."""
    return text_of(named).split("\n\n")[0].replace("\n", " ")


def text_of(named: Any) -> str:
    """An object's docstring; of a table of a paper, its title; of a study on one of several data sets, that of the study."""
    if isinstance(named, Artefact):
        return named.title
    return inspect.getdoc(named.func if isinstance(named, partial) else named) or ""


def print_list(console: Console, *, as_json: bool) -> None:
    """Every name with one line."""
    groups = catalogue()
    if as_json:
        listed = {group: {name: first_line(named) for name, named in members.items()} for group, members in groups.items()}
        print(json.dumps({"schema": 1, **listed}, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for group, members in groups.items():
        table.add_row(f"[bold]{group}[/bold]", "")
        for name, named in members.items():
            table.add_row(f"  {name}", first_line(named).replace("[", r"\["))
        table.add_row("", "")
    console.print(table)
    console.print("`traintwice show NAME` says more; `traintwice run STUDY` runs a study.")


def print_one(console: Console, name: str, *, toml: bool, as_json: bool) -> None:
    """What a name stands for.

    Raises:
        UnknownName: nothing answers to it.
    """
    if name.endswith(".toml"):
        _print_study(console, Experiment.read(Path(name)), "", toml=toml, as_json=as_json)
        return
    groups = catalogue()
    found = {group: members[name] for group, members in groups.items() if name in members}
    if not found:
        raise unknown("thing", name, [n for members in groups.values() for n in members])
    for group, named in found.items():
        text = text_of(named)
        if isinstance(named, Artefact):
            _print_artefact(named, as_json=as_json)
        elif group == "studies":
            _print_study(console, named(), text, toml=toml, as_json=as_json)
        elif group == "methods":
            _print_method(name, named(), text, toml=toml, as_json=as_json)
        elif group == "controls" and not as_json:
            _print_control(name, text)
        elif as_json:
            print(json.dumps({"schema": 1, "name": name, "group": group, "text": text}, ensure_ascii=False))
        else:
            print(f"{name} ({group})\n\n{text}")


def _print_study(console: Console, experiment: Experiment, text: str, *, toml: bool, as_json: bool) -> None:
    if toml:
        print(experiment.to_toml(), end="")
    elif as_json:
        warnings = [asdict(caution) for caution in cautions(experiment, classes=_classes(experiment))]
        print(json.dumps({**experiment.to_dict(), "warnings": warnings}, ensure_ascii=False))
    else:
        size = f"{experiment.replicas} replicas of {len(experiment.rows)} recipes, seed {experiment.seed}"
        console.print(f"[bold]{experiment.name}[/bold]: {size}\n", highlight=False)
        if text:
            console.print(text.replace("[", r"\[") + "\n")
        base = experiment.rows[experiment.baseline]
        try:
            data, missing = experiment.data.load(), ""
        except BadInput as reason:  # its files are not here; all but the costs can be shown
            data, missing = None, str(reason)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for title in ("recipe", "train", "serve", "changes"):
            table.add_column(title, overflow="fold")
        changes = experiment.to_dict()["rows"]
        for row, recipe in experiment.rows.items():
            costs = ("–", "–")
            if data is not None:
                cost = recipe.cost(base, data.shape, data.classes)
                costs = (f"{cost.train:.3g}x", f"{cost.serve:.3g}x")
            changed = ", ".join(f"{key} = {getattr(recipe, key)!r}" for key in changes[row])
            table.add_row(Text(row), *costs, Text(changed or "–"))
        console.print(table)
        for caution in cautions(experiment, classes=None if data is None else data.classes):
            console.print(f"\nNote, {caution}", highlight=False, markup=False)
        if missing:
            console.print(f"\nNote, {missing}", highlight=False, markup=False)
        console.print(f"\n`traintwice show {experiment.name} --toml` prints every setting.")


def _classes(experiment: Experiment) -> int | None:
    try:
        return experiment.data.load().classes
    except BadInput:  # its files are not here
        return None


def _print_artefact(artefact: Artefact, *, as_json: bool) -> None:
    scales: dict[str, dict[str, dict[str, Any]]] = {
        scale: {
            part.name: {
                "heading": part.heading,
                "replicas": part.replicas,
                "rows": list(part.rows({})),
                "optional": part.optional,
            }
            for part in parts
        }
        for scale in SCALES
        for parts in [artefact.parts(scale)]
    }
    if as_json:
        print(json.dumps({"schema": 1, "name": artefact.name, "title": artefact.title, "scales": scales}, ensure_ascii=False))
        return
    print(f"{artefact.name}\n\n{artefact.title}")
    for scale, parts in scales.items():
        print(f"\n--scale {scale}")
        for name, part in parts.items():
            where = " (where its files are)" if part["optional"] else ""
            print(f"  --part {name}: {part['heading']}{where}, {part['replicas']} replicas of {'; '.join(part['rows'])}")
        if not parts:
            print("  drawn from a formula; nothing is trained")
        for line in evidence_of(artefact.name, scale):
            print(f"  {line}")


def _print_method(name: str, method: Method, text: str, *, toml: bool, as_json: bool) -> None:
    plain = specs.encode(method)
    cost = _example_of(name, method).cost(Recipe(), (1,), 2)
    if toml:
        print(tomli_w.dumps({"method": plain}), end="")
    elif as_json:
        costs = {"train": cost.train, "serve": cost.serve}
        print(json.dumps({"schema": 1, "name": name, "method": plain, **costs, "text": text}, ensure_ascii=False))
    else:
        parameters = ", ".join(f"{p.name}={p.default!r}" for p in inspect.signature(BUILDERS[name]).parameters.values())
        print(f"{name}({parameters})\n\n{text}\n\nAs it stands: {method!r}")
        print(f"Cost: {cost.train:.3g}x to train, {cost.serve:.3g}x to serve.")
        for warning in method.warnings():
            print(f"Note: {warning}.")
        print(f'In a study\'s file: method = {{ builder = "{name}" }}')


def _print_control(name: str, text: str) -> None:
    base, *own = inspect.signature(CONTROLS[name]).parameters.values()
    parameters = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in (base, *own)]
    print(f"{name}({', '.join(parameters)})\n\n{text}\n")
    settings = "".join(f", {p.name} = ..." for p in own if p.default is p.empty)
    value = f'{{ builder = "{name}"{settings} }}' if settings else f'"{name}"'
    print(f"In a row of a study's file: control = {value}")


def _example_of(name: str, method: Method) -> Recipe:
    """A recipe with the method: with an ensemble of two to learn from, or the deployed model, where it needs a teacher."""
    if "teacher" not in method.needs:
        return Recipe(method=method)
    if name == "ensemble_distillation":
        return Recipe(method=method, teacher=Earlier(Recipe(method=ensemble(2))))
    return Recipe(method=method, teacher=Earlier(Recipe(), replica="first"))
