"""`traintwice sums`, and the options of diff and gate that take sums in place of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traintwice.cli import _options as options
from traintwice.cli._reading import split, without_unsaid
from traintwice.errors import BadInput
from traintwice.predictions._reading import PANEL, Reading

if TYPE_CHECKING:
    from traintwice.sums import Sums

Columns = list[str] | None


def _columns(flag: str, help: str) -> Any:
    return typer.Option(flag, metavar="COLUMN", help=help, rich_help_panel=PANEL)


def sums(
    dialect: Annotated[
        str,
        typer.Option("--dialect", help="duckdb, postgres, spark, bigquery, snowflake, databricks or trino."),
    ],
    old: Annotated[str, typer.Option("--old", metavar="TABLE", help="Table of the old model, or a query in parentheses.")],
    new: Annotated[str, typer.Option("--new", metavar="TABLE", help="Table of the new model, or a query in parentheses.")],
    id: Annotated[list[str], _columns("--id", "Column that names a row; repeat it for composite ids.")],
    score: Annotated[str | None, _columns("--score", "Column of the probability of class 1 of a binary model.")] = None,
    probs: Annotated[
        Columns, _columns("--probs", "Columns of the probabilities, in the order of the classes; separate by commas.")
    ] = None,
    pred: Annotated[str | None, _columns("--pred", "Column of the predicted labels.")] = None,
    label: Annotated[str | None, _columns("--label", "Column of the true labels.")] = None,
    weight: Annotated[str | None, _columns("--weight", "Column of weights.")] = None,
    by: Annotated[Columns, _columns("--by", "Column of groups to look into; repeat for more.")] = None,
    cluster: Annotated[
        Columns, _columns("--cluster", "Column of clusters (users, say), whose rows are not independent; repeat for more.")
    ] = None,
    classes: Annotated[
        Columns,
        typer.Option(
            "--classes",
            metavar="NAME",
            help="Names of the classes in their order, where labels are not whole numbers; separate by commas.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    columns_of: Annotated[
        Literal["old", "new", "both"],
        typer.Option("--in", help="The tables that have label, weight, groups and clusters.", rich_help_panel=PANEL),
    ] = "old",
    threshold: options.Threshold = None,
) -> None:
    """Print one query for a warehouse: its few hundred rows are all that diff --sums and gate --sums need."""
    from traintwice.cli import _output as output
    from traintwice.sums import query

    text = query(
        old, new, dialect=dialect, id=id, score=score, probs=split(probs), pred=pred, label=label, weight=weight, by=by or (),
        cluster=cluster or (), thresholds=threshold or (), classes=split(classes), columns_of=columns_of,
    )  # fmt: skip
    output.show(f"{text}\n")


def summed(
    old: str | None,
    new: str | None,
    given: list[str] | None,
    on: str | None,
    reading: Reading,
    threshold: list[float] | None,
    others: Mapping[str, Any],
) -> Sums:
    """The sums that ``--sums`` names, or that an engine makes with ``--on``.

    Args:
        others: further options and their values; they need rows.
    Raises:
        BadInput: options that exclude each other.
    """
    from traintwice.sums import collect, read

    option = "--sums" if given else "--on"
    if refused := [name for name, value in without_unsaid(dict(others)).items() if value]:
        raise BadInput(f"{option}: leave out {', '.join(refused)}, which needs the rows; only sums over the rows are read")
    if not given:
        both = required(old, new)
        return collect(*both, on=on, thresholds=threshold or (), **{k: v for k, v in reading.items() if k != "on_missing"})  # type: ignore[arg-type]
    if old is not None or on is not None:
        raise BadInput(
            f"--sums: leave out {'OLD and NEW' if old is not None else '--on'}; the sums say which models they are about"
        )
    told_with = {f"--{name.replace('_', '-')}" for name in reading if name not in ("on_missing", "memory")}
    if told := sorted(told_with | ({"--threshold"} if threshold else set())):
        raise BadInput(f"--sums: leave out {', '.join(told)}; pass them to `traintwice sums`, which makes the query")
    return read(given, memory=reading.get("memory"))


def required(old: str | None, new: str | None) -> tuple[str, str]:
    """Both arguments.

    Raises:
        BadInput: one is missing.
    """
    if old is None or new is None:
        name = "OLD" if old is None else "NEW"
        raise BadInput(f"Missing argument '{name}'. Give the predictions of the old and of the new model, or --sums FILES")
    return old, new


def with_sums(call: Callable[..., Any], found: Sums, reading: Reading, **given: Any) -> Any:
    """Call `diff_sums` or `gate_sums` with the explicit options."""
    return call(found, on_missing=reading.get("on_missing", "refuse"), **without_unsaid(given))
