"""The options that say how files are read, the same for every verb that reads predictions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, Any, Literal, get_type_hints

import typer

READING = "What the columns mean"


@dataclass(frozen=True)
class Reading:
    """How files are read; None and False mean that nothing was said."""

    id: Annotated[
        list[str] | None,
        typer.Option(
            "--id", metavar="COLUMN", help="Column that names a row; repeat it for composite ids.", rich_help_panel=READING
        ),
    ] = None
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the true labels.", rich_help_panel=READING)] = (
        None
    )
    probs: Annotated[
        list[str] | None,
        typer.Option(
            "--probs",
            metavar="COLUMN",
            help="Column of the predictions, in the order of the classes; repeat, or separate by commas. A prefix stands for "
            "PREFIX_0, PREFIX_1 ...",
            rich_help_panel=READING,
        ),
    ] = None
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of weights.", rich_help_panel=READING)] = None
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--classes",
            metavar="NAME",
            help="Name of a class, in the order of the predictions; repeat, or separate by commas.",
            rich_help_panel=READING,
        ),
    ] = None
    logits: Annotated[bool, typer.Option("--logits", help="The predictions are logits.", rich_help_panel=READING)] = False
    regression: Annotated[
        bool, typer.Option("--regression", help="The predictions are numbers, no probabilities.", rich_help_panel=READING)
    ] = False
    by_position: Annotated[
        bool, typer.Option("--by-position", help="Match row n with row n; no ids are compared.", rich_help_panel=READING)
    ] = False
    on_missing: Annotated[
        Literal["refuse", "drop"] | None,
        typer.Option(
            help="What to do with ids that a file lacks or has twice: refuse (the default) or drop.", rich_help_panel=READING
        ),
    ] = None
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory for reading and joining, such as 2GB; half the machine's by default."),
    ] = None

    def said(self) -> dict[str, Any]:
        """What was said, as arguments of `traintwice.diff`, `measure` and `gate`.

        >>> Reading(id=["a", "b"], probs=["p,q"], on_missing="drop").said()
        {'id': ['a', 'b'], 'probs': ['p', 'q'], 'on_missing': 'drop'}
        """
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return without_unsaid(given | {"probs": split(self.probs), "classes": split(self.classes)})


NOTHING_SAID = Reading()


def reads_files(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb each field of `Reading` as an option, in the place of its argument ``reading``, which gets them together."""
    hints = get_type_hints(verb, include_extras=True)
    of_reading = get_type_hints(Reading, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name != "reading":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for field in fields(Reading):
            parameters.append(
                inspect.Parameter(field.name, parameter.kind, default=field.default, annotation=of_reading[field.name])
            )

    @wraps(verb)
    def with_options(**given: Any) -> None:
        own = {field.name: given.pop(field.name) for field in fields(Reading)}
        verb(**given, reading=Reading(**own))

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def split(words: list[str] | None) -> list[str] | None:
    """Values given by repeating an option, by commas, or both.

    >>> split(["a,b", "c"]), split(None)
    (['a', 'b', 'c'], None)
    """
    return [part for word in words for part in word.split(",")] if words else None


def without_unsaid(given: dict[str, Any]) -> dict[str, Any]:
    """Options without those that were not given."""
    return {name: value for name, value in given.items() if value is not None and value is not False and value != []}
