"""Verbs that read predictions other than `diff` and `gate`: `measure`, `plan`, `tokens`, `selective`, `update` and `history`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from traintwice._addresses import without_secrets
from traintwice.cli import _options as options
from traintwice.cli import _output as output
from traintwice.cli._options import NOTHING_SAID, reads_files, without_unsaid
from traintwice.errors import BadInput
from traintwice.predictions._reading import Reading

if TYPE_CHECKING:
    from traintwice.metrics import Metric


@reads_files(without=("by", "time"))
def measure(
    files: Annotated[list[str], typer.Argument(help="Predictions of each replica: files, globs, directories.")],
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="FILES", help="Predictions of a second recipe; the two recipes are compared."),
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="With --against: replica m of both recipes had the same random streams.")
    ] = False,
    match_temperature: Annotated[
        bool, typer.Option("--match-temperature", help="Add soft measures at the best temperature of the recipe.")
    ] = False,
    multiplicity: Annotated[
        bool,
        typer.Option(
            "--multiplicity", help="Add disagreement on single rows: self-consistency, viable range, ambiguity, discrepancy."
        ),
    ] = False,
    served: Annotated[
        str | None, typer.Option("--served", metavar="FILE", help="With --multiplicity: predictions of the model in service.")
    ] = None,
    within_loss: Annotated[
        float | None,
        typer.Option(
            "--within-loss", metavar="EPSILON", help="Use only replicas whose log loss is at most this much above the smallest."
        ),
    ] = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option("--threshold", metavar="NUMBER", help="Add flips of the decision score >= NUMBER; repeat for more."),
    ] = None,
    reading: Reading = NOTHING_SAID,
    also: options.Also = None,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how much the replicas of a recipe disagree, or compare two recipes."""
    if against and (match_temperature or multiplicity):
        option = "--match-temperature" if match_temperature else "--multiplicity"
        raise BadInput(f"{option} and --against exclude each other: {option} measures one recipe")
    if against:
        from traintwice.compare import compare_recipes
        from traintwice.compare._recipes import DEFAULT as RECIPES

        names = (without_secrets(" ".join(files)), without_secrets(" ".join(against)))
        wanted: list[Metric | str] = [*RECIPES, *options.further(also, one_pass=True)]
        with output.waiting("comparing two recipes", quiet=quiet):
            both = compare_recipes(files, against, names=names, paired=paired, which=wanted, level=level, **reading)
        output.show_result(both, json=json, markdown=markdown)
        return
    from traintwice.compare import measure as measure_all
    from traintwice.compare._measure import DEFAULT

    which: list[Metric | str] = [*DEFAULT, *options.further(also)]
    with output.waiting(f"measuring {len(files)} files", quiet=quiet):
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
    output.show_result(found, json=json, markdown=markdown)


@reads_files(without=("by", "time", "regression"))
def plan(
    churn: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Expected churn, 0.05 for 5 %; with --pilot it is measured.")
    ] = None,
    detect: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Difference in churn to detect, 0.005 for 0.5 pp.")
    ] = None,
    pilot: Annotated[
        list[str] | None,
        typer.Option(
            "--pilot", metavar="FILES", help="Predictions of existing replicas, four or more: files, globs, directories."
        ),
    ] = None,
    replicas: Annotated[
        list[int] | None, typer.Option(metavar="M", help="A number of replicas to consider; repeat for more.")
    ] = None,
    rows: Annotated[list[int] | None, typer.Option(metavar="N", help="A number of rows to consider; repeat for more.")] = None,
    level: options.Level = 0.95,
    power: Annotated[float, typer.Option(help="Probability of detecting the difference.")] = 0.8,
    reading: Reading = NOTHING_SAID,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Plan a comparison: the replicas and rows needed to detect a difference in churn."""
    from traintwice.compare import plan as plan_with

    sizes = without_unsaid({"replicas": replicas, "rows": rows})
    with output.waiting("reading the pilot", quiet=quiet):
        found = plan_with(churn, detect, pilot=pilot, level=level, power=power, **sizes, **reading)
    output.show_result(found, json=json, markdown=markdown)


def tokens(
    base: Annotated[str, typer.Argument(help="Token probabilities of the reference model.")],
    other: Annotated[str, typer.Argument(help="Token probabilities of the other model, on the same text or prompts.")],
    least: Annotated[
        float,
        typer.Option(
            metavar="NATS", help="For lists of top tokens: log probability that no token falls below, for upper bounds."
        ),
    ] = -23.0,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare two language models token by token: files of llama.cpp (--kl-divergence-base), or JSONL of responses with logprobs."""
    from traintwice.compare import diff_tokens

    with output.waiting(f"comparing {base} and {other}", quiet=quiet):
        found = diff_tokens(base, other, level=level, least=least)
    output.show_result(found, json=json, markdown=markdown)


Out = Annotated[
    Path | None,
    options.in_output("--out", metavar="FILE.parquet", help="Write the answer of each row."),
]


def _check_out(out: Path | None, inputs: Sequence[str]) -> None:
    """Raise before the work if the answers cannot be written to a file, or would overwrite an input."""
    from traintwice._database import check_target

    output.check_outputs({"--out": out}, inputs)
    if out is not None:
        check_target(out)


@reads_files(without=("by", "time", "regression"))
def selective(
    files: Annotated[list[str], typer.Argument(help="Predictions of retrains of one recipe: files, globs, directories.")],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against", metavar="FILES", help="Predictions of other retrains: how often both ensembles answer and differ."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(metavar="LEVEL", help="Level of the binomial test on the votes of a row.")] = 0.05,
    out: Out = None,
    reading: Reading = NOTHING_SAID,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer rows whose majority vote is significant, and no others."""
    from traintwice.compare import selective_agreement, selective_ensemble
    from traintwice.predictions._array_files import write_answers
    from traintwice.tables._measures import selective_sheet

    _check_out(out, [*files, *(against or ())])
    with output.waiting(f"reading {len(files)} files", quiet=quiet):
        found = selective_ensemble(files, alpha=alpha, level=level, **reading)
        agreement = None
        if against:
            agreement = selective_agreement(found, selective_ensemble(against, alpha=alpha, level=level, **reading), level=level)
    if out is not None:
        write_answers(out, found.answers, ids=found.ids, class_names=found.class_names)
    plain = {**found.to_dict(), **({} if agreement is None else {"agreement": agreement.to_dict()})}
    output.show_result(found, selective_sheet(found, agreement), plain=plain, json=json, markdown=markdown)


@reads_files(without=("by", "time", "regression"))
def update(
    old: Annotated[str, typer.Argument(help="Predictions of the model in service.")],
    new: Annotated[str, typer.Argument(help="Predictions of the new model, on the same rows.")],
    flip_cost: Annotated[
        float, typer.Option(metavar="RATIO", help="Cost of a right answer that becomes wrong over the gain of a fixed error.")
    ] = 2.0,
    calibration: Annotated[
        tuple[str, str] | None,
        typer.Option("--calibration", metavar="OLD NEW", help="Predictions of both models on other, labelled rows."),
    ] = None,
    out: Out = None,
    reading: Reading = NOTHING_SAID,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Decide for each row whether to serve the new answer or to keep the old one."""
    from traintwice.compare import update_predictions
    from traintwice.predictions._array_files import write_answers

    if calibration is not None and not reading.get("label"):
        raise BadInput("--calibration reads labelled rows; name the column of their labels with --label")
    _check_out(out, [old, new, *(calibration or ())])
    with output.waiting(f"reading {old} and {new}", quiet=quiet):
        found = update_predictions(old, new, flip_cost=flip_cost, calibration=calibration, level=level, **reading)
    if out is not None:
        write_answers(out, found.answers, ids=found.ids, class_names=found.class_names, taken=found.taken)
    output.show_result(found, json=json, markdown=markdown)


def history(
    ledger: Annotated[Path, typer.Argument(metavar="FILE", help="A ledger, which diff and gate write with --ledger.")],
    report: options.ReportFile = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
) -> None:
    """Show the launches of a ledger over time: churn and its floor, right → wrong, quality, budgets."""
    from traintwice.compare import history as read

    output.check_outputs({"--report": report}, [str(ledger)])
    found = read(ledger)
    if report is not None:
        from traintwice.report import write_history

        write_history(found, report)
    output.show_result(found, json=json, markdown=markdown)
    output.show_page(report, wanted=not json and not markdown)
