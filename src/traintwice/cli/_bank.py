"""`traintwice bank`: studies whose predictions are kept row by row; lists them, shows one, adds one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traintwice.cli import _options as options
from traintwice.errors import BadInput, BadSpec, require

if TYPE_CHECKING:
    from traintwice.bank import BankStudy

ADD = "add"


def bank(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A study of a bank, or the word add.")] = None,
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="After add: a trained study, by name or TOML file.")
    ] = None,
    store: Annotated[Path, typer.Option(help="With add: directory of trained replicas.")] = options.DEFAULT_STORE,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIRECTORY", help="With add: the bank; by default TRAINTWICE_BANK or traintwice-bank."),
    ] = None,
    as_name: Annotated[str | None, typer.Option("--name", help="With add: name of the study in the bank.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="With add: the recipe whose cost is 1x; by default the study's baseline.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="With add: replace a study of this name.")] = False,
    trust: options.Trust = False,
    json: options.Json = False,
    markdown: options.Markdown = False,
) -> None:
    """List studies whose predictions are kept row by row, show one, or add one (`traintwice bank add STUDY`).

    Predictions of a bank are named bank:STUDY/RECIPE wherever files are: `traintwice measure bank:ad-mnist/ema`.
    """
    options.one_form(json=json, markdown=markdown)
    from traintwice.cli import _output as output
    from traintwice.tables._bank import banks_sheet, study_sheet

    of_add = {"--to": to, "--name": as_name, "--baseline": baseline, "--replace": replace}
    if name != ADD and (given := [option for option, value in of_add.items() if value]):
        raise BadSpec(f"{given[0]} is for `traintwice bank add STUDY`; leave it out")
    if name == ADD:
        if study is None:
            raise BadSpec("add: expected the name of a trained study or its TOML file, such as `traintwice bank add digits`")
        added = _add(study, store, to, name=as_name, baseline=baseline, replace=replace, trust=trust)
        output.show_result(study_sheet(added), plain=_plain(added), json=json, markdown=markdown)
        return
    if study is not None:
        raise BadSpec(f"got {name} {study}, expected one name; `traintwice bank add {study}` adds a study")
    from traintwice.bank import bank_study, banks

    if name is not None:
        one = bank_study(name)
        output.show_result(study_sheet(one), plain=_plain(one), json=json, markdown=markdown)
        return
    found = banks()
    problems = [*found.broken, *found.refused.values()]
    plain = {"schema": 1, "studies": [_plain(each) for each in found.studies.values()], "problems": problems}
    output.show_result(banks_sheet(list(found.studies.values()), problems), plain=plain, json=json, markdown=markdown)


def _add(study: str, store: Path, to: Path | None, *, trust: bool, **wanted: Any) -> BankStudy:
    """A study of a store, in the bank.

    Raises:
        StoreError: replicas are missing; the message counts them. BadInput: see `add_to_bank`.
    """
    require("torch", extra="torch", purpose="adding a study")
    from traintwice.bank._banks import own_bank
    from traintwice.cli import _study as verbs
    from traintwice.cli._replicate import is_replica_store
    from traintwice.study import Store, add_to_bank, gather

    if is_replica_store(store):
        raise BadInput(
            f"{store}: holds replicas of a function or command; `traintwice bank add` takes a store of `traintwice run`"
        )
    kept = Store(store, create=False)
    if study in kept.studies():
        results = verbs.load(store, study, trust=trust)
    else:
        experiment = verbs.find_experiment(study, settings=[], seed=None)
        results = gather(experiment, kept, experiment.data.load())
    return add_to_bank(results, own_bank() if to is None else to, command=f"traintwice run {study}", **wanted)


def _plain(study: BankStudy) -> dict[str, Any]:
    recipes = {name: {"short": study.recipes[name].slug, **given} for name, given in study.manifest["recipes"].items()}
    return {**study.manifest, "name": study.name, "path": str(study.path), "recipes": recipes}
