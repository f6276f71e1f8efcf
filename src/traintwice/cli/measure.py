"""`traintwice measure`: the disagreement of any number of models, or of two recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from traintwice.cli import options
from traintwice.cli.reading import NOTHING_SAID, reads_files
from traintwice.predictions.reading import Reading

if TYPE_CHECKING:
    from traintwice.metrics import Metric


@reads_files
def measure(
    files: Annotated[list[str], typer.Argument(help="Predictions of each replica: files, globs, directories.")],
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="FILES", help="Replicas of a second recipe; the two are compared."),
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="With --against: replica m of both recipes shares its random streams.")
    ] = False,
    match_temperature: Annotated[
        bool, typer.Option("--match-temperature", help="Soft measures at the recipe's best temperature too.")
    ] = False,
    multiplicity: Annotated[
        bool,
        typer.Option(
            "--multiplicity", help="How far equally good models disagree on single rows: self-consistency, viable range …"
        ),
    ] = False,
    reading: Reading = NOTHING_SAID,
    also: options.Also = None,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how much the replicas of a recipe disagree, or whether one recipe disagrees less than another."""
    options.one_form(json=json, markdown=markdown)
    from traintwice.cli import output
    from traintwice.cli.waiting import waiting
    from traintwice.sheets.models import measures_sheet, recipes_sheet

    if against and match_temperature:
        raise typer.BadParameter("measures one recipe; leave out --against", param_hint="--match-temperature")
    if against and multiplicity:
        raise typer.BadParameter("measures one recipe; leave out --against", param_hint="--multiplicity")
    if against:
        from traintwice.compare import compare_recipes
        from traintwice.compare.recipes import DEFAULT as RECIPES

        names = (" ".join(files), " ".join(against))
        wanted: list[Metric | str] = [*RECIPES, *options.further(also, one_pass=True)]
        with waiting("comparing two recipes", quiet=quiet):
            both = compare_recipes(files, against, names=names, paired=paired, which=wanted, level=level, **reading)
        output.show_result(recipes_sheet(both), both.to_dict(), json=json, markdown=markdown)
        return
    from traintwice.compare import measure as measure_all
    from traintwice.compare.measure import DEFAULT

    which: list[Metric | str] = [*DEFAULT, *options.further(also)]
    with waiting(f"measuring {len(files)} files", quiet=quiet):
        found = measure_all(
            files, which=which, level=level, temperature_matched=match_temperature, multiplicity=multiplicity, **reading
        )
    output.show_result(measures_sheet(found), found.to_dict(), json=json, markdown=markdown)
