"""Everything that has a name, with its own docstring: output of `list` and `show`."""

from __future__ import annotations

import inspect
import json as to_json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tomli_w
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from traintwice.cli import _options as options
from traintwice.errors import BadInput, BadSpec, require, unknown
from traintwice.presets import PRESETS, CompositeStudy, StudyOfExperiments
from traintwice.presets._studies import OWN_PACKAGE, NamedStudy, installed_studies

if TYPE_CHECKING:
    from traintwice.methods import Method
    from traintwice.recipes import Recipe
    from traintwice.study import Experiment

NEEDS_TORCH = ("methods", "controls", "losses", "networks", "optimisers")
"""Groups whose members cannot be imported without PyTorch."""

Group = dict[str, Any]
"""Name to object."""


def catalogue() -> tuple[dict[str, Group], list[str]]:
    """Groups of everything that can be listed here, and a message for each thing that cannot."""
    from traintwice import averaging, data, metrics, schedules

    studies = installed_studies(PRESETS)
    problems = [*studies.broken, *studies.refused.values()]
    groups: dict[str, Group] = {"studies": dict(studies.by_name)}
    if find_spec("torch") is None:
        problems.append(f"{', '.join(NEEDS_TORCH)} are not listed; they need torch: pip install 'traintwice[torch]'")
    else:
        groups |= _torch_groups()
    groups |= {
        "measures": {metric.__name__: metric for metric in metrics.ALL},
        "averaging": _by_name(averaging.ALL),
        "schedules": _by_name(schedules.ALL),
        "data": _by_name(data.ALL),
    }
    return groups, problems


def _torch_groups() -> dict[str, Group]:
    """Groups of `NEEDS_TORCH`."""
    from traintwice import losses, nets, specs
    from traintwice.controls import CONTROLS
    from traintwice.methods import BUILDERS
    from traintwice.optimizers import Optimizer

    members = (dict(BUILDERS), dict(CONTROLS), _by_name(losses.ALL), _by_name(nets.ALL), dict(specs.FAMILIES[Optimizer]))
    return dict(zip(NEEDS_TORCH, members, strict=True))


def _by_name(members: tuple[type, ...]) -> Group:
    return {member.__name__: member for member in members}


def text_of(named: Any) -> str:
    """Docstring of an object; of a composite study, its title."""
    return named.doc if isinstance(named, NamedStudy) else inspect.getdoc(named) or ""


def first_line(named: Any) -> str:
    """First sentence of an object's docstring."""
    return text_of(named).split("\n\n")[0].replace("\n", " ")


def list_names(json: options.PlainJson = False) -> None:
    """List studies, methods, losses, measures, networks and data sets."""
    groups, problems = catalogue()
    studies: dict[str, NamedStudy] = groups["studies"]
    if json:
        listed = {group: {name: first_line(named) for name, named in members.items()} for group, members in groups.items()}
        packages = {name: study.package for name, study in studies.items()}
        print(to_json.dumps({"schema": 1, **listed, "packages": packages, "problems": problems}, ensure_ascii=False))
        return
    console = Console()
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for package in dict.fromkeys(study.package for study in studies.values()):
        title = "studies" if package == OWN_PACKAGE else f"studies of {package}"
        _add_group(table, title, {name: study for name, study in studies.items() if study.package == package})
    for group, members in groups.items():
        if group != "studies":
            _add_group(table, group, members)
    console.print(table)
    for problem in problems:
        console.print(f"Note: {problem}.", highlight=False, markup=False)
    console.print("`traintwice show NAME` prints the details; `traintwice run STUDY` runs a study.")


def _add_group(table: Table, title: str, members: Group) -> None:
    table.add_row(f"[bold]{title}[/bold]", "")
    for name, named in members.items():
        table.add_row(f"  {name}", first_line(named).replace("[", r"\["))
    table.add_row("", "")


def show(
    name: Annotated[str, typer.Argument(help="A name from `traintwice list`, or a TOML file.")],
    toml: Annotated[bool, typer.Option("--toml", help="The study as a TOML file, to edit and run.")] = False,
    json: options.PlainJson = False,
    scale: Annotated[str | None, typer.Option(help="With --toml: scale of a composite study.")] = None,
    parts: Annotated[list[str] | None, typer.Option("--part", help="With --toml: part of a composite study.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With --toml: change a setting, such as epochs=60.")
    ] = None,
) -> None:
    """Show what a name means: recipes of a study, formula and cost of a method, definition of a measure."""
    if (scale or parts or settings) and not toml:
        raise BadSpec("--scale, --part and --set choose the study files that --toml prints; add --toml")
    if name.endswith(".toml"):
        require("torch", extra="torch", purpose="a study")
        from traintwice.study import Experiment

        _expect_composite(name, scale, parts)
        _print_study(Experiment.read(Path(name)).override(list(settings or ())), "", toml=toml, as_json=json)
        return
    groups, problems = catalogue()
    found = {group: members[name] for group, members in groups.items() if name in members}
    if not found:
        hint = " ".join(f"({problem})" for problem in problems)
        raise unknown(
            "study, method, measure or other member", name, [n for members in groups.values() for n in members], hint=hint
        )
    for group, named in found.items():
        text = text_of(named)
        if isinstance(named, NamedStudy):
            require("torch", extra="torch", purpose="a study")
            made = named.make()
            if not isinstance(made, CompositeStudy):
                _expect_composite(name, scale, parts)
                _print_study(made.override(list(settings or ())), text, toml=toml, as_json=json)
            elif not toml:
                print(to_json.dumps({"schema": 1, **made.describe()}, ensure_ascii=False) if json else made.text())
            elif isinstance(made, StudyOfExperiments):
                for experiment in made.experiments(scale, tuple(parts or ()), tuple(settings or ())):
                    print(f"# {experiment.name}.toml\n\n{experiment.to_toml()}")
            else:
                raise BadSpec(f"--toml: {name} is a composite study, which has no TOML form")
        elif scale or parts or settings:
            raise BadSpec(f"--scale, --part and --set are of studies; {name} is one of the {group}")
        elif group == "methods":
            _print_method(name, named(), text, toml=toml, as_json=json)
        elif group == "controls" and not json:
            _print_control(name, text)
        elif json:
            print(to_json.dumps({"schema": 1, "name": name, "group": group, "text": text}, ensure_ascii=False))
        else:
            print(f"{name} ({group})\n\n{text}")


def _expect_composite(name: str, scale: str | None, parts: list[str] | None) -> None:
    """Raise `BadSpec` where scale or parts are given for one experiment."""
    if scale or parts:
        raise BadSpec(f"{'--scale' if scale else '--part'}: {name} is one experiment, which has neither parts nor scales")


def _print_study(experiment: Experiment, text: str, *, toml: bool, as_json: bool) -> None:
    from traintwice.study import cautions

    if toml:
        print(experiment.to_toml(), end="")
        return
    try:
        data, missing = experiment.data.load(), ""
    except BadInput as reason:  # the files are missing; all but the costs can be shown
        data, missing = None, str(reason)
    warnings = cautions(experiment, classes=None if data is None else data.classes)
    plain = experiment.to_dict()
    if as_json:
        print(to_json.dumps({**plain, "warnings": [asdict(warning) for warning in warnings]}, ensure_ascii=False))
        return
    console = Console()
    size = f"{experiment.replicas} replicas of {len(experiment.rows)} recipes, seed {experiment.seed}"
    console.print(f"[bold]{experiment.name}[/bold]: {size}\n", highlight=False)
    if text:
        console.print(text.replace("[", r"\[") + "\n")
    base = experiment.rows[experiment.baseline]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("recipe", "train", "serve", "changes"):
        table.add_column(title, overflow="fold")
    for row, recipe in experiment.rows.items():
        costs = ("–", "–")
        try:
            if data is not None:
                cost = recipe.cost(base, data.shape, data.classes)
                costs = (f"{cost.train:.3g}x", f"{cost.serve:.3g}x")
        except BadInput as reason:  # a network of code that is not imported
            missing = str(reason)
        changed = ", ".join(f"{key} = {getattr(recipe, key)!r}" for key in plain["rows"][row])
        table.add_row(Text(row), *costs, Text(changed or "–"))
    console.print(table)
    for note in (*warnings, *([missing] if missing else [])):
        console.print(f"\nNote, {note}", highlight=False, markup=False)
    console.print(f"\n`traintwice show {experiment.name} --toml` prints every setting.")


def _print_method(name: str, method: Method, text: str, *, toml: bool, as_json: bool) -> None:
    from traintwice import specs
    from traintwice.methods import BUILDERS
    from traintwice.recipes import Recipe

    plain = specs.encode(method)
    cost = _example_of(name, method).cost(Recipe(), (1,), 2)
    if toml:
        print(tomli_w.dumps({"method": plain}), end="")
    elif as_json:
        costs = {"train": cost.train, "serve": cost.serve}
        print(to_json.dumps({"schema": 1, "name": name, "method": plain, **costs, "text": text}, ensure_ascii=False))
    else:
        parameters = ", ".join(f"{p.name}={p.default!r}" for p in inspect.signature(BUILDERS[name]).parameters.values())
        print(f"{name}({parameters})\n\n{text}\n\nBy default: {method!r}")
        print(f"Cost: {cost.train:.3g}x to train, {cost.serve:.3g}x to serve.")
        for warning in method.warnings():
            print(f"Note: {warning}.")
        print(f'In a study\'s file: method = {{ builder = "{name}" }}')


def _print_control(name: str, text: str) -> None:
    from traintwice.controls import CONTROLS

    base, *own = inspect.signature(CONTROLS[name]).parameters.values()
    parameters = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in (base, *own)]
    print(f"{name}({', '.join(parameters)})\n\n{text}\n")
    settings = "".join(f", {p.name} = ..." for p in own if p.default is p.empty)
    value = f'{{ builder = "{name}"{settings} }}' if settings else f'"{name}"'
    print(f"In a row of a study's file: control = {value}")


def _example_of(name: str, method: Method) -> Recipe:
    """A recipe with the method: with an ensemble of two to learn from, or the deployed model, where it needs a teacher."""
    from traintwice.methods import ensemble
    from traintwice.recipes import Earlier, Recipe

    if "teacher" not in method.needs:
        return Recipe(method=method)
    if name == "ensemble_distillation":
        return Recipe(method=method, teacher=Earlier(Recipe(method=ensemble(2))))
    return Recipe(method=method, teacher=Earlier(Recipe(), replica="first"))
