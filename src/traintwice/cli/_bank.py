"""`traintwice bank`: studies whose predictions are kept row by row; lists them, shows one, adds one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traintwice._files import check_name
from traintwice._formatting import bytes_in_words
from traintwice.cli import _options as options
from traintwice.cli import _output as output
from traintwice.errors import BadInput, BadSpec, UnknownName, require, unknown
from traintwice.tables._sheet import Cell, Column, Row, Sheet, Table, text_columns
from traintwice.types import Estimate

if TYPE_CHECKING:
    from traintwice.bank import BankRecipe, BankStudy

ADD = "add"


def bank(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A study of a bank, or the word add.")] = None,
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY]",
            help="After add: a trained study, by name or TOML file. With a store of `traintwice replicate`: its name in the bank.",
        ),
    ] = None,
    store: Annotated[Path, typer.Option(help="With add: directory of trained replicas.")] = options.DEFAULT_STORE,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIRECTORY", help="With add: the bank; by default TRAINTWICE_BANK or traintwice-bank."),
    ] = None,
    as_name: Annotated[str | None, typer.Option("--name", help="With add: name of the study in the bank.")] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RECIPE=TRAIN,SERVE",
            help="With add and a store of `traintwice replicate`: cost of a recipe as multiples of one plain network; one for each.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="With add and a store of `traintwice replicate`: the data, in words.")] = None,
    network: Annotated[
        str | None, typer.Option(help="With add and a store of `traintwice replicate`: the network, in words.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="With add: replace a study of this name.")] = False,
    trust: options.Trust = False,
    json: options.Json = False,
    markdown: options.Markdown = False,
) -> None:
    """List studies whose predictions are kept row by row, show one, or add one (`traintwice bank add STUDY`).

    Predictions of a bank are named bank:STUDY/RECIPE wherever files are: `traintwice measure bank:ad-mnist/ema`.
    """
    in_words = {"--cost": cost, "--data": data, "--network": network}
    of_add = {"--to": to, "--name": as_name, "--replace": replace, **in_words}
    if name != ADD and (given := [option for option, value in of_add.items() if value]):
        raise BadSpec(f"{given[0]} is for `traintwice bank add STUDY`; leave it out")
    if name == ADD:
        if study is None:
            raise BadSpec("add: expected the name of a trained study or its TOML file, such as `traintwice bank add digits`")
        from traintwice.predictions._bank import own_bank
        from traintwice.replication._store import is_replica_store

        folder, of_study = to or own_bank(), {"--name": as_name}
        check_name(store)
        replicas = is_replica_store(store)
        if given := [option for option, value in (of_study if replicas else in_words).items() if value]:
            holds = "replicas" if replicas else "no replicas"
            raise BadSpec(f"{given[0]}: {store} holds {holds} of `traintwice replicate`; leave it out")
        if replicas:
            added = _add_replicas(study, store, folder, cost=cost, data=data, network=network, replace=replace)
        else:
            added = _add(study, store, folder, name=as_name, replace=replace, trust=trust)
        output.show_result(added, study_sheet(added), plain=_plain(added), json=json, markdown=markdown)
        return
    if study is not None:
        raise BadSpec(f"got {name} {study}, expected one name; `traintwice bank add {study}` adds a study")
    from traintwice.bank import bank_study, banks

    if name is not None:
        one = bank_study(name)
        output.show_result(one, study_sheet(one), plain=_plain(one), json=json, markdown=markdown)
        return
    found = banks()
    problems = [*found.broken, *found.refused.values()]
    plain = {"schema": 1, "studies": [_plain(each) for each in found.studies.values()], "problems": problems}
    output.show_result(found, banks_sheet(list(found.studies.values()), problems), plain=plain, json=json, markdown=markdown)


def _add(study: str, store: Path, folder: Path, *, trust: bool, **wanted: Any) -> BankStudy:
    """A study of a store, in the bank."""
    require("torch", extra="torch", purpose="adding a study")
    from traintwice.cli import _study as verbs
    from traintwice.study import Store, add_to_bank, gather

    kept = Store(store, create=False)
    if study in kept.studies():
        results = verbs.load(store, study, trust=trust)
    else:
        try:
            experiment = verbs.find_experiment(study, settings=[], seed=None)
        except UnknownName:
            raise unknown("study", study, kept.studies(), hint=f"(in {store}, or a study of `traintwice list`)") from None
        results = gather(experiment, kept, experiment.data.load())
    return add_to_bank(results, folder, command=f"traintwice run {study}", **wanted)


def _add_replicas(
    name: str, store: Path, folder: Path, *, cost: list[str] | None, data: str | None, network: str | None, replace: bool
) -> BankStudy:
    """Replicas of a function or command, in the bank."""
    from traintwice.replication import add_replicas_to_bank
    from traintwice.replication._study import stored

    if data is None or network is None:
        told = "--data" if data is None else "--network"
        raise BadInput(f"{told} is missing: a store of `traintwice replicate` does not know it; say it in a few words")
    costs = {}
    for text in cost or ():
        recipe, mark, numbers = text.rpartition("=")
        try:
            train, serve = map(float, numbers.split(","))
        except ValueError:
            mark, train, serve = "", 0.0, 0.0
        if not mark or not (0 < train < math.inf and 0 < serve < math.inf):
            raise BadInput(f"--cost {text}: expected RECIPE=TRAIN,SERVE, two multiples of one plain network, such as ema=1,1")
        costs[recipe] = (train, serve)
    return add_replicas_to_bank(stored(store), folder, name=name, data=data, network=network, costs=costs, replace=replace)


def _plain(study: BankStudy) -> dict[str, Any]:
    recipes = {name: {"short": study.recipes[name].slug, **given} for name, given in study.manifest["recipes"].items()}
    return {**study.manifest, "name": study.name, "path": str(study.path), "recipes": recipes}


def banks_sheet(studies: Sequence[BankStudy], problems: Sequence[str]) -> Sheet:
    """All studies of all banks."""
    rows = []
    for study in studies:
        about = study.manifest
        numbers = {"recipes": f"{len(study.recipes)}", "replicas": f"{study.replicas}", "examples": f"{about['examples']:,}"}
        size = bytes_in_words(study.parquet.stat().st_size) if study.parquet.is_file() else "missing"
        rows.append(Row(study.name, {**{key: str(about[key]) for key in ("data", "network", "date")}, **numbers, "size": size}))
    headline = (
        f"{len(studies)} {'study' if len(studies) == 1 else 'studies'} with predictions of every replica on every test example"
    )
    notes = [f"Not read: {problem}" for problem in problems]
    notes.append("`traintwice bank NAME` shows the recipes; `traintwice measure bank:NAME/RECIPE` measures one.")
    tables = (
        (Table("", text_columns("data", "network", "recipes", "replicas", "examples", "size", "date"), tuple(rows)),)
        if rows
        else ()
    )
    return Sheet(headline, "", tables=tables, notes=tuple(notes))


def study_sheet(study: BankStudy) -> Sheet:
    """One study: its recipes with cost, accuracy and churn."""
    about, rows = study.manifest, []
    for recipe in study.recipes.values():
        cells: dict[str, Any] = {"short": recipe.slug, "train": recipe.train, "serve": recipe.serve}
        for key in ("accuracy", "churn"):
            cells[key] = _cell(recipe, key, about["examples"])
        rows.append(Row(recipe.name, {**cells, "replicas": f"{recipe.replicas}"}))
    columns = (
        Column("short", f"bank:{study.name}/", "text"),
        Column("train", "train", "cost"),
        Column("serve", "serve", "cost"),
        Column("replicas", "replicas", "text"),
        Column("accuracy", "accuracy", "fraction"),
        Column("churn", "churn", "fraction"),
    )
    lines = [f"{about['data']}, {about['network']}", f"{about['examples']:,} test examples", about["date"]]
    lines += [", ".join(about["processors"])] if about.get("processors") else []
    notes = [f"Cost: a multiple of {about['cost_of']}. Intervals: 95 %, for new replicas and new examples.", f"{study.path}"]
    notes[1:1] = [f"Trained with: {about['command']}"] if about.get("command") else []
    return Sheet(f"{study.name} · {' · '.join(lines)}", "", tables=(Table("", columns, tuple(rows)),), notes=tuple(notes))


def _cell(recipe: BankRecipe, measure: str, examples: int) -> Cell:
    """A measure with its interval, where it has one."""
    found = recipe.measures.get(measure, ())
    if len(found) != 3:
        return found[0] if found else None
    return Estimate(*found, standard_error=math.nan, replicas=recipe.replicas, examples=examples)
