"""`traintwice measure`: the disagreement of any number of models, or of two recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from traintwice.cli import options
from traintwice.cli.reading import NOTHING_SAID, reads_files
from traintwice.errors import BadInput
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
    served: Annotated[
        str | None, typer.Option("--served", metavar="FILE", help="With --multiplicity: the model in service, to compare with.")
    ] = None,
    within_loss: Annotated[
        float | None,
        typer.Option(
            "--within-loss", metavar="EPSILON", help="Only replicas whose log loss is at most so far above the smallest."
        ),
    ] = None,
    threshold: Annotated[
        list[float] | None, typer.Option("--threshold", help="Decision flips at score >= THRESHOLD of a binary model; repeat.")
    ] = None,
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
    from traintwice.tables.measures import measures_sheet, recipes_sheet

    if against and (match_temperature or multiplicity):
        option = "--match-temperature" if match_temperature else "--multiplicity"
        raise BadInput(f"{option} and --against exclude each other: {option} measures one recipe")
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
            files,
            which=which,
            level=level,
            temperature_matched=match_temperature,
            multiplicity=multiplicity,
            served=served,
            within_loss=within_loss,
            thresholds=threshold or (),
            **reading,
        )
    output.show_result(measures_sheet(found), found.to_dict(), json=json, markdown=markdown)
